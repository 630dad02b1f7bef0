/**
 * Metrics of N4: read in one go when a scrape comes. Series by peer are bounded: the peers
 * beyond a number share one label. Thread: the control thread. Start at addN4Metrics.
 */
import type { FlatValues } from '../../base/flat-histogram.js';
import type { Metrics } from '../../base/metrics.js';
import { messageOf } from '../codec/table/table.js';
import type { N4Counters, N4PeerView, N4Statistics } from '../statistics.js';
import type { DatagramStatistics } from '../transport/transport.js';

/** Peers with series of their own. */
const PEERS_SHOWN = 64;
const OTHERS = 'others';
const MS = 1e-3;
const CLASSES = ['control', 'modification', 'establishment'];

export interface N4MetricsSource {
  peers(): readonly N4PeerView[];
  statistics(): N4Statistics;
  transport(): DatagramStatistics;
}

/**
 * @param read  undefined while there is no endpoint.
 * @returns what is to be told of each request that was answered.
 */
export function addN4Metrics(
  metrics: Metrics,
  read: () => N4MetricsSource | undefined,
): (messageType: number, ms: number) => void {
  collectPeers(metrics, read);
  collectMessages(metrics, read);
  collectCounters(metrics, read);
  collectTransactions(metrics, read);
  collectTransport(metrics, read);
  const duration = metrics.flatLatency(
    'sluice_n4_request_duration_seconds',
    'Time from taking a request in to its answer',
    'message',
  );
  const byType: FlatValues[] = [];
  return (messageType, ms) => {
    const values = byType[messageType] ?? duration.of(messageName(messageType));
    byType[messageType] = values;
    values.observe(ms * MS);
  };
}

/** session_establishment_request and so on. */
export function messageName(type: number): string {
  return messageOf(type)?.name.toLowerCase().replaceAll(' ', '_') ?? String(type);
}

function collectPeers(metrics: Metrics, read: () => N4MetricsSource | undefined): void {
  const total = metrics.gauge('sluice_n4_peers', 'Peers with an association');
  const up = metrics.gauge(
    'sluice_n4_peer_up',
    '1 when the peer answers heartbeats, or has not been asked yet; 0 when not',
    ['peer'],
  );
  const sessions = metrics.gauge('sluice_n4_peer_sessions', 'Sessions of the peer', ['peer']);
  metrics.onScrape(() => {
    const peers = read()?.peers() ?? [];
    total.set(peers.filter(({ associated }) => associated).length);
    up.reset();
    sessions.reset();
    for (const [index, peer] of peers.entries()) {
      const of = labelOf(peer, index);
      sessions.inc(of, peer.sessions);
      if (of.peer !== OTHERS) up.set(of, peer.reachable ? 1 : 0);
    }
  });
}

function labelOf(peer: N4PeerView, index: number): { peer: string } {
  return { peer: index < PEERS_SHOWN ? peer.nodeId : OTHERS };
}

function collectMessages(metrics: Metrics, read: () => N4MetricsSource | undefined): void {
  const labels = ['peer', 'message'];
  const received = metrics.counter(
    'sluice_n4_messages_received_total',
    'Messages of peers, without duplicates; heartbeats that the receiving thread answers are not in it',
    labels,
  );
  const sent = metrics.counter(
    'sluice_n4_messages_sent_total',
    'Messages to peers, without retransmissions',
    labels,
  );
  const answers = metrics.counter('sluice_n4_answers_total', 'Answers to peers, by their Cause', [
    ...labels,
    'cause',
  ]);
  const retransmitted = metrics.counter(
    'sluice_n4_retransmissions_total',
    'Requests to peers that were sent again',
    ['peer'],
  );
  const duplicates = metrics.counter(
    'sluice_n4_duplicates_total',
    'Requests of peers that came again',
    ['peer'],
  );
  const all = [received, sent, answers, retransmitted, duplicates];
  metrics.onScrape(() => {
    for (const counter of all) counter.reset();
    for (const [index, peer] of (read()?.peers() ?? []).entries()) {
      const of = labelOf(peer, index);
      const { counts } = peer;
      counts.received.forEach((count, type) => {
        if (count > 0) received.inc({ ...of, message: messageName(type) }, count);
      });
      counts.sent.forEach((count, type) => {
        if (count > 0) sent.inc({ ...of, message: messageName(type) }, count);
      });
      counts.forEachAnswer((type, cause, count) => {
        answers.inc({ ...of, message: messageName(type), cause: String(cause) }, count);
      });
      retransmitted.inc(of, counts.retransmitted);
      duplicates.inc(of, counts.duplicates);
    }
  });
}

function collectCounters(metrics: Metrics, read: () => N4MetricsSource | undefined): void {
  const counter = (name: string, help: string) => metrics.counter(`sluice_n4_${name}_total`, help);
  const counters: Record<keyof N4Counters, ReturnType<typeof counter>> = {
    malformed: counter('malformed', 'Datagrams that are no PFCP message'),
    unknownType: counter('unknown_type', 'Messages of a type that no CP function sends'),
    wrongVersion: counter('wrong_version', 'Messages of another version of PFCP'),
    notAssociated: counter('not_associated', 'Requests of sources without an association'),
    stray: counter('stray_responses', 'Responses that answer no request of the node'),
    duplicatesAnswered: counter(
      'duplicates_answered',
      'Requests that came again and had their reply sent again',
    ),
    duplicatesSilent: counter(
      'duplicates_silent',
      'Requests that came again while they were being served',
    ),
    slow: counter('slow_requests', 'Requests that took longer than n4.slowMs'),
    abandoned: counter('abandoned_requests', 'Requests that the node never answered: a defect'),
    unanswered: counter('unanswered_requests', 'Requests to peers that were given up'),
    takeoversRefused: counter(
      'takeovers_refused',
      'Associations refused because the Node ID is that of another address',
    ),
    pathFailures: counter('path_failures', 'Times that a peer stopped answering heartbeats'),
    peerRestarts: counter('peer_restarts', 'Times that a peer had lost its state'),
  };
  metrics.onScrape(() => {
    const counts = read()?.statistics().counters;
    if (counts === undefined) return;
    for (const [name, one] of Object.entries(counters)) {
      one.reset();
      one.inc(counts[name as keyof N4Counters]);
    }
  });
}

function collectTransactions(metrics: Metrics, read: () => N4MetricsSource | undefined): void {
  const gauges = {
    requestsServed: metrics.gauge('sluice_n4_requests_served', 'Requests that are being served'),
    requestsWaiting: metrics.gauge(
      'sluice_n4_requests_waiting',
      'Requests to peers that wait for their response',
    ),
    replyCacheEntries: metrics.gauge('sluice_n4_reply_cache_replies', 'Replies that are kept'),
    replyCacheBytes: metrics.gauge('sluice_n4_reply_cache_bytes', 'Memory of kept replies'),
    load: metrics.gauge('sluice_n4_load_percent', 'Load that peers are told'),
    reduction: metrics.gauge(
      'sluice_n4_overload_reduction_percent',
      'Share of requests that peers are asked to leave out',
    ),
  } satisfies Partial<Record<keyof N4Statistics, unknown>>;
  const evicted = metrics.counter(
    'sluice_n4_reply_cache_evicted_total',
    'Replies that were given up early, for want of room',
  );
  metrics.onScrape(() => {
    const statistics = read()?.statistics();
    if (statistics === undefined) return;
    for (const [name, gauge] of Object.entries(gauges)) {
      gauge.set(statistics[name as keyof typeof gauges]);
    }
    evicted.reset();
    evicted.inc(statistics.replyCacheEvicted);
  });
}

function collectTransport(metrics: Metrics, read: () => N4MetricsSource | undefined): void {
  const counter = (name: string, help: string) =>
    metrics.counter(`sluice_n4_datagrams_${name}_total`, help);
  const counters = {
    received: counter('received', 'Datagrams received'),
    sent: counter('sent', 'Datagrams sent'),
    sendFailed: counter('send_failed', 'Datagrams that the system did not send'),
    sendFull: counter('send_full', 'Datagrams that there was no room to send'),
    notAllowed: counter('not_allowed', 'Datagrams of sources that n4.allow does not have'),
    socketFull: counter('socket_full', 'Datagrams that the system dropped, the socket being full'),
    heartbeatsAnswered: metrics.counter(
      'sluice_n4_heartbeats_answered_total',
      'Heartbeats that the receiving thread answered by itself',
    ),
  } satisfies Partial<Record<keyof DatagramStatistics, unknown>>;
  const waiting = metrics.gauge('sluice_n4_datagrams_waiting', 'Datagrams that wait to be served');
  const shed = metrics.counter(
    'sluice_n4_datagrams_shed_total',
    'Datagrams that were given up because too many waited, by class',
    ['class'],
  );
  metrics.onScrape(() => {
    const statistics = read()?.transport();
    if (statistics === undefined) return;
    for (const [name, one] of Object.entries(counters)) {
      one.reset();
      one.inc(statistics[name as keyof typeof counters]);
    }
    waiting.set(statistics.waiting);
    shed.reset();
    for (const [index, count] of statistics.shed.entries()) {
      shed.inc({ class: CLASSES[index]! }, count);
    }
  });
}
