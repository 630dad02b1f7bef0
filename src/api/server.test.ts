import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath as healthProto } from 'grpc-health-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseListen } from '../base/config/listen.js';
import { SampleFlag } from '../datapath/datapath.js';
import { IDLE_STATISTICS, IDLE_STATUS, IDLE_WORKER } from '../datapath/idle-statistics.js';
import { MemorySight } from '../datapath/memory/sight.js';
import { HEADER_INCARNATION } from '../model/record-layout.js';
import { sampleSession } from '../model/sample.fixture.js';
import {
  type Api,
  ending,
  failure,
  GenericClient,
  type Message,
  makeCertificates,
  startApi,
  take,
  until,
} from './api.fixture.js';

let api: Api | undefined;
const clients: { close(): void }[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await api?.stop();
  api = undefined;
});

async function start(options: Parameters<typeof startApi>[0] = {}): Promise<Api> {
  api = await startApi(options);
  return api;
}

function connect(address: string, credentials?: grpc.ChannelCredentials): GenericClient {
  const client = new GenericClient(address, credentials);
  clients.push(client);
  return client;
}

const loopback = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;

/** Of a worker's statistics, what is named alike inside and in the API. */
const ROW = { id: 1, busy: 0.5, buckets: 256 };

describe('the address', () => {
  it('may be a TCP port that the system chose, and is refused in words when in use', async () => {
    const { address } = await start({ listen: loopback });
    expect(address).toMatch(/^127\.0\.0\.1:[1-9]\d+$/);
    expect(await connect(address).call('NodeService/GetNode')).toMatchObject({ id: 'upf-test' });
    const listen = parseListen(address);
    if (listen === undefined) throw new Error('no address');
    await expect(startApi({ listen })).rejects.toThrow(
      `api.listen: ${address} is already in use; stop the other process or choose another address`,
    );
  });

  it('takes over no socket that somebody answers on', async () => {
    const { address, folder } = await start();
    const listen = { kind: 'unix', path: path.join(folder, 'api.sock') } as const;
    await expect(startApi({ listen })).rejects.toThrow(`api.listen: ${address} is already in use`);
    expect(await connect(address).call('NodeService/GetNode')).toMatchObject({ id: 'upf-test' });
  });
});

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
          ports: [
            { name: 'n3', rxPackets: 2 ** 50, rxBytes: 1, txPackets: 0, txBytes: 0, txFull: 2 },
          ],
          workers: [{ ...IDLE_WORKER, ...ROW, cyclesPerPacket: 70.5, longestStallNs: 8 }],
          dropped: { no_session: 3 },
          created: 6,
          held: 7,
          captures: IDLE_STATISTICS.captures,
          cryptoLanes: IDLE_STATISTICS.cryptoLanes,
          gtpu: { ...IDLE_STATISTICS.gtpu, endMarkersSent: 1, answersSuppressed: 2 ** 40 },
        }),
      },
    });
    const client = connect(address);
    const expected = {
      time: { seconds: expect.any(String) },
      sessions: '4000000000',
      ports: [{ name: 'n3', rx_packets: String(2 ** 50), rx_bytes: '1', tx_full: '2' }],
      workers: [{ ...ROW, cycles_per_packet: 70.5, longest_stall_ns: '8' }],
      dropped: { no_session: '3' },
      created: '6',
      held: '7',
      gtpu: { end_markers_sent: '1', answers_suppressed: String(2 ** 40) },
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

describe('limits', () => {
  it('bound the size of a message', async () => {
    const { address, metrics } = await start();
    const error = await failure(
      connect(address).raw('SessionService/CreateSession', Buffer.alloc(4 * 1024 * 1024 + 1)),
    );
    expect(error.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
    expect(await metrics.text()).toMatch(/CreateSession",code="RESOURCE_EXHAUSTED"} 1/);
  });

  it('bound the calls under way, and recover', async () => {
    const running = await start({ limits: { unary: 2, streams: 1 } });
    const client = connect(running.address);
    running.datapath.autoComplete = false;
    const create = (name: string) =>
      client.call('SessionService/CreateSession', { session: sampleSession(name) });
    const held = [create('a'), create('b')];
    const error = await failure(create('c'));
    expect(error.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
    expect(error.details).toContain('2 calls are under way');
    const stream = client.stream('SessionService/StreamSessions');
    const replies = take(stream, 1);
    stream.write({ batch_id: '1' });
    await replies;
    expect(await ending(client.stream('SessionService/WatchReports'))).toMatchObject({
      code: grpc.status.RESOURCE_EXHAUSTED,
    });
    stream.end();
    running.datapath.autoComplete = true;
    running.datapath.completeAll();
    await Promise.all(held);
    await create('c');
    expect(running.engine.count).toBe(3);
  });

  it('end a call at its deadline, and count it as such', async () => {
    const { address, datapath, metrics } = await start();
    datapath.autoComplete = false;
    const session = sampleSession('late');
    const client = connect(address);
    const error = await failure(client.call('SessionService/CreateSession', { session }, 50));
    expect(error.code).toBe(grpc.status.DEADLINE_EXCEEDED);
    await until(async () => (await metrics.text()).includes('sluice_grpc_calls{kind="unary"} 0'));
    datapath.autoComplete = true;
    datapath.completeAll();
    // The operation itself went on: the same call again finds it done.
    expect(await client.call('SessionService/CreateSession', { session })).toMatchObject({
      revision: '1',
    });
    const text = await metrics.text();
    expect(text).toMatch(/CreateSession",code="(DEADLINE_EXCEEDED|CANCELLED)"} 1/);
    expect(text).toContain('sluice_grpc_calls{kind="unary"} 0');
  });
});

describe('TLS', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-tls-'));
  const file = (name: string) => path.join(folder, name);
  const pem = (name: string) => readFileSync(file(name));
  const tls = { cert: file('server.pem'), key: file('server.key') };
  const as = (name: string) =>
    grpc.credentials.createSsl(pem('ca.pem'), pem(`${name}.key`), pem(`${name}.pem`));

  beforeAll(() => makeCertificates(folder, ['smf-1', 'smf-2', 'two words']));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('serves those who trust the certificate, and nobody in plain text', async () => {
    const { address } = await start({ listen: loopback, tls });
    const client = connect(address, grpc.credentials.createSsl(pem('ca.pem')));
    const session = sampleSession('a');
    expect(await client.call('SessionService/CreateSession', { session })).toMatchObject({
      owner: 'grpc:local',
    });
    expect((await failure(connect(address).call('NodeService/GetNode'))).code).toBe(
      grpc.status.UNAVAILABLE,
    );
  });

  it('knows clients by their certificates, and names by their owner', async () => {
    const mutual = { ...tls, clientCa: file('ca.pem') };
    const { address, engine } = await start({ listen: loopback, tls: mutual });
    const [one, two] = [connect(address, as('smf-1')), connect(address, as('smf-2'))];
    const session = sampleSession('same-name');
    const create = (client: GenericClient) =>
      client.call('SessionService/CreateSession', { session });
    expect(await create(one)).toMatchObject({ owner: 'grpc:smf-1' });
    expect(await create(two)).toMatchObject({ owner: 'grpc:smf-2' });
    expect(engine.count).toBe(2);
    await one.call('SessionService/DeleteSession', { name: 'same-name' });
    expect(await two.call('SessionService/GetSession', { name: 'same-name' })).toBeDefined();
    const listed = await one.call('SessionService/ListSessions', { owner: 'grpc:smf-2' });
    expect(listed.sessions).toHaveLength(1);
    const unnamed = await failure(create(connect(address, as('two words'))));
    expect(unnamed.code).toBe(grpc.status.PERMISSION_DENIED);
    expect(unnamed.details).toContain('common name');
    const anonymous = connect(address, grpc.credentials.createSsl(pem('ca.pem')));
    expect((await failure(create(anonymous))).code).toBe(grpc.status.UNAVAILABLE);
  });

  it('is refused in words when the files do not fit', async () => {
    const wrong = { cert: file('server.pem'), key: file('smf-1.key') };
    await expect(startApi({ listen: loopback, tls: wrong })).rejects.toThrow(
      /^api\.tls: .*server\.pem, .*smf-1\.key can't be used together: /,
    );
  });
});

describe('health', () => {
  it('is SERVING for each service, and NOT_SERVING from a shutdown on', async () => {
    const { address, server } = await start();
    const { Health } = (
      grpc.loadPackageDefinition(loadSync(healthProto, { enums: String })) as unknown as {
        grpc: { health: { v1: { Health: grpc.ServiceClientConstructor } } };
      }
    ).grpc.health.v1;
    if (Health === undefined) throw new Error('no health service');
    const client = new Health(address, grpc.credentials.createInsecure());
    clients.push(client);
    const watch = (service: string): grpc.ClientReadableStream<Message> =>
      (
        client as unknown as Record<
          string,
          (request: Message) => grpc.ClientReadableStream<Message>
        >
      ).watch?.({ service }) as grpc.ClientReadableStream<Message>;
    const streams = ['', 'sluice.v1.SessionService', 'sluice.v1.NodeService'].map(watch);
    for (const stream of streams) {
      stream.on('error', () => undefined);
      expect(await take(stream, 1)).toEqual([{ status: 'SERVING' }]);
    }
    const next = streams.map((stream) => take(stream, 1));
    const stopped = server.stop(1000);
    for (const message of next) expect(await message).toEqual([{ status: 'NOT_SERVING' }]);
    // Those who only look on don't hold the shutdown up, and their connections are closed.
    const ends = streams.map(ending);
    await stopped;
    for (const end of ends) expect((await end).code).not.toBe(grpc.status.OK);
  });
});

describe('reflection', () => {
  it.each(['v1', 'v1alpha'])('%s lists the services and describes a session', async (version) => {
    const { address } = await start();
    const proto = path.join(
      path.dirname(new URL(import.meta.resolve('@grpc/reflection')).pathname),
      `../proto/grpc/reflection/${version}/reflection.proto`,
    );
    const service = loadSync(proto, { keepCase: true })[
      `grpc.reflection.${version}.ServerReflection`
    ] as unknown as Record<string, grpc.MethodDefinition<Message, Message>>;
    const method = service.ServerReflectionInfo;
    if (method === undefined) throw new Error('no such method');
    const client = new grpc.Client(address, grpc.credentials.createInsecure());
    clients.push(client);
    const stream = client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize as (bytes: Buffer) => Message,
    );
    const replies = take(stream, 3);
    stream.write({ list_services: '*' });
    stream.write({ file_containing_symbol: 'sluice.v1.Session' });
    stream.write({ file_containing_symbol: 'sluice.v1.Nothing' });
    stream.end();
    const [services, file, missing] = await replies;
    expect(services?.list_services_response).toEqual({
      service: [
        { name: 'sluice.v1.SessionService' },
        { name: 'sluice.v1.NodeService' },
        { name: 'sluice.v1.N4Service' },
        { name: 'sluice.v1.ProtectionService' },
        { name: 'grpc.health.v1.Health' },
        { name: 'grpc.reflection.v1.ServerReflection' },
        { name: 'grpc.reflection.v1alpha.ServerReflection' },
      ],
    });
    const response = file?.file_descriptor_response as { file_descriptor_proto: Buffer[] };
    const found = response.file_descriptor_proto;
    expect(found).toHaveLength(3);
    expect(found[0]?.includes('sluice/v1/sluice.proto')).toBe(true);
    expect(missing?.error_response).toMatchObject({ error_code: grpc.status.NOT_FOUND });
  });
});

it('tells a shutdown from a failure', async () => {
  const { address, server } = await start();
  const client = connect(address);
  await client.call('NodeService/GetNode');
  await server.stop(100);
  const error = await failure(client.call('NodeService/GetNode', {}, 500));
  expect([grpc.status.UNAVAILABLE, grpc.status.DEADLINE_EXCEEDED]).toContain(error.code);
});
