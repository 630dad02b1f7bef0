/**
 * Random sessions from a small world, so that rules meet: few remote addresses and ports, few
 * QFIs, precedences that tie. Every session of number n has addresses and TEIDs of its own; n
 * and n + SHARING have the same UE addresses, in two data networks.
 */
import type { Random } from './random.js';
import { randomFars } from './random-far.js';
import { markedTraffic, randomFilters } from './random-filter.js';
import { changedQer, randomQers } from './random-qer.js';
import { randomUrrs, renewed } from './random-urr.js';
import type { Pdi, Pdr, Session } from './rules.js';
import { QFIS } from './small-world.js';

export { SESSIONS } from './small-world.js';

const SHARING = 12;
/** From here on sessions share no address, and may have PDRs in both networks. */
const ALONE = 24;
const UPLINK_FARS = [1, 1, 1, 1, 4, 6, 7, 8, 9, 11, 12];
const DOWNLINK_FARS = [2, 2, 2, 2, 3, 4, 5, 9, 9, 10, 12];
/**
 * Of sessions whose rules fit two lines: one tunnel, few rules that share their QERs and URRs, so that
 * packets go the plain way (docs/decisions/0025).
 */
const PLAIN_UPLINK_FARS = [1, 1, 4];
const PLAIN_DOWNLINK_FARS = [2, 2, 4];

export function sessionName(number: number): string {
  return `ue-${number}`;
}

export function randomSession(random: Random, number: number, nowNs: number): Session {
  const qers = randomQers(random);
  const urrs = randomUrrs(random, number, nowNs);
  const { fars, bars } = randomFars(random, number);
  const ids = random.shuffled(Array.from({ length: 12 }, (_, i) => i + 1));
  const plain = random.once(2);
  const ends = new Ends(random, number, plain);
  const common = {
    qers: random.some(qers.map((qer) => qer.id).filter((id) => id < 5)).slice(0, 2),
    urrs: random.some(urrs.map((urr) => urr.id)).slice(0, 1),
  };
  const rulesOf = (pdi: Pdi, far_id: number): Pdr => ({
    id: ids.pop()!,
    precedence: random.of([10, 20, 20, 30, 255]),
    pdi: { ...pdi, ...(plain && random.once(3) ? markedTraffic(random) : randomFilters(random)) },
    ...(pdi.local_f_teid === undefined
      ? {}
      : {
          outer_header_removal: !plain && random.once(12) ? ('none' as const) : ('gtpu' as const),
        }),
    far_id,
    qer_ids: plain ? common.qers : random.some(qers.map((qer) => qer.id)),
    urr_ids: plain ? common.urrs : random.some(urrs.map((urr) => urr.id)),
  });
  const pdrs: Pdr[] = [];
  for (let i = random.between(1, plain ? 3 : 4); i > 0; i--) {
    pdrs.push(rulesOf(ends.uplink(), random.of(plain ? PLAIN_UPLINK_FARS : UPLINK_FARS)));
  }
  for (let i = random.between(1, plain ? 3 : 4); i > 0; i--) {
    pdrs.push(rulesOf(ends.downlink(), random.of(plain ? PLAIN_DOWNLINK_FARS : DOWNLINK_FARS)));
  }
  if (!plain && random.once(4)) pdrs.push(rulesOf(ends.fromUpf(), random.of(DOWNLINK_FARS)));
  const name = sessionName(number);
  return { name, pdn_type: 'ipv4v6', pdrs: random.shuffled(pdrs), fars, qers, urrs, bars };
}

export function ueAddressOf(number: number): {
  readonly ipv4: string;
  readonly ipv6_prefix: string;
} {
  const host = (number < ALONE ? number % SHARING : number) + 1;
  return { ipv4: `10.60.1.${host}`, ipv6_prefix: `fd00:60:0:${host}::/64` };
}

/** Networks behind a UE, some within others; a session's own by its number. */
export function routesOf(number: number): readonly string[] {
  const own = [
    `192.168.${number}.0/24`,
    `192.168.${number}.64/26`,
    `192.168.${number}.200/32`,
    `2001:db8:f${number.toString(16).padStart(3, '0')}::/48`,
    `2001:db8:f${number.toString(16).padStart(3, '0')}:7::/64`,
  ];
  // Two of the sessions have what lies around all of these.
  if (number === 1) return ['192.168.0.0/16', '2001:db8:f000::/36'];
  return number === 13 ? ['0.0.0.0/0', '::/0'] : own;
}

/** Where packets of one session arrive. */
class Ends {
  readonly #address: NonNullable<Pdi['ue_address']>;
  readonly #chosenHere: boolean;
  readonly #instance: string;

  constructor(
    private readonly random: Random,
    private readonly number: number,
    private readonly plain: boolean,
  ) {
    const { ipv4, ipv6_prefix } = ueAddressOf(number);
    const both = { ipv4, ipv6_prefix };
    // The number says which, so that an update does not take the UE its address.
    this.#address = [both, both, { ipv4 }, { ipv6_prefix }][number % 4]!;
    this.#instance = number % (2 * SHARING) < SHARING ? 'internet' : 'ims';
    this.#chosenHere = number % 3 === 0;
  }

  uplink(): Pdi {
    const { random } = this;
    const tunnel = !this.plain && random.once(3) ? 1 : 0;
    const here = { choose_id: tunnel + 1 };
    const local = [{ ipv4: '10.0.0.1' }, { ipv4: '10.0.0.1', ipv6: 'fd00::1' }][this.number % 2];
    return {
      source_interface: 'access',
      ...(random.once(2) ? { network_instance: 'anything' } : {}),
      local_f_teid: this.#chosenHere ? here : { teid: this.#teid(tunnel), ...local },
      ...(random.once(4) ? {} : { ue_address: this.#address }),
      ...(random.once(4) ? { qfis: random.some(QFIS) } : {}),
      ...(this.number % 4 === 1 && random.once(4) ? this.#routes() : {}),
    };
  }

  downlink(): Pdi {
    const { random } = this;
    const other = this.#instance === 'ims' ? 'internet' : 'ims';
    const alone = this.number >= ALONE && random.once(4);
    const instance = alone ? random.of([other, '']) : this.#instance;
    return {
      source_interface: 'core',
      ...(instance === '' ? {} : { network_instance: instance }),
      ...this.#ueSide(),
    };
  }

  /** The UE, networks behind it, or both. */
  #ueSide(): Partial<Pdi> {
    if (!this.random.once(4)) return { ue_address: this.#address };
    const routes = this.#routes();
    // The address says whose network it is, where others have the same.
    const alone = this.number >= ALONE && this.random.once(2);
    return alone ? routes : { ue_address: this.#address, ...routes };
  }

  #routes(): Partial<Pdi> {
    const all = routesOf(this.number);
    return { framed_routes: [this.random.of(all), ...this.random.some(all)] };
  }

  /** From another UPF: towards the UE, but in a tunnel. */
  fromUpf(): Pdi {
    return {
      source_interface: this.random.once(2) ? 'core' : 'cp_function',
      local_f_teid: { teid: this.#teid(2), ipv4: '10.0.0.1' },
      ...(this.random.once(2) ? { ue_address: this.#address } : {}),
    };
  }

  #teid(tunnel: number): number {
    return 0x1000 + this.number * 4 + tunnel;
  }
}

/** The session as it was, but for a part that is drawn again. */
export function changedSession(
  random: Random,
  old: Session,
  number: number,
  nowNs: number,
): Session {
  const fresh = randomSession(random, number, nowNs);
  switch (random.below(6)) {
    case 0:
      return fresh;
    case 1:
      return { ...old, fars: fresh.fars, bars: fresh.bars };
    case 2:
      return { ...old, pdrs: random.shuffled(old.pdrs), urrs: random.shuffled(old.urrs) };
    case 3: {
      // The same rules with precedences exchanged.
      const order = random.shuffled(old.pdrs.map((pdr) => pdr.precedence));
      return { ...old, pdrs: old.pdrs.map((pdr, i) => ({ ...pdr, precedence: order[i]! })) };
    }
    case 4:
      return { ...old, urrs: old.urrs.map((urr) => (random.once(2) ? renewed(random, urr) : urr)) };
    default:
      return { ...old, qers: old.qers.map((qer) => changedQer(random, qer)) };
  }
}
