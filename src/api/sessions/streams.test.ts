import { setImmediate as turn } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sampleSession } from '../../model/sample.fixture.js';
import {
  type Api,
  ending,
  GenericClient,
  type Message,
  startApi,
  take,
  until,
} from '../api.fixture.js';

let api: Api;
let client: GenericClient;

beforeEach(async () => {
  api = await startApi();
  client = new GenericClient(api.address);
});
afterEach(async () => {
  client.close();
  await api.stop();
});

const create = (name: string) => ({ create: { session: sampleSession(name) } });
const remove = (name: string) => ({ delete: { name } });
const indexOf = (): number => [...api.datapath.sessions.keys()][0] ?? -1;

describe('StreamSessions', () => {
  it('answers each operation in its place, and an operation that fails stops no other', async () => {
    const stream = client.stream('SessionService/StreamSessions');
    const replies = take(stream, 2);
    stream.write({
      batch_id: '18446744073709551615',
      operations: [create('a'), remove('absent'), create('b'), {}, create('not a name')],
    });
    stream.write({ batch_id: '2', brief: true, operations: [create('c'), remove('a')] });
    const [first, second] = await replies;
    expect(first).toMatchObject({
      batch_id: '18446744073709551615',
      results: [
        { seid: expect.any(String), revision: '1', session: { name: 'a' } },
        { code: status.NOT_FOUND },
        { session: { name: 'b' } },
        { code: status.INVALID_ARGUMENT, field: 'operation' },
        { code: status.INVALID_ARGUMENT, field: 'session.name' },
      ],
    });
    expect(second?.batch_id).toBe('2');
    const [made, deleted] = (second?.results ?? []) as Message[];
    expect(made).toMatchObject({
      chosen_f_teids: [{ ipv4: '192.0.2.1', choose_id: 5, chosen_teid: expect.any(Number) }],
      ue_address: { ipv4: expect.stringMatching(/^10\.60\./) },
    });
    expect(made).not.toHaveProperty('session');
    expect(deleted?.usage).toMatchObject([{ urr_id: 1 }]);
    stream.end();
    expect((await ending(stream)).code).toBe(status.OK);
    expect(api.engine.count).toBe(2);
    expect(await api.metrics.text()).toContain(
      'sluice_session_operations_total{operation="create",code="OK"} 3',
    );
  });

  it('keeps the order when work of an earlier batch takes longer', async () => {
    const stream = client.stream('SessionService/StreamSessions');
    const replies = take(stream, 3);
    api.datapath.autoComplete = false;
    stream.write({ batch_id: '1', operations: [create('slow')] });
    await until(() => api.datapath.keysHeld > 0);
    stream.write({ batch_id: '2', operations: [remove('absent')] });
    stream.write({ batch_id: '3' });
    await until(() => api.engine.statistics().operationsWaiting === 0);
    api.datapath.autoComplete = true;
    api.datapath.completeAll();
    expect((await replies).map((reply) => reply.batch_id)).toEqual(['1', '2', '3']);
    stream.end();
    expect((await ending(stream)).code).toBe(status.OK);
  });

  it('carries 64 streams at once', async () => {
    const batches = 8;
    const operations = 16;
    await Promise.all(
      Array.from({ length: 64 }, async (_, s) => {
        const stream = client.stream('SessionService/StreamSessions');
        const replies = take(stream, batches);
        for (let b = 0; b < batches; b++) {
          const names = Array.from({ length: operations }, (_, i) => `s${s}-${b}-${i}`);
          stream.write({ batch_id: String(b + 1), brief: true, operations: names.map(create) });
        }
        stream.end();
        const results = await replies;
        expect(results.map((result) => result.batch_id)).toEqual(
          Array.from({ length: batches }, (_, b) => String(b + 1)),
        );
        for (const result of results) {
          const codes = (result.results as Message[]).map((one) => one.code ?? 0);
          expect(codes).toEqual(new Array(operations).fill(0));
        }
      }),
    );
    expect(api.engine.count).toBe(64 * batches * operations);
  });

  it('reads no further than a client that does not read, and loses nothing', async () => {
    const stream = client.stream('SessionService/StreamSessions');
    let seen = 0;
    stream.on('data', (reply: Message) => {
      seen++;
      if (reply.batch_id !== String(seen)) stream.destroy(new Error('out of order'));
      // grpc-js takes everything from the wire until the first message was read.
      if (seen === 1) stream.pause();
    });
    const total = 1000;
    // The same session again and again: small work, large results.
    const batch = { operations: Array.from({ length: 16 }, () => create('same')) };
    for (let i = 1; i <= total; i++) stream.write({ batch_id: String(i), ...batch });
    stream.end();
    let settled = 0;
    const answered = async (): Promise<number> => {
      const text = await api.metrics.text();
      const line = /operation="create",code="OK"} (\d+)/.exec(text);
      return Number(line?.[1] ?? 0);
    };
    // Until the server makes no progress any more: what it answered bounds what it has read.
    for (let before = -1; before !== settled || settled === 0; ) {
      before = settled;
      for (let i = 0; i < 200; i++) await turn();
      settled = await answered();
    }
    expect(settled).toBeLessThan((total * 16) / 4);
    const done = new Promise<void>((resolve, reject) => {
      stream.once('end', resolve);
      stream.once('error', reject);
    });
    stream.resume();
    await done;
    expect(seen).toBe(total);
  });

  it('forgets a client that goes away in the middle', async () => {
    const stream = client.stream('SessionService/StreamSessions');
    const ended = ending(stream);
    api.datapath.autoComplete = false;
    stream.write({ operations: [create('a')] });
    await until(() => api.datapath.keysHeld > 0);
    stream.cancel();
    expect((await ended).code).toBe(status.CANCELLED);
    api.datapath.autoComplete = true;
    api.datapath.completeAll();
    const session = await client.call('SessionService/GetSession', { name: 'a' });
    expect(session.name).toBe('a');
    const text = await api.metrics.text();
    expect(text).toContain('sluice_grpc_calls{kind="stream"} 0');
  });

  it('ends behind the last good batch when bytes are no batch', async () => {
    const stream = client.rawStream('SessionService/StreamSessions');
    const replies: Buffer[] = [];
    stream.on('data', (bytes: Buffer) => replies.push(bytes));
    const ended = new Promise<{ code: number; details: string }>((resolve) => {
      stream.on('error', () => undefined);
      stream.once('status', resolve);
    });
    stream.write(Buffer.from([0x08, 1]));
    // The operation's bytes are wrong, not the batch's: one result that says so.
    stream.write(Buffer.from([0x08, 2, 0x12, 2, 0x0a, 9]));
    stream.write(Buffer.from([0x12, 9]));
    stream.write(Buffer.from([0x08, 3]));
    expect(await ended).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: 'the batch is not a valid protobuf message',
    });
    expect(replies).toHaveLength(2);
    expect(replies[0]).toEqual(Buffer.from([0x08, 1]));
  });

  it('bounds the operations of one batch', async () => {
    const stream = client.rawStream('SessionService/StreamSessions');
    const ended = ending(stream);
    stream.write(Buffer.from(new Array(1025).fill([0x12, 0]).flat()));
    expect(await ended).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      details: 'operations: must be at most 1024',
    });
  });
});

describe('WatchReports', () => {
  const watch = (request: Message) => {
    const stream = client.stream('SessionService/WatchReports');
    stream.on('error', () => undefined);
    stream.write(request);
    return stream;
  };

  it('offers again what was not acknowledged, and nothing of what was', async () => {
    await client.call('SessionService/CreateSession', { session: sampleSession('ue-1') });
    const first = watch({});
    const early = take(first, 2);
    api.datapath.count(indexOf(), 1, 100, 200);
    api.datapath.report(indexOf(), 1, 1 << 2);
    await until(() => api.engine.statistics().reportsHeld === 1);
    api.datapath.report(indexOf(), 1, 1 << 1);
    const [one, two] = await early;
    expect(one).toMatchObject({
      session_name: 'ue-1',
      time: { seconds: expect.any(String) },
      usage: { urr_id: 1, triggers: ['USAGE_TRIGGER_VOLUME_THRESHOLD'], uplink_bytes: '100' },
    });
    expect(two).toMatchObject({ usage: { triggers: ['USAGE_TRIGGER_PERIODIC'] } });
    first.write({ acknowledge: one?.cursor });
    await until(() => api.engine.statistics().reportsHeld === 1);
    first.cancel();
    const second = watch({});
    expect(await take(second, 1)).toEqual([two]);
    second.cancel();
    const third = watch({ cursor: one?.cursor });
    expect(await take(third, 1)).toEqual([two]);
    third.cancel();
  });

  it('tells only of the sessions that were named, also after a half-close', async () => {
    for (const name of ['a', 'b']) {
      await client.call('SessionService/CreateSession', { session: sampleSession(name) });
    }
    const stream = watch({ names: ['b'] });
    stream.end();
    const replies = take(stream, 1);
    for (const index of api.datapath.sessions.keys()) api.datapath.report(index, 1, 1 << 1);
    expect(await replies).toMatchObject([{ session_name: 'b' }]);
    stream.cancel();
  });

  it('shows every report to every watcher; what one acknowledges is done with for later ones', async () => {
    for (const name of ['a', 'b']) {
      await client.call('SessionService/CreateSession', { session: sampleSession(name) });
    }
    const streams = [watch({}), watch({}), watch({ names: ['b'] })];
    const replies = Promise.all([take(streams[0]!, 2), take(streams[1]!, 2), take(streams[2]!, 1)]);
    for (const index of api.datapath.sessions.keys()) api.datapath.report(index, 1, 1 << 1);
    const [first, second, third] = await replies;
    expect(second).toEqual(first);
    expect(third).toEqual(first.filter((report) => report.session_name === 'b'));
    // The watcher of "b" speaks of b's reports alone, whatever came before them.
    streams[2]!.write({ acknowledge: first[1]?.cursor });
    await until(() => {
      const reader = api.engine.watchReports('', '', []);
      const offered = reader.read(10).length;
      reader.close();
      return offered === 1;
    });
    const late = watch({});
    expect(await take(late, 1)).toMatchObject([{ session_name: 'a' }]);
    for (const stream of [...streams, late]) stream.cancel();
  });

  it('refuses a second beginning', async () => {
    const stream = client.stream('SessionService/WatchReports');
    const ended = ending(stream);
    stream.write({});
    stream.write({ names: ['a'] });
    expect(await ended).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: 'names: belongs to the first message only',
    });
  });

  it.each(['cursor', 'acknowledge'])('refuses a %s that is no cursor', async (field) => {
    for (const value of ['zzz', '5f3a9c01', '5f3a9c01.', '.17', '5f3a9c01.1x', '5f3a9c01.-1']) {
      const stream = client.stream('SessionService/WatchReports');
      const ended = ending(stream);
      stream.write({ [field]: value });
      expect(await ended, value).toMatchObject({
        code: status.INVALID_ARGUMENT,
        details: `${field}: must be the cursor of a report, or empty`,
      });
    }
    const stream = client.stream('SessionService/WatchReports');
    const ended = ending(stream);
    stream.write({ [field]: '5f3a9c01.17' });
    stream.write({ acknowledge: 'zzz' });
    expect(await ended).toMatchObject({ details: expect.stringMatching(/^acknowledge: /) });
  });

  it('is told when the node shuts down', async () => {
    const stream = watch({});
    const ended = ending(stream);
    const session = client.stream('SessionService/StreamSessions');
    const replies = take(session, 1);
    const sessionEnded = new Promise<{ code: number }>((resolve) => {
      session.on('error', () => undefined);
      session.once('status', resolve);
    });
    session.write({ batch_id: '7', operations: [create('late')] });
    await until(() => api.engine.count === 1);
    await api.server.stop(5000);
    expect((await ended).code).toBe(status.UNAVAILABLE);
    expect(await replies).toMatchObject([{ batch_id: '7', results: [{ revision: '1' }] }]);
    expect((await sessionEnded).code).toBe(status.UNAVAILABLE);
  });
});
