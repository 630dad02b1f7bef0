/** What happened between two readings of the node's statistics, per second. Pure. */
import type { Node, PortStats, Stats, Uint64 } from '../api/messages.js';
import { milliseconds } from '../api/proto-json.js';

export interface PortRates {
  readonly name: string;
  readonly rx_pps: number;
  readonly rx_bits_per_s: number;
  readonly tx_pps: number;
  readonly tx_bits_per_s: number;
  readonly tx_full_pps: number;
}
export interface WorkerRates {
  readonly id: number;
  readonly core: number | undefined;
  readonly cycles_per_packet: number;
  readonly burst_fill: number;
  readonly busy: number;
  /** since the node started */
  readonly longest_stall_ms: number;
  /** of the 256: those whose sessions are this worker's */
  readonly buckets: number;
}
export interface DropRate {
  readonly reason: string;
  readonly pps: number;
  readonly total: number;
}
export interface SessionRates {
  readonly name: string;
  readonly seid: string;
  readonly owner: string;
  readonly uplink_pps: number;
  readonly uplink_bits_per_s: number;
  readonly downlink_pps: number;
  readonly downlink_bits_per_s: number;
  readonly dropped_pps: number;
}

/** One refresh of `top`; also what `top --json` prints. */
export interface Snapshot {
  readonly time: string;
  readonly node: string;
  readonly version: string;
  readonly up_s: number;
  readonly sessions: number;
  readonly seconds: number;
  readonly held: number;
  readonly ports: readonly PortRates[];
  readonly workers: readonly WorkerRates[];
  readonly dropped: readonly DropRate[];
  readonly busiest: readonly SessionRates[];
}

export function snapshotOf(node: Node, before: Stats, after: Stats): Snapshot {
  const nowMs = milliseconds(after.time);
  const seconds = Math.max(0.001, (nowMs - milliseconds(before.time)) / 1000);
  // Counters that went back belong to a node that was started anew: all of them is new.
  const rate = (old: Uint64 | undefined, now: Uint64 | undefined): number => {
    const grown = Number(now ?? 0) - Number(old ?? 0);
    return (grown < 0 ? Number(now ?? 0) : grown) / seconds;
  };
  return {
    time: new Date(nowMs).toISOString(),
    node: node.id ?? '',
    version: node.version ?? '',
    up_s: Math.max(0, Math.floor((nowMs - milliseconds(node.start_time)) / 1000)),
    sessions: Number(after.sessions ?? 0),
    seconds,
    held: Number(after.held ?? 0),
    ports: portRates(before, after, rate),
    workers: (after.workers ?? []).map((worker) => ({
      id: worker.id ?? 0,
      core: node.workers?.find(({ id }) => (id ?? 0) === (worker.id ?? 0))?.core ?? 0,
      cycles_per_packet: worker.cycles_per_packet ?? 0,
      burst_fill: worker.burst_fill ?? 0,
      busy: worker.busy ?? 0,
      longest_stall_ms: Number(worker.longest_stall_ns ?? 0) / 1e6,
      buckets: worker.buckets ?? 0,
    })),
    dropped: Object.entries(after.dropped ?? {})
      .map(([reason, total]) => ({
        reason,
        pps: rate(before.dropped?.[reason], total),
        total: Number(total),
      }))
      .filter(({ total }) => total > 0)
      .sort((a, b) => b.pps - a.pps || b.total - a.total),
    busiest: (after.busiest ?? []).map((session) => ({
      name: session.name ?? '',
      seid: `0x${BigInt(session.seid ?? 0).toString(16)}`,
      owner: session.owner ?? '',
      uplink_pps: session.uplink_packets ?? 0,
      uplink_bits_per_s: (session.uplink_bytes ?? 0) * 8,
      downlink_pps: session.downlink_packets ?? 0,
      downlink_bits_per_s: (session.downlink_bytes ?? 0) * 8,
      dropped_pps: session.dropped_packets ?? 0,
    })),
  };
}

function portRates(
  before: Stats,
  after: Stats,
  rate: (old: Uint64 | undefined, now: Uint64 | undefined) => number,
): PortRates[] {
  return (after.ports ?? []).map((port) => {
    const old: PortStats = before.ports?.find(({ name }) => name === port.name) ?? {};
    return {
      name: port.name ?? '',
      rx_pps: rate(old.rx_packets, port.rx_packets),
      rx_bits_per_s: rate(old.rx_bytes, port.rx_bytes) * 8,
      tx_pps: rate(old.tx_packets, port.tx_packets),
      tx_bits_per_s: rate(old.tx_bytes, port.tx_bytes) * 8,
      tx_full_pps: rate(old.tx_full, port.tx_full),
    };
  });
}
