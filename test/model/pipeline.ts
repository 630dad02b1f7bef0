/**
 * What becomes of a packet. {@link Pipeline.burst} reads top to bottom as the rules do: find
 * the session, find the PDR, look at addresses, hold, police, account, forward.
 */
import type { IpPolicy } from '../../src/datapath/datapath.js';
import { countDropped, countPacket, reportAll, type Spent, urrsOf } from './account.js';
import { type Forwarder, goesNowhere, qfiOf } from './forward.js';
import { barOf, type Episode, type Holds, limitOf } from './hold.js';
import { canMatch, directionFor, isStillOf, match, pdrsOfTunnel } from './match.js';
import type { Effect, ModelPacket, ModelPort } from './packet.js';
import { isGateClosed, isWithinRates } from './police.js';
import { fromN6, towardsN6 } from './policy.js';
import type { Reassembly } from './reassembly.js';
import { type Far, farOf, tunnelsOf } from './rules.js';
import type { LivePdr, LiveSession, SessionIndex } from './session.js';
import type { Signals } from './signals.js';
import type { UsageReport } from './usage.js';

/** What all packets go through. */
export interface Parts {
  readonly ports: readonly ModelPort[];
  readonly policy: IpPolicy;
  readonly sessions: ReadonlyMap<string, LiveSession>;
  readonly index: SessionIndex;
  readonly holds: Holds;
  readonly forwarder: Forwarder;
  readonly reassembly: Reassembly;
  readonly signals: Signals;
  /** Reports are put there. */
  readonly reports: () => UsageReport[];
  /** A packet of that many bytes has met the URRs; those that measure volume by their IDs. */
  readonly counted: (live: LiveSession, urrs: readonly number[], bytes: number) => void;
}

/** Packets that go through the stages together. */
export const BURST = 64;
const NO_LIMIT = Infinity;
/** How the rules of a PDR discard packets. */
const DISCARDED = new Set([
  'gate_closed',
  'mbr_exceeded',
  'quota_exhausted',
  'far_drop',
  'far_buffer',
]);

export class Pipeline {
  constructor(private readonly parts: Parts) {}

  /**
   * Packets of one port that come together, then what turns round, then End Markers.
   * @returns by packet, and at the end what leaves behind all of them.
   */
  burst(packets: readonly ModelPacket[], nowNs: number): Effect[][] {
    const markers: Effect[] = [];
    const effects = packets.map((packet) => this.#enter(packet, nowNs, markers));
    const expired = this.parts.reassembly.expire(nowNs);
    return [...effects, [...this.#turnedRound(nowNs), ...markers, ...expired]];
  }

  /** New rules: all that the session holds is asked again, in order, burst by burst. */
  release(live: LiveSession, nowNs: number): Effect[] {
    const effects: Effect[] = [];
    const row = this.parts.holds.drain(live.session.name);
    for (let episode = row.shift(); episode !== undefined; episode = row.shift()) {
      effects.push(...this.#releaseBurst(live, episode, nowNs));
      if (episode.packets.length > 0) row.push(episode);
      else this.parts.holds.endDrain(episode, nowNs);
    }
    return effects;
  }

  #releaseBurst(live: LiveSession, episode: Episode, nowNs: number): Effect[] {
    const markers: Effect[] = [];
    const effects: Effect[] = [];
    const port = episode.packets[0]?.packet.port;
    const same = episode.packets.slice(0, BURST).findIndex(({ packet }) => packet.port !== port);
    for (const held of episode.packets.splice(0, same < 0 ? BURST : same)) {
      const { packet } = held;
      const keep = () => episode.kept.push(held);
      if (packet.tunnel?.ends === true) {
        effects.push(...this.#endOfPath(live, packet, nowNs, markers));
      } else if (isStillOf(live, packet)) effects.push(...this.#apply(live, packet, nowNs, keep));
      else effects.push(...this.#unknown(packet, nowNs));
    }
    return [...effects, ...this.#turnedRound(nowNs), ...markers];
  }

  #turnedRound(nowNs: number): Effect[] {
    const effects: Effect[] = [];
    for (let all = this.parts.forwarder.takeAgain(); all.length > 0; ) {
      // By bursts, and in each port by port.
      const burst = all.splice(0, BURST).sort((a, b) => a.port - b.port);
      for (const packet of burst) effects.push(...this.#arrive(packet, nowNs, effects));
      all.push(...this.parts.forwarder.takeAgain());
    }
    return effects;
  }

  /** From outside: perhaps but a piece of a packet. */
  #enter(packet: ModelPacket, nowNs: number, markers: Effect[]): Effect[] {
    if (packet.fragment === undefined) return this.#arrive(packet, nowNs, markers);
    const { whole, ended } = this.parts.reassembly.add(packet.fragment, nowNs);
    return whole === undefined ? ended : [...ended, ...this.#arrive(whole, nowNs, markers)];
  }

  #arrive(packet: ModelPacket, nowNs: number, markers: Effect[]): Effect[] {
    const { signals } = this.parts;
    if (packet.broken !== undefined) return [{ dropped: packet.broken }];
    if (packet.signal !== undefined) {
      return signals.take(packet.signal, packet.port, this.parts.sessions.values());
    }
    if (packet.tunnel?.unknown === true) {
      return [...signals.supportedExtensions(packet, nowNs), { dropped: 'gtpu_unknown_extension' }];
    }
    const isMarker = packet.tunnel?.ends === true;
    if (packet.inner.ttl === 0 && !isMarker) return [{ dropped: 'ttl_exceeded' }];
    const live = this.find(packet);
    if (!isMarker) {
      if (typeof live === 'string') return this.#nobodys(packet, live, nowNs);
      return this.#apply(live, packet, nowNs);
    }
    if (typeof live === 'string') return [{ dropped: 'end_marker' }];
    const { holds } = this.parts;
    const place = { session: live.session.name, direction: directionFor(live, packet) };
    const waits = holds.has(place) && holds.hold(place, packet, nowNs, NO_LIMIT);
    return waits ? [] : this.#endOfPath(live, packet, nowNs, markers);
  }

  /** Held packets whose session has left their tunnel or address. */
  #unknown(packet: ModelPacket, nowNs: number): Effect[] {
    const found = this.find(packet);
    if (packet.tunnel === undefined) return [{ dropped: 'unknown_ue' }];
    if (typeof found !== 'string') return [{ dropped: 'unknown_teid' }];
    return this.#nobodys(packet, 'unknown_teid', nowNs);
  }

  #nobodys(packet: ModelPacket, dropped: string, nowNs: number): Effect[] {
    const { signals } = this.parts;
    const answer = dropped === 'unknown_teid' ? signals.errorIndication(packet, nowNs) : [];
    return [...answer, { dropped }];
  }

  /** The session, or the reason for which there is none. */
  find({ tunnel, port, inner }: ModelPacket): LiveSession | string {
    const { index, sessions } = this.parts;
    const to = inner.destination;
    const name =
      tunnel === undefined ? index.byAddress(to, port) : index.byTunnel(tunnel.local, tunnel.teid);
    if (name !== undefined) return sessions.get(name)!;
    if (tunnel !== undefined) return 'unknown_teid';
    const isMulticast = to.length === 16 ? to[0] === 0xff : to[0]! >>> 4 === 14;
    return isMulticast ? 'multicast' : 'unknown_ue';
  }

  /** An End Marker goes into each tunnel that its own leads into, and URRs may report it. */
  #endOfPath(live: LiveSession, packet: ModelPacket, nowNs: number, markers: Effect[]): Effect[] {
    const pdrs = pdrsOfTunnel(live, packet.tunnel!).filter((pdr) => canMatch(live, pdr));
    const fars = pdrs.map(({ pdr }) => farOf(live.session, pdr.far_id));
    for (const outer of tunnelsOf(fars)) markers.push(this.parts.forwarder.endMarker(outer));
    const told = [...live.usage.values()].filter(
      ({ urr }) =>
        urr.report_end_marker === true &&
        urr.paused !== true &&
        pdrs.some(({ pdr }) => pdr.urr_ids?.includes(urr.id)),
    );
    reportAll(live, told, 'end_marker', nowNs, this.parts.reports());
    return [{ dropped: 'end_marker' }];
  }

  /** @param keep  the packet was held and is asked again; this holds it further. */
  #apply(live: LiveSession, packet: ModelPacket, nowNs: number, keep?: () => void): Effect[] {
    const pdr = match(live, packet);
    if (typeof pdr === 'string') return [{ dropped: pdr }];
    const effects = this.#applyRules(live, pdr, packet, nowNs, keep);
    const discarded = effects.some(
      (effect) => 'dropped' in effect && DISCARDED.has(effect.dropped),
    );
    if (discarded && pdr.direction === 'downlink') {
      countDropped(live, pdr.pdr, packet.inner.bytes, nowNs, this.parts.reports());
    }
    return effects;
  }

  #applyRules(
    live: LiveSession,
    pdr: LivePdr,
    packet: ModelPacket,
    nowNs: number,
    keep?: () => void,
  ): Effect[] {
    const far = farOf(live.session, pdr.pdr.far_id);
    const keepsOuter = pdr.pdr.outer_header_removal === 'none';
    const looked = this.#look(pdr, far, packet, keepsOuter);
    if (looked !== undefined && looked !== 'turn') return [{ dropped: looked }];
    if (!isGateClosed(live, pdr)) {
      const held = this.#hold(live, pdr, far, packet, nowNs, keep);
      if (held !== undefined) return held ? [] : [{ dropped: 'far_buffer' }];
    }
    const leaving = { session: live.session, pdr: pdr.pdr, packet, nowNs };
    const { forwarder } = this.parts;
    if (goesNowhere(far)) return forwarder.forward(leaving, far, false);
    if (!isGateClosed(live, pdr)) {
      const refused = forwarder.refuse(leaving, far, looked === 'turn');
      if (refused !== undefined) return refused;
    }
    const spent = this.#policeAndCount(live, pdr, packet, nowNs);
    if (typeof spent === 'string') return [{ dropped: spent }];
    if (spent.far === undefined) return forwarder.forward(leaving, far, looked === 'turn');
    // A quota's FAR takes the outer header off, whatever the PDR says.
    const removing = { ...leaving, pdr: { ...pdr.pdr, outer_header_removal: 'gtpu' as const } };
    return forwarder.forward(removing, spent.far, spent.turns === true);
  }

  /** URRs that measure before policing, gates, bit rates, the other URRs. */
  #policeAndCount(live: LiveSession, pdr: LivePdr, packet: ModelPacket, nowNs: number): Spent {
    const { bytes } = packet.inner;
    const first: Spent = this.#count(live, pdr, true, packet, nowNs);
    if (typeof first === 'string') return first;
    if (isGateClosed(live, pdr)) return 'gate_closed';
    if (!isWithinRates(live, pdr, bytes, nowNs)) return 'mbr_exceeded';
    const then: Spent = this.#count(live, pdr, false, packet, nowNs);
    if (typeof then === 'string') return then;
    return then.far === undefined ? first : then;
  }

  #count(live: LiveSession, pdr: LivePdr, first: boolean, packet: ModelPacket, nowNs: number) {
    const { bytes } = packet.inner;
    const spent = countPacket(live, pdr, first, bytes, nowNs, this.parts.reports());
    const passes = typeof spent !== 'string';
    const urrs = passes ? urrsOf(live, pdr.pdr, first).map((usage) => usage.urr) : [];
    const measured = urrs.flatMap((urr) => (urr.measure_volume === true ? [urr.id] : []));
    this.parts.counted(live, measured, bytes);
    if (!passes) return spent;
    if (spent.far === undefined) return spent;
    // A quota's FAR has to bear the same look as the PDR's.
    const looked = this.#look(pdr, spent.far, packet, false);
    return looked === undefined || looked === 'turn'
      ? { ...spent, turns: looked === 'turn' }
      : looked;
  }

  /** Addresses: why the packet may not go on, "turn", or undefined. */
  #look(
    { direction }: LivePdr,
    far: Far,
    packet: ModelPacket,
    keepsOuter: boolean,
  ): string | undefined {
    const { policy, ports, index, forwarder } = this.parts;
    if (direction === 'downlink') {
      return packet.tunnel === undefined ? fromN6(packet, policy) : undefined;
    }
    const { forward: rule } = far;
    const toN6 =
      rule !== undefined &&
      rule.outer_header_creation === undefined &&
      rule.destination_interface !== 'access';
    // With its outer header on, the packet is another's to judge.
    if (!toN6 || keepsOuter) return undefined;
    return towardsN6(packet.inner, forwarder.portOf(rule), policy, ports, index);
  }

  /** undefined: the packet goes on; false: there is no place to hold it. */
  #hold(
    live: LiveSession,
    { pdr, direction }: LivePdr,
    { buffer }: Far,
    packet: ModelPacket,
    nowNs: number,
    keep: (() => void) | undefined,
  ): boolean | undefined {
    const { holds } = this.parts;
    const place = { session: live.session.name, direction };
    // While what is held leaves, what comes queues behind.
    const queues = keep === undefined && holds.isDraining(place);
    if (buffer === undefined && !queues) return undefined;
    const bar = barOf(live.session, buffer?.bar_id);
    if (keep !== undefined) keep();
    else if (!holds.hold(place, packet, nowNs, limitOf(bar))) return false;
    if (buffer?.notify === true) {
      const qfi = qfiOf(live.session, pdr, packet) ?? 0;
      holds.want(place, { pdr: pdr.id, qfi }, bar, nowNs);
    }
    return true;
  }
}
