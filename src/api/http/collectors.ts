import type { Metrics } from '../../base/metrics.js';
import type { DatapathStatus } from '../../datapath/datapath.js';
import { nameOf } from '../../datapath/path-watch.js';
import type { PortStatistics, Statistics } from '../../datapath/statistics.js';
import type { EngineStatistics } from '../../session/engine.js';
import { collectLanes } from './lane-collector.js';

const SECONDS_PER_NANOSECOND = 1e-9;
const SECONDS_PER_MICROSECOND = 1e-6;

export interface CollectorSources {
  /** undefined while there is none yet. */
  readonly statistics: () => Statistics | undefined;
  readonly status: () => DatapathStatus | undefined;
  readonly engine: () => EngineStatistics | undefined;
  readonly ready: () => boolean;
  readonly version: string;
  readonly node: string;
}

/** Metrics of what others count: read in one go when a scrape comes, at no other time. */
export function addCollectors(metrics: Metrics, sources: CollectorSources): void {
  let status: DatapathStatus | undefined;
  metrics.onScrape(() => {
    status = sources.status();
  });
  collectNode(metrics, sources, () => status);
  collectPeers(metrics, () => status);
  let statistics: Statistics | undefined;
  metrics.onScrape(() => {
    statistics = sources.statistics();
  });
  collectPorts(metrics, () => statistics);
  collectWorkers(metrics, () => statistics);
  collectGtpu(metrics, () => statistics);
  collectDriver(metrics, () => statistics);
  collectCaptures(metrics, () => statistics);
  collectLanes(metrics, () => statistics?.cryptoLanes);
  collectEngine(metrics, sources.engine);
}

function collectNode(
  metrics: Metrics,
  sources: CollectorSources,
  read: CollectorSources['status'],
): void {
  metrics
    .gauge('sluice_node_info', 'Always 1; the labels say which node this is', ['node', 'version'])
    .set({ node: sources.node, version: sources.version }, 1);
  const ready = metrics.gauge('sluice_ready', '1 when the node serves, 0 before and after');
  const region = metrics.gauge(
    'sluice_region_used_bytes',
    'Memory of sessions, tables and rings in the packet path',
  );
  const warnings = metrics.gauge('sluice_warnings', 'Warnings in the status of the packet path');
  metrics.onScrape(() => {
    ready.set(sources.ready() ? 1 : 0);
    const status = read();
    if (status === undefined) return;
    region.set(status.regionBytesUsed);
    warnings.set(status.warnings.length);
  });
}

/** Peers that the status lists: their number is bounded there. */
function collectPeers(metrics: Metrics, read: CollectorSources['status']): void {
  const labels = ['peer', 'port'];
  const total = metrics.gauge('sluice_gtpu_peers', 'Tunnel peers that sessions send to');
  const up = metrics.gauge(
    'sluice_gtpu_peer_up',
    '1 when the peer answers Echo Requests, 0 when not; absent before it is known',
    labels,
  );
  const roundTrip = metrics.gauge(
    'sluice_gtpu_peer_round_trip_seconds',
    'Time to the last Echo Response',
    labels,
  );
  const transitions = metrics.counter(
    'sluice_gtpu_peer_transitions_total',
    'Changes between answering and not answering',
    labels,
  );
  metrics.onScrape(() => {
    const status = read();
    if (status === undefined) return;
    total.set(status.peersTotal);
    up.reset();
    roundTrip.reset();
    transitions.reset();
    for (const peer of status.peers) {
      const of = { peer: nameOf(peer), port: peer.port };
      transitions.inc(of, peer.transitions);
      if (peer.state !== 'unknown') up.set(of, peer.state === 'up' ? 1 : 0);
      if (peer.state === 'up') roundTrip.set(of, peer.roundTripUs * SECONDS_PER_MICROSECOND);
    }
  });
}

function collectGtpu(metrics: Metrics, read: CollectorSources['statistics']): void {
  const sent = metrics.counter(
    'sluice_gtpu_messages_sent_total',
    'GTP-U messages made by the node, beside Echo',
    ['message'],
  );
  const suppressed = metrics.counter(
    'sluice_gtpu_answers_suppressed_total',
    'Error Indications and the like that were not sent, by the limit or right after the start',
  );
  metrics.onScrape(() => {
    const gtpu = read()?.gtpu;
    if (gtpu === undefined) return;
    sent.reset();
    sent.inc({ message: 'end_marker' }, gtpu.endMarkersSent);
    sent.inc({ message: 'error_indication' }, gtpu.errorIndicationsSent);
    sent.inc({ message: 'supported_extension_headers' }, gtpu.extensionNotificationsSent);
    suppressed.reset();
    suppressed.inc(gtpu.answersSuppressed);
  });
}

function collectDriver(metrics: Metrics, read: CollectorSources['statistics']): void {
  const flows = metrics.gauge(
    'sluice_driver_flows',
    'Flows, one a direction of a session, that a driver forwards by itself or is about to',
  );
  const forwarded = metrics.counter(
    'sluice_driver_forwarded_packets_total',
    "Packets that a driver forwarded by itself, which are in its ports' counts, too",
  );
  metrics.onScrape(() => {
    const driver = read()?.driver;
    if (driver === undefined) return;
    flows.set(driver.flows);
    forwarded.reset();
    forwarded.inc(driver.forwardedPackets);
  });
}

function collectCaptures(metrics: Metrics, read: CollectorSources['statistics']): void {
  const running = metrics.gauge('sluice_captures', 'Captures that run');
  const packets = metrics.counter(
    'sluice_captured_packets_total',
    'Copies that captures delivered, of packets received and of packets sent',
  );
  const lost = metrics.counter(
    'sluice_capture_lost_packets_total',
    'Copies that found no room, because the reader of a capture is slow',
  );
  metrics.onScrape(() => {
    const captures = read()?.captures;
    if (captures === undefined) return;
    running.set(captures.running);
    packets.reset();
    packets.inc(captures.packets);
    lost.reset();
    lost.inc(captures.lost);
  });
}

function collectPorts(metrics: Metrics, read: CollectorSources['statistics']): void {
  const port = (name: string, help: string, field: Exclude<keyof PortStatistics, 'name'>) => ({
    field,
    counter: metrics.counter(`sluice_port_${name}_total`, help, ['port']),
  });
  const counters = [
    port('rx_packets', 'Packets received', 'rxPackets'),
    port('rx_bytes', 'Bytes received', 'rxBytes'),
    port('tx_packets', 'Packets sent', 'txPackets'),
    port('tx_bytes', 'Bytes sent', 'txBytes'),
    port('tx_full_packets', 'Packets that the port had no room for', 'txFull'),
    port('rx_missed_packets', 'Packets that the kernel or device could not keep', 'rxMissed'),
    port('rx_no_buffer', 'Times that the packet pool was empty', 'rxNoBuffer'),
    port('rx_ignored_frames', 'Frames that are no IP packet for the node', 'rxIgnored'),
  ];
  const dropped = metrics.counter(
    'sluice_packets_dropped_total',
    'Packets that did not leave, by reason',
    ['reason'],
  );
  const created = metrics.counter('sluice_packets_created_total', 'Packets made by the node');
  const held = metrics.gauge('sluice_packets_held', 'Packets that wait in buffers');
  metrics.onScrape(() => {
    const statistics = read();
    if (statistics === undefined) return;
    for (const { counter, field } of counters) {
      counter.reset();
      for (const one of statistics.ports) counter.inc({ port: one.name }, one[field]);
    }
    dropped.reset();
    for (const [reason, count] of Object.entries(statistics.dropped)) {
      dropped.inc({ reason }, count);
    }
    created.reset();
    created.inc(statistics.created);
    held.set(statistics.held);
  });
}

function collectWorkers(metrics: Metrics, read: CollectorSources['statistics']): void {
  const gauge = (name: string, help: string) =>
    metrics.gauge(`sluice_worker_${name}`, help, ['worker']);
  const cycles = gauge(
    'cycles_per_packet',
    'Cycles of the time stamp counter per packet, of the last second',
  );
  const fill = gauge(
    'burst_fill_packets',
    'Packets per burst that was not empty, of the last second; 32 is full',
  );
  const stall = gauge(
    'longest_stall_seconds',
    'Longest time between two turns of the loop since the start',
  );
  const busy = gauge('busy_ratio', 'Share of time spent on packets, of the last second');
  const buckets = gauge('buckets', 'Buckets of sessions, of 256, that the worker owns');
  const taken = metrics.counter(
    'sluice_worker_buckets_taken_total',
    'Buckets of sessions that came to the worker from another, which was hot',
    ['worker'],
  );
  const full = metrics.counter(
    'sluice_worker_events_full_total',
    'Times that an event found no room and was offered again later',
    ['worker'],
  );
  const waiting = metrics.gauge('sluice_worker_ring_entries', 'What waits in rings of the worker', [
    'worker',
    'ring',
  ]);
  metrics.onScrape(() => {
    taken.reset();
    full.reset();
    for (const one of read()?.workers ?? []) {
      const worker = String(one.id);
      cycles.set({ worker }, one.cyclesPerPacket);
      fill.set({ worker }, one.burstFill);
      stall.set({ worker }, one.longestStallNs * SECONDS_PER_NANOSECOND);
      busy.set({ worker }, one.busy);
      buckets.set({ worker }, one.buckets);
      taken.inc({ worker }, one.bucketsTaken);
      full.inc({ worker }, one.eventsFull);
      waiting.set({ worker, ring: 'commands' }, one.commandsWaiting);
      waiting.set({ worker, ring: 'events' }, one.eventsWaiting);
      waiting.set({ worker, ring: 'packets' }, one.packetsWaiting);
    }
  });
}

function collectEngine(metrics: Metrics, read: CollectorSources['engine']): void {
  const gauges = {
    sessions: metrics.gauge('sluice_sessions', 'Sessions that exist'),
    sessionsMax: metrics.gauge('sluice_sessions_limit', 'Sessions that may exist'),
    slabBytesUsed: metrics.gauge('sluice_session_records_bytes', 'Bytes of session records'),
    operationsWaiting: metrics.gauge('sluice_operations_waiting', 'Session operations under way'),
    reportsHeld: metrics.gauge('sluice_reports_held', 'Reports that nobody has acknowledged'),
  } satisfies Partial<Record<keyof EngineStatistics, unknown>>;
  const counters = {
    reportsStale: metrics.counter(
      'sluice_reports_stale_total',
      'Reports of sessions that were gone when they arrived',
    ),
    reportsMerged: metrics.counter(
      'sluice_reports_merged_total',
      'Usage reports that were added to an older one because the log was full',
    ),
    reportsDropped: metrics.counter(
      'sluice_reports_dropped_total',
      'Reports without usage that a full log pushed out',
    ),
    reportWriteFailures: metrics.counter(
      'sluice_report_write_failures_total',
      'Writes of reports to the store that failed and were tried again',
    ),
  } satisfies Partial<Record<keyof EngineStatistics, unknown>>;
  metrics.onScrape(() => {
    const statistics = read();
    if (statistics === undefined) return;
    for (const [name, gauge] of Object.entries(gauges)) {
      gauge.set(statistics[name as keyof typeof gauges]);
    }
    for (const [name, counter] of Object.entries(counters)) {
      counter.reset();
      counter.inc(statistics[name as keyof typeof counters]);
    }
  });
}
