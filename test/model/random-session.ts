/**
 * Random sessions from a small world, so that rules meet: few remote addresses and ports, few
 * QFIs, precedences that tie. Every session of number n has addresses and TEIDs of its own; n
 * and n + SHARING have the same UE addresses, in two data networks.
 */
import type { Random } from './random.js';
import type { Far, Forward, Pdi, Pdr, Qer, SdfFilter, Session, Urr, Volume } from './rules.js';

export const SESSIONS = 32;
const SHARING = 12;
/** From here on sessions share no address, and may have PDRs in both networks. */
const ALONE = 24;
export const REMOTES_V4 = ['203.0.113.9', '203.0.113.200', '198.51.100.7', '8.8.8.8'];
export const REMOTES_V6 = ['2001:db8::9', '2001:db8:1::9', '2001:db8:ffff::1', '2606:4700::1'];
export const PORTS = [53, 80, 443, 547, 5000, 5010, 40_000];
export const PROTOCOLS = [17, 17, 6, 1, 50, 132, 89];
export const TOS = [0, 0, 0x20, 0xb8];
export const SPIS = [0x11, 0x1234_5678];
export const FLOW_LABELS = [0, 0x7, 0xfffff];
export const QFIS = [1, 2, 9, 63];

export function sessionName(number: number): string {
  return `ue-${number}`;
}

export function randomSession(random: Random, number: number): Session {
  const qers = randomQers(random);
  const urrs = randomUrrs(random);
  const fars = randomFars(random);
  const ids = random.shuffled(Array.from({ length: 12 }, (_, i) => i + 1));
  const ends = new Ends(random, number);
  const rulesOf = (pdi: Pdi, far_id: number): Pdr => ({
    id: ids.pop()!,
    precedence: random.of([10, 20, 20, 30, 255]),
    pdi: { ...pdi, ...randomFilters(random) },
    ...(pdi.local_f_teid === undefined ? {} : { outer_header_removal: 'gtpu' as const }),
    far_id,
    qer_ids: random.some(qers.map((qer) => qer.id)),
    urr_ids: random.some(urrs.map((urr) => urr.id)),
  });
  const uplinkFars = [1, 1, 1, 4, 6, 7];
  const downlinkFars = [2, 2, 2, 3, 4, 5];
  const pdrs: Pdr[] = [];
  for (let i = random.between(1, 4); i > 0; i--) {
    pdrs.push(rulesOf(ends.uplink(), random.of(uplinkFars)));
  }
  for (let i = random.between(1, 4); i > 0; i--) {
    pdrs.push(rulesOf(ends.downlink(), random.of(downlinkFars)));
  }
  if (random.once(4)) pdrs.push(rulesOf(ends.fromUpf(), random.of(downlinkFars)));
  const name = sessionName(number);
  return { name, pdn_type: 'ipv4v6', pdrs: random.shuffled(pdrs), fars, qers, urrs };
}

/** Where packets of one session arrive. */
class Ends {
  readonly #address: NonNullable<Pdi['ue_address']>;
  readonly #chosenHere: boolean;
  readonly #instance: string;

  constructor(
    private readonly random: Random,
    private readonly number: number,
  ) {
    const shared = number < ALONE ? number % SHARING : number;
    const ipv4 = { ipv4: `10.60.1.${shared + 1}` };
    const ipv6 = { ipv6_prefix: `fd00:60:0:${shared + 1}::/64` };
    // The number says which, so that an update does not take the UE its address.
    this.#address = [{ ...ipv4, ...ipv6 }, { ...ipv4, ...ipv6 }, ipv4, ipv6][number % 4]!;
    this.#instance = number % (2 * SHARING) < SHARING ? 'internet' : 'ims';
    this.#chosenHere = number % 3 === 0;
  }

  uplink(): Pdi {
    const { random } = this;
    const tunnel = random.once(3) ? 1 : 0;
    const here = { choose_id: tunnel + 1 };
    const local = [{ ipv4: '10.0.0.1' }, { ipv4: '10.0.0.1', ipv6: 'fd00::1' }][this.number % 2];
    return {
      source_interface: 'access',
      ...(random.once(2) ? { network_instance: 'anything' } : {}),
      local_f_teid: this.#chosenHere ? here : { teid: this.#teid(tunnel), ...local },
      ...(random.once(4) ? {} : { ue_address: this.#address }),
      ...(random.once(4) ? { qfis: random.some(QFIS) } : {}),
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
      ue_address: this.#address,
    };
  }

  /** From another UPF: towards the UE, but in a tunnel. */
  fromUpf(): Pdi {
    return {
      source_interface: 'core',
      local_f_teid: { teid: this.#teid(2), ipv4: '10.0.0.1' },
      ...(this.random.once(2) ? { ue_address: this.#address } : {}),
    };
  }

  #teid(tunnel: number): number {
    return 0x1000 + this.number * 4 + tunnel;
  }
}

function randomFilters(random: Random): { sdf_filters?: SdfFilter[] } {
  if (random.once(2)) return {};
  const sdf_filters = Array.from({ length: random.between(1, 2) }, () => randomFilter(random));
  return { sdf_filters };
}

function randomFilter(random: Random): SdfFilter {
  const extra: SdfFilter = {
    ...(random.once(6) ? { tos: random.of(TOS), tos_mask: random.of([0xff, 0xfc, 0x20]) } : {}),
    ...(random.once(12) ? { spi: random.of(SPIS) } : {}),
    ...(random.once(12) ? { flow_label: random.of(FLOW_LABELS) } : {}),
  };
  if (Object.keys(extra).length > 0 && random.once(2)) return extra;
  const protocol = random.of(['ip', 'ip', '17', 'udp', '6', '1', 'esp', '132', '89']);
  const ports = ['ip', '17', 'udp', '6', '132'].includes(protocol);
  const from = random.of([
    'any',
    ...REMOTES_V4,
    '203.0.113.0/24',
    '203.0.113.0/25',
    '0.0.0.0/0',
    '2001:db8::/32',
    '2001:db8::/47',
    '::/0',
    ...REMOTES_V6,
  ]);
  const fromPorts = ports && random.once(3) ? ` ${randomPorts(random)}` : '';
  const toPorts = ports && random.once(5) ? ` ${randomPorts(random)}` : '';
  const to = random.of(['assigned', 'assigned', 'any', '10.60.1.0/28', 'fd00:60::/44']);
  const mixed = from !== 'any' && to.includes('.') !== from.includes('.');
  const place = mixed && to !== 'any' ? 'assigned' : to;
  const flow_description = `permit out ${protocol} from ${from}${fromPorts} to ${place}${toPorts}`;
  return { flow_description, ...extra };
}

function randomPorts(random: Random): string {
  return random.of(['53', '80,443', '5000-5010', '53,5000-5009', '0-65535', '40000']);
}

function randomFars(random: Random): Far[] {
  const gnb = (address: object, more: object = {}): Forward => ({
    destination_interface: 'access',
    outer_header_creation: { teid: random.between(1, 0xffff_ffff), ...address, ...more },
    ...(random.once(4) ? { dscp: random.of([0, 46, 63]) } : {}),
  });
  const toCore = (instance: string): Forward => ({
    destination_interface: 'core',
    network_instance: instance,
  });
  return [
    { id: 1, forward: toCore(random.of(['internet', 'ims'])) },
    { id: 2, forward: gnb({ ipv4: random.of(['10.0.0.2', '10.0.0.3']) }) },
    { id: 3, forward: gnb({ ipv6: 'fd00::2' }, random.once(3) ? { udp_port: 2153 } : {}) },
    { id: 4, drop: {} },
    { id: 5, forward: { destination_interface: 'access' } },
    { id: 6, forward: { ...gnb({ ipv4: '10.0.0.9' }), destination_interface: 'core' } },
    { id: 7, forward: { ...gnb({ ipv6: 'fd00::9' }), destination_interface: 'core' } },
  ];
}

function randomQers(random: Random): Qer[] {
  const rate = () => random.of([undefined, 0, 8, 8, 64, 1_000, 50_000]);
  const rates = (): Partial<Qer> => {
    const up = random.once(2) ? undefined : rate();
    const down = random.once(2) ? undefined : rate();
    return {
      ...(up === undefined || (up === 0 && !random.once(8)) ? {} : { uplink_mbr_kbps: up }),
      ...(down === undefined || (down === 0 && !random.once(8)) ? {} : { downlink_mbr_kbps: down }),
    };
  };
  const marking = (): Partial<Qer> => ({
    qfi: random.of(QFIS),
    ...(random.once(2) ? { rqi: true } : {}),
    ...(random.once(3) ? { ppi: random.below(8) } : {}),
  });
  const shared = { ...rates(), shared_bucket: 'ambr' };
  const all: Qer[] = [
    { id: 1, ...marking(), ...rates() },
    { id: 2, ...(random.once(2) ? marking() : {}), ...rates() },
    { id: 3, ...shared },
    { id: 4, ...shared, ...(random.once(4) ? marking() : {}) },
    {
      id: 5,
      ...(random.once(6) ? { uplink_gate_closed: true } : {}),
      ...(random.once(6) ? { downlink_gate_closed: true } : {}),
    },
  ];
  return random.some(all);
}

function randomUrrs(random: Random): Urr[] {
  const volume = (sizes: readonly number[]): Volume => {
    const total = random.once(2) ? { total_bytes: random.of(sizes) } : {};
    const up = random.once(3) ? { uplink_bytes: random.of(sizes) } : {};
    const down = random.once(3) ? { downlink_bytes: random.of(sizes) } : {};
    return { ...total, ...up, ...down };
  };
  const all = [1, 2, 3].map((id): Urr => {
    const threshold = random.once(2) ? volume([100, 1_000, 1_500, 20_000]) : {};
    const quota = random.once(4) ? randomQuota(random, volume) : {};
    return {
      id,
      measure_volume: true,
      ...(random.once(4) ? { measure_duration: true } : {}),
      ...(Object.keys(threshold).length > 0 ? { volume_threshold: threshold } : {}),
      ...(Object.keys(quota).length > 0 ? { volume_quota: quota } : {}),
    };
  });
  return random.some(all);
}

function randomQuota(random: Random, volume: (sizes: readonly number[]) => Volume): Volume {
  if (random.once(6)) return { total_bytes: 0 };
  return volume(random.once(6) ? [0, 30_000] : [1_000, 30_000, 500_000]);
}

/** The session as it was, but for a part that is drawn again. */
export function changedSession(random: Random, old: Session, number: number): Session {
  const fresh = randomSession(random, number);
  switch (random.below(6)) {
    case 0:
      return fresh;
    case 1:
      return { ...old, fars: fresh.fars };
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

function renewed(random: Random, urr: Urr): Urr {
  return { ...urr, volume_quota: { total_bytes: random.of([1_000, 30_000, 500_000]) } };
}

/** Members of a shared bucket keep their rates: they are one bucket's. */
function changedQer(random: Random, qer: Qer): Qer {
  if (random.once(2)) return qer;
  if (qer.shared_bucket !== undefined) return { ...qer, uplink_gate_closed: random.once(4) };
  return { ...qer, uplink_mbr_kbps: random.of([64, 1_000]), downlink_gate_closed: random.once(4) };
}
