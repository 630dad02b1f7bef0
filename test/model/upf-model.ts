/**
 * Sessions, and what becomes of a packet. Reads top to bottom as the rules do: find the
 * session, find the PDR, police, account, forward. Time is nanoseconds and given.
 */
import { type Address, isLinkLocal, sameAddress, startsWith } from '../wire/address.js';
import { ICMPV6, type IpPacket, UDP } from '../wire/ip.js';
import { Bucket } from './bucket.js';
import { type FlowFilter, filterMatches, readFilter } from './filter.js';
import {
  addressOf,
  carries,
  forward,
  type ModelPacket,
  type ModelPort,
  qersOf,
  type Verdict,
} from './forward.js';
import { type Direction, directionOf, type Pdr, type Qer, type Session } from './rules.js';
import { UrrUsage, type UsageReport } from './usage.js';

/** What the UPF chose for a session, by the position of the PDR. */
export interface Chosen {
  readonly teids: readonly number[];
  readonly ueIpv4: Address | undefined;
  readonly uePrefix: Address | undefined;
}

interface LivePdr {
  readonly pdr: Pdr;
  readonly direction: Direction;
  readonly teid: number;
  readonly locals: readonly Address[];
  /** Ports on which its packets arrive. */
  readonly ports: readonly number[];
  readonly filters: readonly FlowFilter[];
}
interface LiveSession {
  readonly session: Session;
  readonly chosen: Chosen;
  /** In the order in which they are asked. */
  readonly pdrs: readonly LivePdr[];
  readonly buckets: Map<string, Bucket>;
  readonly usage: Map<number, UrrUsage>;
}

const DHCPV6_SERVER_PORT = 547;
const PREFIX_BITS = 64;

export class UpfModel {
  readonly sessions = new Map<string, LiveSession>();
  /** Reports since they were taken, oldest first. */
  reports: UsageReport[] = [];
  /** By local address and TEID, and by port and UE address: names of sessions. */
  readonly #tunnels = new Map<string, string>();
  readonly #addresses = new Map<string, string>();
  /** Bytes that passed by session and URR, counted beside the URRs. */
  readonly #passed = new Map<string, number>();

  readonly corePorts: readonly number[];

  constructor(readonly ports: readonly ModelPort[]) {
    this.corePorts = [...ports.keys()].filter((i) => ports[i]!.role === 'core');
  }

  create(session: Session, chosen: Chosen, nowNs: number): void {
    this.#install(session, chosen, undefined, nowNs);
  }

  /** Returns the usage that comes with the answer. */
  update(
    session: Session,
    chosen: Chosen,
    queried: readonly number[],
    nowNs: number,
  ): UsageReport[] {
    const old = this.#live(session.name);
    this.#uninstall(old);
    const fresh = this.#install(session, chosen, old, nowNs);
    const usage: UsageReport[] = [];
    for (const [id, urr] of old.usage) {
      const gone = fresh.usage.get(id) !== urr;
      if (gone) usage.push(urr.report(['termination'], nowNs));
      else if (queried.includes(id)) usage.push(urr.report(['immediate'], nowNs));
    }
    return usage;
  }

  delete(name: string, nowNs: number): UsageReport[] {
    const live = this.#live(name);
    this.#uninstall(live);
    return [...live.usage.values()].map((urr) => urr.report(['termination'], nowNs));
  }

  /** A restart without warning: rules stay, what was counted is gone. */
  crash(nowNs: number): void {
    for (const live of [...this.sessions.values()]) {
      this.#uninstall(live);
      this.#install(live.session, live.chosen, undefined, nowNs);
    }
    this.#passed.clear();
  }

  /** Bytes that passed for a URR since the last call for it. */
  takePassed(session: string, urr: number): number {
    const passed = this.#passed.get(`${session} ${urr}`) ?? 0;
    this.#passed.delete(`${session} ${urr}`);
    return passed;
  }

  packet(packet: ModelPacket, nowNs: number): Verdict {
    const found = packet.tunnel === undefined ? this.#byAddress(packet) : this.#byTunnel(packet);
    if (typeof found === 'string') return { dropped: found };
    const by = found.session.name;
    const direction = arrivesFor(found, packet);
    if (direction === 'uplink' && isSpoofed(found, packet.inner)) {
      return { dropped: 'spoofed_source', by };
    }
    const match = found.pdrs.find((pdr) => this.#matches(found, pdr, packet));
    if (match === undefined) return { dropped: 'no_pdr', by };
    const blocked = this.#police(found, match, packet.inner.bytes, nowNs);
    if (blocked !== undefined) return { dropped: blocked, by };
    if (!this.#account(found, match, packet.inner.bytes, nowNs)) {
      return { dropped: 'quota_exhausted', by };
    }
    return { ...forward(found.session, match.pdr, packet, this.ports), by };
  }

  #live(name: string): LiveSession {
    const live = this.sessions.get(name);
    if (live === undefined) throw new Error(`the model has no session ${name}`);
    return live;
  }

  #install(
    session: Session,
    chosen: Chosen,
    old: LiveSession | undefined,
    nowNs: number,
  ): LiveSession {
    const pdrs = session.pdrs.map((pdr, i) => this.#livePdr(pdr, chosen.teids[i]!));
    pdrs.sort((a, b) => a.pdr.precedence - b.pdr.precedence || a.pdr.id - b.pdr.id);
    const buckets = new Map<string, Bucket>();
    const usage = new Map<number, UrrUsage>();
    const live = { session, chosen, pdrs, buckets, usage };
    for (const { pdr, direction } of pdrs) {
      for (const qer of qersOf(session, pdr)) {
        const rate = mbrOf(qer, direction);
        if (rate === undefined || rate === 0) continue;
        const name = bucketName(qer, direction);
        const kept = old?.buckets.get(name);
        buckets.set(
          name,
          kept?.rateKbps === rate ? kept : (buckets.get(name) ?? new Bucket(rate, nowNs)),
        );
      }
    }
    for (const urr of session.urrs) {
      const kept = old?.usage.get(urr.id);
      kept?.goOnUnder(urr);
      usage.set(urr.id, kept ?? new UrrUsage(session.name, urr, nowNs));
    }
    this.sessions.set(session.name, live);
    this.#index(live, (map, key) => map.set(key, session.name));
    return live;
  }

  #livePdr(pdr: Pdr, teid: number): LivePdr {
    const { local_f_teid: fTeid, network_instance: instance } = pdr.pdi;
    const role = fTeid === undefined ? 'core' : 'access';
    const ports = [...this.ports.keys()].filter((i) => {
      const port = this.ports[i]!;
      return port.role === role && carries(port, instance);
    });
    const given = [fTeid?.ipv4, fTeid?.ipv6].filter((text) => text !== undefined);
    const own = ports.flatMap((i) => this.ports[i]!.addresses);
    const locals = fTeid === undefined ? [] : given.length > 0 ? given : own;
    return {
      pdr,
      direction: directionOf(pdr),
      teid,
      ports,
      locals: locals.map(addressOf),
      filters: (pdr.pdi.sdf_filters ?? []).map(readFilter),
    };
  }

  #uninstall(live: LiveSession): void {
    this.sessions.delete(live.session.name);
    this.#index(live, (map, key) => map.delete(key));
  }

  #index(live: LiveSession, change: (map: Map<string, string>, key: string) => void): void {
    for (const { pdr, teid, locals, ports } of live.pdrs) {
      for (const local of locals) change(this.#tunnels, keyOf(local, teid));
      if (pdr.pdi.local_f_teid !== undefined) continue;
      for (const port of ports) {
        if (live.chosen.ueIpv4) change(this.#addresses, keyOf(live.chosen.ueIpv4, port));
        if (live.chosen.uePrefix) change(this.#addresses, keyOf(live.chosen.uePrefix, port));
      }
    }
  }

  #byTunnel({ tunnel }: ModelPacket): LiveSession | string {
    const name = this.#tunnels.get(keyOf(tunnel!.local, tunnel!.teid));
    return name === undefined ? 'unknown_teid' : this.#live(name);
  }

  #byAddress({ port, inner }: ModelPacket): LiveSession | string {
    const to = inner.destination;
    const name = this.#addresses.get(keyOf(to.length === 16 ? to.subarray(0, 8) : to, port));
    if (name !== undefined) return this.#live(name);
    const multicast = to.length === 16 ? to[0] === 0xff : to[0]! >>> 4 === 14;
    return multicast ? 'multicast' : 'unknown_ue';
  }

  #matches(live: LiveSession, { pdr, direction, ...found }: LivePdr, packet: ModelPacket): boolean {
    const { tunnel, inner, port } = packet;
    const { pdi } = pdr;
    if (!found.ports.includes(port)) return false;
    if ((pdi.local_f_teid !== undefined) !== (tunnel !== undefined)) return false;
    if (tunnel !== undefined) {
      if (found.teid !== tunnel.teid) return false;
      if (!found.locals.some((local) => sameAddress(local, tunnel.local))) return false;
    }
    if (pdi.qfis !== undefined && pdi.qfis.length > 0 && !pdi.qfis.includes(tunnel?.qfi ?? -1)) {
      return false;
    }
    const uplink = direction === 'uplink';
    const end = uplink ? inner.source : inner.destination;
    if (pdi.ue_address !== undefined && !isUe(live, pdi.ue_address, end, uplink)) return false;
    const { filters } = found;
    return filters.length === 0 || filters.some((flow) => filterMatches(flow, inner, uplink));
  }

  /** The reason for which the packet does not pass. */
  #police(live: LiveSession, { pdr, direction }: LivePdr, bytes: number, nowNs: number) {
    const qers = qersOf(live.session, pdr);
    const closed = (qer: Qer) =>
      (direction === 'uplink' ? qer.uplink_gate_closed : qer.downlink_gate_closed) === true ||
      mbrOf(qer, direction) === 0;
    if (qers.some(closed)) return 'gate_closed';
    const names = new Set(qers.map((qer) => bucketName(qer, direction)));
    const buckets = [...names].flatMap((name) => live.buckets.get(name) ?? []);
    // Every bucket is asked before any pays.
    const enough = buckets.map((bucket) => bucket.has(bytes, nowNs));
    if (enough.includes(false)) return 'mbr_exceeded';
    for (const bucket of buckets) bucket.pay(bytes);
    return undefined;
  }

  /** False: a quota does not cover the packet, and nothing counts it. */
  #account(live: LiveSession, { pdr, direction }: LivePdr, bytes: number, nowNs: number): boolean {
    const ids = new Set(pdr.urr_ids ?? []);
    const counting = [...live.usage.values()].filter(
      ({ urr }) => ids.has(urr.id) && urr.measure_volume === true,
    );
    const covered = counting.map((usage) => usage.covers(direction, bytes, nowNs, this.reports));
    if (covered.includes(false)) return false;
    for (const usage of counting) {
      usage.count(direction, bytes, nowNs, this.reports);
      const key = `${live.session.name} ${usage.urr.id}`;
      this.#passed.set(key, (this.#passed.get(key) ?? 0) + bytes);
    }
    return true;
  }
}

function keyOf(address: Address, number: number): string {
  return `${String.fromCharCode(...address)} ${number}`;
}

/** A packet without a tunnel comes from the network; in one, the PDRs of the tunnel say. */
function arrivesFor(live: LiveSession, { tunnel }: ModelPacket): Direction {
  if (tunnel === undefined) return 'downlink';
  return live.pdrs.find(({ teid }) => teid === tunnel.teid)?.direction ?? 'uplink';
}

/**
 * Link-local sources are good for what a UE has to send from them; the interface identifier
 * that they should have is not known.
 */
function isSpoofed({ chosen }: LiveSession, packet: IpPacket): boolean {
  const { ueIpv4, uePrefix } = chosen;
  const { source } = packet;
  if (ueIpv4 === undefined && uePrefix === undefined) return false;
  if (source.length === 4) return ueIpv4 === undefined || !sameAddress(source, ueIpv4);
  if (uePrefix === undefined) return true;
  if (isLinkLocal(source)) return packet.protocol !== ICMPV6 && !isToDhcpServer(packet);
  return !startsWith(source.subarray(0, 8), uePrefix, PREFIX_BITS);
}

function isToDhcpServer({ protocol, destinationPort, fragmentOffset = 0 }: IpPacket): boolean {
  return protocol === UDP && destinationPort === DHCPV6_SERVER_PORT && fragmentOffset === 0;
}

/** Whether an end of the packet is an address of the UE that the PDI names. */
function isUe(
  { chosen }: LiveSession,
  named: { readonly ipv4?: string; readonly ipv6_prefix?: string },
  end: Address,
  uplink: boolean,
): boolean {
  if (end.length === 4) return named.ipv4 !== undefined && sameAddress(end, chosen.ueIpv4!);
  if (named.ipv6_prefix === undefined) return false;
  if (startsWith(end.subarray(0, 8), chosen.uePrefix!, PREFIX_BITS) || isLinkLocal(end))
    return true;
  // What is for every host on the UE's link is for the UE too.
  return !uplink && end[0] === 0xff && end[1] === 2;
}

function mbrOf(qer: Qer, direction: Direction): number | undefined {
  return direction === 'uplink' ? qer.uplink_mbr_kbps : qer.downlink_mbr_kbps;
}

/** QERs that share a bucket have the same name of it. */
function bucketName(qer: Qer, direction: Direction): string {
  return `${direction} ${qer.shared_bucket === undefined ? qer.id : `"${qer.shared_bucket}"`}`;
}
