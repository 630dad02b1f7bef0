import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { silentLog } from '../../base/log.js';
import { Metrics } from '../../base/metrics.js';
import type { DatapathStatus } from '../../datapath/datapath.js';
import { IDLE_WORKER } from '../../datapath/idle-statistics.js';
import type { Statistics } from '../../datapath/statistics.js';
import { addCollectors } from './collectors.js';
import { HttpServer } from './http-server.js';

interface Page {
  readonly code: number;
  readonly type: string;
  readonly body: string;
}

let http: HttpServer | undefined;
let statistics: Statistics | undefined;
let notReady: string | undefined;
let folder: string;

const peer = { address: '10.0.0.2', udpPort: 2152, port: 'n3', roundTripUs: 250, transitions: 3 };
const status: DatapathStatus = {
  ports: [],
  workers: [],
  warnings: ['w'],
  plan: '',
  placement: { controlCores: [], memoryPages: '4K', memoryBytes: 0, packetPages: [] },
  regionBytesUsed: 4096,
  peers: [
    { ...peer, state: 'up' },
    { ...peer, udpPort: 2153, state: 'down' },
    { ...peer, address: 'fd00::2', state: 'unknown' },
  ],
  peersTotal: 5,
};
const counted: Statistics = {
  ports: [
    {
      name: 'n3',
      rxPackets: 7,
      rxBytes: 700,
      txPackets: 5,
      txBytes: 500,
      txFull: 1,
      rxMissed: 2,
      rxNoBuffer: 3,
      rxIgnored: 4,
    },
  ],
  workers: [
    {
      ...IDLE_WORKER,
      id: 0,
      cyclesPerPacket: 71.5,
      burstFill: 12,
      longestStallNs: 2_000_000,
      busy: 0.25,
    },
  ],
  dropped: { no_session: 3, 'odd"reason\n': 1 },
  created: 2,
  held: 4,
  gtpu: {
    endMarkersSent: 11,
    errorIndicationsSent: 12,
    extensionNotificationsSent: 13,
    answersSuppressed: 14,
  },
  captures: { running: 2, packets: 15, lost: 16 },
  cryptoLanes: {
    serving: 1,
    cores: [],
    capacity: 1024,
    lanes: [{ id: 0, packets: 17, bursts: 18, depth: 19, thread: 0 }],
    threads: [
      { busyNs: 2e9, waits: 20 },
      { busyNs: 0, waits: 0 },
    ],
  },
  driver: { flows: 21, forwardedPackets: 22 },
};

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'sluice-http-'));
  statistics = undefined;
  notReady = undefined;
});
afterEach(async () => {
  await http?.stop();
  http = undefined;
  rmSync(folder, { recursive: true });
});

function options(listen: Parameters<typeof HttpServer.start>[0]['listen']) {
  const metrics = new Metrics();
  addCollectors(metrics, {
    statistics: () => statistics,
    status: () => (statistics === undefined ? undefined : status),
    engine: () =>
      statistics && {
        sessions: 9,
        sessionsMax: 100,
        slabBytesUsed: 1024,
        operationsWaiting: 1,
        reportsHeld: 2,
        reportsStale: 3,
        reportsMerged: 4,
        reportsDropped: 5,
        reportWriteFailures: 6,
      },
    ready: () => notReady === undefined,
    version: '1.2.3',
    node: 'upf-1',
  });
  return { listen, metrics, log: silentLog(), notReady: () => notReady };
}

function get(where: object, method = 'GET'): Promise<Page> {
  return new Promise((resolve, reject) => {
    const sent = request({ ...where, method }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => {
        resolve({
          code: response.statusCode ?? 0,
          type: response.headers['content-type'] ?? '',
          body,
        });
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}

async function start(): Promise<(page: string, method?: string) => Promise<Page>> {
  http = await HttpServer.start(options({ kind: 'tcp', host: '127.0.0.1', port: 0 }));
  const { address } = http;
  if (address.kind !== 'tcp') throw new Error('not a TCP address');
  return (page, method) => get({ host: address.host, port: address.port, path: page }, method);
}

/** Every sample of an exposition, by name and labels; throws at a line that is none. */
function parse(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const match =
      /^([a-zA-Z_:][\w:]*(?:\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*\})?) (\S+)$/.exec(line);
    if (match === null) throw new Error(`no sample: ${line}`);
    expect(samples.has(match[1] ?? '')).toBe(false);
    samples.set(match[1] ?? '', Number(match[2]));
  }
  return samples;
}

it('gives the metrics as text that parses, each sample once', async () => {
  const page = await start();
  const before = parse((await page('/metrics')).body);
  expect(before.get('sluice_ready')).toBe(1);
  expect(before.has('sluice_port_rx_packets_total{port="n3"}')).toBe(false);
  statistics = counted;
  const { body, type } = await page('/metrics');
  expect(type).toContain('text/plain; version=0.0.4');
  const samples = parse(body);
  expect(Object.fromEntries(samples)).toMatchObject({
    'sluice_node_info{node="upf-1",version="1.2.3"}': 1,
    sluice_region_used_bytes: 4096,
    sluice_warnings: 1,
    sluice_captures: 2,
    sluice_captured_packets_total: 15,
    sluice_capture_lost_packets_total: 16,
    'sluice_port_rx_packets_total{port="n3"}': 7,
    'sluice_port_rx_bytes_total{port="n3"}': 700,
    'sluice_port_tx_packets_total{port="n3"}': 5,
    'sluice_port_tx_full_packets_total{port="n3"}': 1,
    'sluice_packets_dropped_total{reason="no_session"}': 3,
    'sluice_packets_dropped_total{reason="odd\\"reason\\n"}': 1,
    sluice_packets_created_total: 2,
    sluice_packets_held: 4,
    'sluice_worker_cycles_per_packet{worker="0"}': 71.5,
    'sluice_worker_longest_stall_seconds{worker="0"}': 0.002,
    sluice_sessions: 9,
    sluice_sessions_limit: 100,
    sluice_reports_dropped_total: 5,
    sluice_report_write_failures_total: 6,
    sluice_gtpu_peers: 5,
    'sluice_gtpu_peer_up{peer="10.0.0.2",port="n3"}': 1,
    'sluice_gtpu_peer_up{peer="10.0.0.2:2153",port="n3"}': 0,
    'sluice_gtpu_peer_round_trip_seconds{peer="10.0.0.2",port="n3"}': 0.00025,
    'sluice_gtpu_peer_transitions_total{peer="fd00::2",port="n3"}': 3,
    'sluice_gtpu_messages_sent_total{message="end_marker"}': 11,
    'sluice_gtpu_messages_sent_total{message="error_indication"}': 12,
    'sluice_gtpu_messages_sent_total{message="supported_extension_headers"}': 13,
    sluice_gtpu_answers_suppressed_total: 14,
    sluice_driver_flows: 21,
    sluice_driver_forwarded_packets_total: 22,
    sluice_crypto_lane_threads: 1,
    'sluice_crypto_lane_packets_total{lane="0"}': 17,
    'sluice_crypto_lane_bursts_total{lane="0"}': 18,
    'sluice_crypto_lane_waiting_packets{lane="0"}': 19,
    'sluice_crypto_lane_busy_seconds_total{thread="0"}': 2,
    'sluice_crypto_lane_waits_total{thread="0"}': 20,
  });
  expect(samples.has('sluice_gtpu_peer_up{peer="fd00::2",port="n3"}')).toBe(false);
  expect(samples.has('process_resident_memory_bytes')).toBe(true);
  expect(samples.has('sluice_event_loop_delay_seconds{quantile="0.99"}')).toBe(true);
  // A second scrape shows the totals again, not their sum.
  const again = parse((await page('/metrics')).body);
  expect(again.get('sluice_port_rx_packets_total{port="n3"}')).toBe(7);
});

it('says whether it is ready, and why not', async () => {
  const page = await start();
  notReady = 'restoring sessions: 3 of 10';
  expect(await page('/readyz')).toMatchObject({
    code: 503,
    body: 'not ready: restoring sessions: 3 of 10\n',
  });
  expect(await page('/healthz')).toMatchObject({ code: 200 });
  expect(parse((await page('/metrics')).body).get('sluice_ready')).toBe(0);
  notReady = undefined;
  expect(await page('/readyz?verbose=1')).toMatchObject({ code: 200, body: 'ready\n' });
});

it('answers what it does not serve with a sentence', async () => {
  const page = await start();
  expect(await page('/')).toMatchObject({ code: 404 });
  expect(await page('/metrics', 'POST')).toMatchObject({ code: 405 });
  expect(await page('/healthz', 'HEAD')).toMatchObject({ code: 200, body: '' });
});

it('names the key when the port is in use', async () => {
  await start();
  const address = http?.address;
  if (address?.kind !== 'tcp') throw new Error('not started');
  await expect(HttpServer.start(options(address))).rejects.toThrow(
    `http.listen: 127.0.0.1:${address.port} is already in use; stop the other process or choose another address`,
  );
  await expect(
    HttpServer.start(options({ kind: 'tcp', host: '192.0.2.1', port: 1 })),
  ).rejects.toThrow('http.listen: 192.0.2.1:1 is no address of this machine');
});

it('takes over the socket file of a process that is gone, and of no other', async () => {
  const file = path.join(folder, 'http.sock');
  const listen = { kind: 'unix', path: file } as const;
  await leaveStaleSocket(file);
  http = await HttpServer.start(options(listen));
  expect(await get({ socketPath: file, path: '/healthz' })).toMatchObject({ code: 200 });
  await expect(HttpServer.start(options(listen))).rejects.toThrow(
    `http.listen: unix:${file} is already in use`,
  );
  expect(await get({ socketPath: file, path: '/healthz' })).toMatchObject({ code: 200 });
  const plain = path.join(folder, 'plain');
  writeFileSync(plain, 'precious');
  await expect(HttpServer.start(options({ kind: 'unix', path: plain }))).rejects.toThrow(
    `http.listen: ${plain} exists and is no socket`,
  );
  await expect(
    HttpServer.start(options({ kind: 'unix', path: path.join(folder, 'no/such.sock') })),
  ).rejects.toThrow('does not exist; make it first');
});

/** A socket that was bound and whose process ended without removing it. */
async function leaveStaleSocket(file: string): Promise<void> {
  const moved = `${file}.moved`;
  const server: Server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(moved, resolve);
  });
  const { renameSync } = await import('node:fs');
  renameSync(moved, file);
  await new Promise((resolve) => {
    server.close(resolve);
  });
}
