/**
 * What a FAR does with a packet: copies, then the packet itself, to a tunnel or to N6, whole,
 * in pieces, or not at all.
 */
import { type Container, END_MARKER, G_PDU } from '../wire/gtpu.js';
import { icmpError, inPieces, mayBeTold, oneHopOn, type Trouble, withSmallerMss } from './fit.js';
import {
  addressOf,
  carries,
  type Effect,
  type ModelPacket,
  type ModelPort,
  plainPacket,
  type SentTunnel,
} from './packet.js';
import {
  directionOf,
  type Far,
  type Forward,
  type OuterHeader,
  type Pdr,
  qersOf,
  type Session,
} from './rules.js';

const UDP_PORT = 2152;
const SECOND = 1e9;

/** A packet on its way out, and the rules that it has met. */
export interface Leaving {
  readonly session: Session;
  readonly pdr: Pdr;
  readonly packet: ModelPacket;
  readonly nowNs: number;
}

/** What the way out makes of a packet, and whom that is told. */
type Exit = { readonly effects: readonly Effect[] } | Refusal;
interface Refusal {
  readonly dropped: string;
  readonly tell?: {
    readonly trouble: Trouble;
    /** The port on whose side the sender is. */
    readonly side: number;
    readonly mtu: number;
  };
}

/** Whatever its packets are, none of them leaves, nor a copy. */
export function goesNowhere({ duplicates = [], forward: rule, buffer }: Far): boolean {
  if (buffer !== undefined || duplicates.length > 0) return false;
  return rule === undefined || lacksTunnel(rule);
}

function lacksTunnel({ destination_interface, outer_header_creation }: Forward): boolean {
  return outer_header_creation === undefined && destination_interface === 'access';
}

export class Forwarder {
  /** Packets that enter again, as if N6 had sent them. */
  #again: ModelPacket[] = [];
  #errorsSince = Number.NEGATIVE_INFINITY;
  #errors = 0;

  constructor(
    private readonly ports: readonly ModelPort[],
    private readonly icmpErrorsPerSecond: number,
  ) {}

  takeAgain(): ModelPacket[] {
    const again = this.#again;
    this.#again = [];
    return again;
  }

  /**
   * Why the packet itself can't leave, and what is said of it: asked before anything is charged.
   * @param turns  the packet is for a UE of the network that the FAR sends it to.
   */
  refuse(leaving: Leaving, { forward: rule, buffer }: Far, turns: boolean): Effect[] | undefined {
    if (buffer !== undefined || rule === undefined || lacksTunnel(rule)) return undefined;
    const exit = turns
      ? this.#turnRound(leaving, this.portOf(rule))
      : this.#exit(leaving, rule, false);
    return 'dropped' in exit ? this.#refused(leaving, exit) : undefined;
  }

  /** @param turns  as for refuse(). */
  forward(leaving: Leaving, far: Far, turns: boolean): Effect[] {
    const { duplicates = [], forward: rule, buffer } = far;
    // What a FAR buffers is duplicated by the FAR that lets it go.
    if (buffer !== undefined) return [{ dropped: 'far_buffer' }];
    const effects: Effect[] = [];
    for (const copy of duplicates) {
      const exit = this.#exit(leaving, copy, true);
      // Nobody hears of a copy.
      effects.push(...('dropped' in exit ? [{ dropped: exit.dropped }] : exit.effects));
    }
    if (rule === undefined) effects.push({ dropped: 'far_drop' });
    else if (turns) {
      const port = this.portOf(rule);
      const exit = this.#turnRound(leaving, port);
      if ('dropped' in exit) effects.push(...this.#refused(leaving, exit));
      else this.#again.push(exit);
    } else {
      const exit = this.#exit(leaving, rule, false);
      effects.push(...('dropped' in exit ? this.#refused(leaving, exit) : exit.effects));
    }
    return effects;
  }

  portOf({ outer_header_creation: outer, network_instance: instance }: Forward): number {
    const role = outer === undefined ? 'core' : 'access';
    return this.ports.findIndex((one) => one.role === role && carries(one, instance));
  }

  tunnelOf(outer: OuterHeader, port: number, tos: number, type: number): SentTunnel {
    const destination = addressOf(outer.ipv4 ?? outer.ipv6 ?? '');
    const own = this.ports[port]!.addresses.map(addressOf);
    const source = own.find((address) => address.length === destination.length)!;
    const udpPort = outer.udp_port || UDP_PORT;
    return { source, destination, udpPort, teid: outer.teid, tos, type };
  }

  endMarker(outer: OuterHeader): Effect {
    const port = this.portOf({ destination_interface: 'access', outer_header_creation: outer });
    return { port, bytes: new Uint8Array(0), tunnel: this.tunnelOf(outer, port, 0, END_MARKER) };
  }

  #exit(leaving: Leaving, rule: Forward, isCopy: boolean): Exit {
    const { packet, pdr, session } = leaving;
    const { outer_header_creation: outer } = rule;
    if (lacksTunnel(rule)) return { dropped: 'no_tunnel' };
    const to = this.portOf(rule);
    const { mtu } = this.ports[to]!;
    const container = outer && containerOf(session, pdr, rule, packet);
    const tunnel = outer && {
      ...this.tunnelOf(outer, to, (rule.dscp ?? 0) << 2, G_PDU),
      ...(container === undefined ? {} : { container }),
    };
    const roomIn = (header?: SentTunnel) => mtu - (header === undefined ? 0 : outerBytes(header));
    if (pdr.outer_header_removal === 'none' && packet.tunnel !== undefined) {
      // A tunnel packet is not cut up, nor does its UE hear of it.
      const fits = packet.whole.length <= roomIn(tunnel);
      return fits ? { effects: [sent(to, packet.whole, tunnel)] } : { dropped: 'mtu_exceeded' };
    }
    const pdcpNumber = isCopy ? undefined : packet.tunnel?.pdcpNumber;
    const numbered = tunnel && pdcpNumber ? { ...tunnel, pdcpNumber } : tunnel;
    const pieces = this.#fit(leaving, to, roomIn(numbered));
    if ('dropped' in pieces) return pieces;
    // A PDCP number is that of the whole packet.
    const header = pieces.length === 1 ? numbered : tunnel;
    return { effects: pieces.map((piece) => sent(to, piece, header)) };
  }

  #fit({ packet, pdr }: Leaving, to: number, room: number): Uint8Array[] | Refusal {
    const { inner } = packet;
    const [from, out] = [this.ports[packet.port]!, this.ports[to]!];
    const side = directionOf(pdr) === 'uplink' ? to : packet.port;
    let bytes = packet.bytes;
    // What turns round here has lost its hop before.
    if ((from.decrementTtl || out.decrementTtl) && packet.turned !== true) {
      const next = oneHopOn(bytes);
      if (next === undefined) return noHopLeft(side);
      bytes = next;
    }
    const version = inner.source.length === 4 ? 'v4' : 'v6';
    const mss = Math.min(from.mss?.[version] ?? Infinity, out.mss?.[version] ?? Infinity);
    if (mss !== Infinity) bytes = withSmallerMss(bytes, inner, mss);
    if (bytes.length <= room) return [bytes];
    const tell = { trouble: 'too big', side, mtu: room } as const;
    return inPieces(bytes, room) ?? { dropped: 'mtu_exceeded', tell };
  }

  #turnRound({ packet }: Leaving, port: number): ModelPacket | Refusal {
    const next = oneHopOn(packet.bytes);
    return next === undefined ? noHopLeft(port) : plainPacket(port, next, true);
  }

  #refused(leaving: Leaving, { dropped, tell }: Refusal): Effect[] {
    const told = tell === undefined ? [] : this.#tell(leaving, tell);
    return [...told, { dropped }];
  }

  #tell(leaving: Leaving, { trouble, side, mtu }: NonNullable<Refusal['tell']>): Effect[] {
    const { packet, pdr, nowNs } = leaving;
    const { role, icmpSource } = this.ports[side]!;
    const source = packet.inner.source.length === 4 ? icmpSource.v4 : icmpSource.v6;
    // From a tunnel towards the UE there is no way back to the sender.
    if (role === 'access' || source === undefined || !mayBeTold(packet.inner)) return [];
    if (nowNs - this.#errorsSince >= SECOND) {
      this.#errorsSince = nowNs;
      this.#errors = 0;
    }
    if (this.#errors >= this.icmpErrorsPerSecond) return [];
    this.#errors++;
    const message = icmpError(trouble, packet.bytes, source, mtu);
    const toUe = directionOf(pdr) === 'uplink' || packet.turned === true;
    if (!toUe) return [{ port: side, bytes: message }];
    this.#again.push(plainPacket(side, message, true));
    return [];
  }

  restart(): void {
    this.#errorsSince = Number.NEGATIVE_INFINITY;
  }
}

function noHopLeft(side: number): Refusal {
  return { dropped: 'ttl_exceeded', tell: { trouble: 'time exceeded', side, mtu: 0 } };
}

function sent(port: number, bytes: Uint8Array, tunnel: SentTunnel | undefined): Effect {
  return tunnel === undefined ? { port, bytes } : { port, bytes, tunnel };
}

/** IP, UDP, GTP-U, its container (4 bytes, 8 with a paging policy) and a PDCP number. */
function outerBytes({ destination, container, pdcpNumber }: SentTunnel): number {
  const ip = destination.length === 4 ? 20 : 40;
  const marks = container === undefined ? 0 : container.ppi === undefined ? 4 : 8;
  const extensions = marks + (pdcpNumber === undefined ? 0 : pdcpNumber.content.length + 2);
  return ip + 16 + (extensions === 0 ? 0 : 4 + extensions);
}

/**
 * The PDU Session Container: each mark of the first QER that has it; without a QFI there, the one
 * that came along, else the default. The far side says which of the two kinds.
 */
function containerOf(
  session: Session,
  pdr: Pdr,
  { destination_interface: to }: Forward,
  packet: ModelPacket,
): Container | undefined {
  const uplink = to !== 'access';
  const qfi = qfiOf(session, pdr, packet);
  if (qfi === undefined) return undefined;
  if (uplink) return { uplink, qfi };
  const qers = qersOf(session, pdr);
  const rqi = qers.some((qer) => qer.rqi === true);
  const ppi = qers.find((qer) => qer.ppi !== undefined)?.ppi;
  return { uplink, qfi, rqi, ...(ppi === undefined ? {} : { ppi }) };
}

/** The QER's, else the packet's own, else, towards the UE, the session's first. */
export function qfiOf(session: Session, pdr: Pdr, packet: ModelPacket): number | undefined {
  const marking = qersOf(session, pdr).find((qer) => qer.qfi !== undefined)?.qfi;
  const own = marking ?? packet.tunnel?.qfi;
  if (own !== undefined || directionOf(pdr) === 'uplink') return own;
  return session.qers.find((qer) => qer.qfi !== undefined)?.qfi;
}
