import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath as healthProto } from 'grpc-health-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseListen } from '../base/config/listen.js';
import { sampleSession } from '../model/sample.fixture.js';
import {
  apiForEachTest,
  ending,
  failure,
  type GenericClient,
  type Message,
  makeCertificates,
  startApi,
  take,
  until,
} from './api.fixture.js';

const { start, connect, closeLater } = apiForEachTest();

const loopback = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;

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
    closeLater(client);
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
    closeLater(client);
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
