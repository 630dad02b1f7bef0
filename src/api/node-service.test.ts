import * as grpc from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { SampleFlag } from '../datapath/datapath.js';
import { IDLE_STATISTICS, IDLE_STATUS, IDLE_WORKER } from '../datapath/idle-statistics.js';
import { MemorySight } from '../datapath/memory/sight.js';
import { HEADER_INCARNATION } from '../model/record-layout.js';
import { sampleSession } from '../model/sample.fixture.js';
import { apiForEachTest, ending, type Message, take, until } from './api.fixture.js';

const { start, connect } = apiForEachTest();

const SENT = { txPackets: 0, txBytes: 0, txFull: 2, rxIgnored: 5 };
const PORT = { name: 'n3', rxPackets: 2 ** 50, rxBytes: 1, rxMissed: 3, rxNoBuffer: 4, ...SENT };
/** Of a worker's statistics, what is named alike inside and in the API. */
const ROW = { id: 1, busy: 0.5, buckets: 256 };

describe('the node service', () => {
  it('says what the node is, with its warnings', async () => {
    const { address } = await start();
    expect(await connect(address).call('NodeService/GetNode')).toEqual({
      id: 'upf-test',
      version: '1.2.3',
      placement: { memory_bytes: '0', memory_pages: '4K' },
      crypto_tier: 'portable',
      path_tier: 'avx2',
      crypto_lanes: { lanes: 0, threads: 0 },
      start_time: { seconds: '1700000000', nanos: 500_000_000 },
      warnings: ['a warning'],
      sessions: '0',
      peers_total: '0',
    });
  });

  it('gives statistics once, and again and again', async () => {
    const { address, engine } = await start({
      node: {
        id: 'a',
        version: 'b',
        cryptoTier: 'c',
        pathTier: 'd',
        startTimeMs: 0,
        warnings: () => [],
        sessions: () => 4_000_000_000,
        status: () => IDLE_STATUS,
        watchTraffic: () => ({ take: () => [], close: () => undefined }),
        sight: new MemorySight(),
        statistics: () => ({
          ports: [PORT],
          workers: [{ ...IDLE_WORKER, ...ROW, cyclesPerPacket: 70.5, longestStallNs: 8 }],
          dropped: { no_session: 3 },
          created: 6,
          held: 7,
          captures: IDLE_STATISTICS.captures,
          cryptoLanes: IDLE_STATISTICS.cryptoLanes,
          driver: { flows: 3, forwardedPackets: 2 ** 41 },
          gtpu: { ...IDLE_STATISTICS.gtpu, endMarkersSent: 1, answersSuppressed: 2 ** 40 },
        }),
      },
    });
    const client = connect(address);
    const expected = {
      time: { seconds: expect.any(String) },
      sessions: '4000000000',
      ports: [
        {
          name: 'n3',
          rx_packets: String(2 ** 50),
          rx_bytes: '1',
          tx_full: '2',
          rx_missed: '3',
          rx_no_buffer: '4',
          rx_ignored: '5',
        },
      ],
      workers: [{ ...ROW, cycles_per_packet: 70.5, longest_stall_ns: '8' }],
      dropped: { no_session: '3' },
      created: '6',
      held: '7',
      gtpu: { end_markers_sent: '1', answers_suppressed: String(2 ** 40) },
      driver: { flows: '3', forwarded_packets: String(2 ** 41) },
    };
    expect(await client.call('NodeService/GetStats')).toMatchObject(expected);
    const stream = client.watch('NodeService/WatchStats', { interval: { nanos: 100_000_000 } });
    stream.on('error', () => undefined);
    expect(await take(stream, 3)).toMatchObject([expected, expected, expected]);
    stream.cancel();
    expect(engine.count).toBe(0);
  });

  it('names the busiest sessions on request, and samples only while somebody looks', async () => {
    const { address, datapath } = await start();
    const client = connect(address);
    for (const name of ['quiet', 'busy']) {
      await client.call('SessionService/CreateSession', { session: sampleSession(name) });
    }
    const [quiet = 0, busy = 0] = [...datapath.sessions.keys()];
    const incarnation = (index: number) => {
      const session = datapath.sessions.get(index)!;
      return session.words[session.start + HEADER_INCARNATION]!;
    };
    const stream = client.watch('NodeService/WatchStats', {
      interval: { nanos: 100_000_000 },
      busiest_sessions: 1,
    });
    const replies = take(stream, 2);
    await until(() => datapath.sampling);
    datapath.sample([quiet, incarnation(quiet), 100, 1]);
    datapath.sample([busy, incarnation(busy), 1000, 20]);
    datapath.sample([busy | SampleFlag.Downlink, incarnation(busy), 500, 4]);
    datapath.sample([busy | SampleFlag.Dropped, incarnation(busy), 500, 2]);
    const [first, second] = await replies;
    expect(first).not.toHaveProperty('busiest');
    const rows = (second?.busiest ?? []) as Message[];
    expect(rows).toHaveLength(1);
    const [row] = rows;
    expect(row).toMatchObject({ name: 'busy', owner: 'grpc:local', seid: expect.any(String) });
    const shown = await client.call('SessionService/GetSession', { name: 'busy' });
    expect(row?.seid).toBe(shown.seid);
    const { uplink_bytes: up, downlink_bytes: down } = row as Record<string, number>;
    expect(up! / down!).toBeCloseTo(10);
    stream.on('error', () => undefined);
    stream.cancel();
    await until(() => !datapath.sampling);
  });

  it('refuses more sessions than it names, and more watchers than it serves', async () => {
    const { address } = await start();
    const client = connect(address);
    const many = client.watch('NodeService/WatchStats', { busiest_sessions: 101 });
    expect(await ending(many)).toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
      details: 'busiest_sessions: must be at most 100',
    });
    const watchers = Array.from({ length: 16 }, () =>
      client.watch('NodeService/WatchStats', { busiest_sessions: 5 }),
    );
    await Promise.all(watchers.map((stream) => take(stream, 1)));
    const late = client.watch('NodeService/WatchStats', { busiest_sessions: 5 });
    expect((await ending(late)).code).toBe(grpc.status.RESOURCE_EXHAUSTED);
    for (const stream of watchers) {
      stream.on('error', () => undefined);
      stream.cancel();
    }
  });

  it('serves so many watchers of statistics at a time, and the next when one has gone', async () => {
    const { address } = await start();
    const client = connect(address);
    const watchers = Array.from({ length: 64 }, () => client.watch('NodeService/WatchStats', {}));
    for (const stream of watchers) stream.on('error', () => undefined);
    await Promise.all(watchers.map((stream) => take(stream, 1)));
    expect(await ending(client.watch('NodeService/WatchStats', {}))).toMatchObject({
      code: grpc.status.RESOURCE_EXHAUSTED,
      details: '64 streams watch statistics, which is the limit; end one first',
    });
    watchers[0]!.cancel();
    let next: Message[] = [];
    await until(async () => {
      const stream = client.watch('NodeService/WatchStats', {});
      watchers.push(stream);
      next = await take(stream, 1).catch(() => []);
      return next.length === 1;
    });
    for (const stream of watchers.slice(1)) stream.cancel();
  });

  it('refuses an interval that makes no sense', async () => {
    const { address } = await start();
    for (const interval of [{}, { nanos: 99_000_000 }, { seconds: '-1' }, { seconds: '3601' }]) {
      const stream = connect(address).watch('NodeService/WatchStats', { interval });
      expect(await ending(stream)).toMatchObject({
        code: grpc.status.INVALID_ARGUMENT,
        details: 'interval: must be from 100 ms to 1 hour',
      });
    }
  });
});
