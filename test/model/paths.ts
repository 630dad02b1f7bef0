/**
 * Paths to tunnel peers (TS 29.281 clause 7.2): every peer that rules send to is asked by Echo
 * Requests. When exactly a new peer is asked first, the packet path alone knows; so what comes
 * next of each path is due within a span of time, and a request that is seen must lie in it.
 */
import type { PeerStatus } from '../../src/datapath/datapath.js';
import type { SentPacket } from '../../src/datapath/packet-exchange.js';
import { type Address, formatAddress, sameAddress } from '../wire/address.js';
import { ECHO_REQUEST, type GtpuPacket, parseGtpu } from '../wire/gtpu.js';
import { addressOf, type ModelPort, type Signal } from './packet.js';
import { farsInUse, type Session } from './rules.js';
import { ceilTick } from './usage.js';

const UDP_PORT = 2152;
const MS = 1e6;
/** A peer is found within a tenth of a second, */
const FOUND_NS = 100 * MS;
/** and first asked within another 63 parts of 16 ms, so that not all are asked at once. */
const SPREAD_NS = 63 * 16 * MS;

export interface EchoLimits {
  readonly echoIntervalMs: number;
  readonly echoTimeoutMs: number;
  readonly echoTries: number;
}
/** From when and until when something happens. */
interface Span {
  readonly fromNs: number;
  readonly toNs: number;
}
interface Peer {
  readonly address: Address;
  readonly udpPort: number;
}
interface Path extends Peer {
  state: PeerStatus['state'];
  transitions: number;
  /** Requests that no answer came to. */
  tries: number;
  sequence: number;
  sent: Span;
  roundTrip: Span;
  /** The next request, or the end of the wait for the answer to the last one. */
  due: Span;
}
/** A request that waits for its answer, whose end nobody has to guess at. */
export interface Asked {
  readonly address: Address;
  readonly local: Address;
  readonly sequence: number;
}

export class Paths {
  /** How often paths became what they are. */
  readonly changes = new Map<PeerStatus['state'], number>();
  readonly #paths = new Map<string, Path>();
  #sequence = 0;
  #nowNs: number;

  constructor(
    private readonly limits: EchoLimits,
    private readonly port: ModelPort,
    startNs: number,
  ) {
    this.#nowNs = startNs;
  }

  /** Rules that are in force from now on. */
  use(sessions: Iterable<Session>, nowNs: number): void {
    const used = new Map([...sessions].flatMap(peersOf).map((peer) => [nameOf(peer), peer]));
    for (const name of this.#paths.keys()) if (!used.has(name)) this.#paths.delete(name);
    for (const [name, peer] of used) {
      if (!this.#paths.has(name)) this.#paths.set(name, newPath(peer, nowNs));
    }
  }

  /** All paths are unknown again, and requests are numbered from the start. */
  restart(nowNs: number): void {
    this.#sequence = 0;
    this.#nowNs = nowNs;
    for (const [name, path] of this.#paths) this.#paths.set(name, newPath(path, nowNs));
  }

  /** Time went on, and these requests left meanwhile. @returns what is wrong about them. */
  turn(requests: readonly GtpuPacket[], nowNs: number): string | undefined {
    const byPath = new Map<Path, GtpuPacket[]>();
    for (const request of requests) {
      const path = this.#pathOf(request);
      const { destination } = request.outer;
      if (path === undefined) return `an Echo Request to ${formatAddress(destination)}`;
      const wrong = this.#wrongIn(request);
      if (wrong !== undefined) return `the path to ${nameOf(path)}: ${wrong}`;
      byPath.set(path, [...(byPath.get(path) ?? []), request]);
    }
    for (const path of this.#paths.values()) {
      const wrong = this.#advance(path, byPath.get(path) ?? [], nowNs);
      if (wrong !== undefined) return `the path to ${nameOf(path)}: ${wrong}`;
    }
    this.#nowNs = nowNs;
    return undefined;
  }

  /** What waits for an answer, and goes on waiting at this moment in any case. */
  asked(nowNs: number): Asked[] {
    return [...this.#paths.values()]
      .filter(({ tries, due }) => tries > 0 && due.fromNs > nowNs)
      .map(({ address, sequence }) => ({ address, local: this.#localFor(address), sequence }));
  }

  /** An Echo Response. One with another number, or from somebody else, says nothing. */
  answer(signal: Signal, nowNs: number): void {
    if (signal.kind !== 'echo response') return;
    const { peer, sequence } = signal;
    for (const path of this.#paths.values()) {
      const isAsked = path.tries > 0 && path.sequence === sequence;
      if (!isAsked || !sameAddress(path.address, peer)) continue;
      path.tries = 0;
      path.roundTrip = { fromNs: nowNs - path.sent.toNs, toNs: nowNs - path.sent.fromNs };
      path.due = this.#after({ fromNs: nowNs, toNs: nowNs }, this.limits.echoIntervalMs);
      this.#become(path, 'up');
    }
  }

  /** @returns where the packet path says something else of its peers. */
  difference(found: readonly PeerStatus[], nowNs: number): string | undefined {
    const names = found.map(({ address, udpPort }) => `${address} ${udpPort}`).sort();
    const known = [...this.#paths.keys()].sort();
    if (names.join() !== known.join()) return `peers ${names.join()}, not ${known.join()}`;
    for (const [name, path] of this.#paths) {
      // It may be given up by now, or not yet.
      if (path.tries === this.limits.echoTries && path.due.fromNs <= nowNs) continue;
      const { state, transitions, roundTripUs } = found.find(
        ({ address, udpPort }) => `${address} ${udpPort}` === name,
      )!;
      const { fromNs, toNs } = path.roundTrip;
      const inTime = roundTripUs >= Math.floor(fromNs / 1e3) && roundTripUs <= toNs / 1e3;
      if (state === path.state && transitions === path.transitions && inTime) continue;
      const is = `${state}, ${transitions} changes, ${roundTripUs} us`;
      return `${name} is ${is}, not ${path.state}, ${path.transitions} changes`;
    }
    return undefined;
  }

  #wrongIn({ outer, sequence, teid, body }: GtpuPacket): string | undefined {
    this.#sequence = (this.#sequence + 1) & 0xffff;
    const local = this.#localFor(outer.destination);
    if (sequence !== this.#sequence) return `its number should be ${this.#sequence}`;
    if (!sameAddress(outer.source, local)) return 'not from our address';
    if (outer.sourcePort !== UDP_PORT) return 'answers would not come to the GTP-U port';
    if (outer.wrong?.length !== 0) return 'a wrong checksum';
    return teid === 0 && body.length === 0 ? undefined : 'more than an Echo Request';
  }

  #advance(path: Path, requests: GtpuPacket[], nowNs: number): string | undefined {
    for (;;) {
      const { fromNs, toNs } = path.due;
      const isGivenUp = path.tries === this.limits.echoTries;
      const request = isGivenUp ? undefined : requests.shift();
      const isOver = isGivenUp && (toNs <= nowNs || requests.length > 0);
      if (request === undefined && !isOver) {
        return !isGivenUp && toNs <= nowNs ? 'a request is missing' : undefined;
      }
      if (fromNs > nowNs) return 'a request before its time';
      if (request === undefined) {
        // Nobody sees when.
        path.tries = 0;
        this.#become(path, 'down');
        path.due = this.#after(path.due, this.limits.echoIntervalMs);
      } else {
        path.tries++;
        path.sequence = request.sequence!;
        path.sent = { fromNs: Math.max(fromNs, this.#nowNs), toNs: Math.min(toNs, nowNs) };
        path.due = this.#after(path.sent, this.limits.echoTimeoutMs);
      }
    }
  }

  #become(path: Path, state: PeerStatus['state']): void {
    if (path.state === state) return;
    path.state = state;
    path.transitions++;
    this.changes.set(state, (this.changes.get(state) ?? 0) + 1);
  }

  #after({ fromNs, toNs }: Span, ms: number): Span {
    return { fromNs: fromNs + ms * MS, toNs: ceilTick(toNs + ms * MS) };
  }

  #pathOf({ outer }: GtpuPacket): Path | undefined {
    const { destination, destinationPort } = outer;
    return this.#paths.get(nameOf({ address: destination, udpPort: destinationPort ?? 0 }));
  }

  #localFor(peer: Address): Address {
    return this.port.addresses.map(addressOf).find((own) => own.length === peer.length)!;
  }
}

/** Of what left: an Echo Request, if it is one. */
export function echoRequestIn({ bytes }: SentPacket): GtpuPacket | undefined {
  const upper = bytes[0]! >>> 4 === 4 ? 28 : 48;
  return bytes[upper + 1] === ECHO_REQUEST ? parseGtpu(bytes) : undefined;
}

/** What a FAR buffers is copied, if at all, by the FAR that lets it go. */
function peersOf(session: Session): Peer[] {
  return farsInUse(session)
    .flatMap(({ forward, duplicates = [], buffer }) => (buffer ? [] : [forward, ...duplicates]))
    .flatMap((rule) => rule?.outer_header_creation ?? [])
    .map(({ ipv4, ipv6, udp_port }) => ({
      address: addressOf(ipv4 ?? ipv6 ?? ''),
      udpPort: udp_port || UDP_PORT,
    }));
}

function newPath({ address, udpPort }: Peer, nowNs: number): Path {
  const nothing = { fromNs: 0, toNs: 0 };
  return {
    address,
    udpPort,
    state: 'unknown',
    transitions: 0,
    tries: 0,
    sequence: 0,
    sent: nothing,
    roundTrip: nothing,
    due: { fromNs: nowNs, toNs: ceilTick(ceilTick(nowNs + FOUND_NS) + SPREAD_NS) },
  };
}

function nameOf({ address, udpPort }: Peer): string {
  return `${formatAddress(address)} ${udpPort}`;
}
