import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IDLE_STATUS } from '../../datapath/idle-statistics.js';
import { CaptureEnd } from '../../datapath/packet-sight.js';
import { sampleSession } from '../../model/sample.fixture.js';
import {
  type Api,
  ending,
  failure,
  GenericClient,
  type Message,
  startApi,
  take,
  until,
  violations,
} from '../api.fixture.js';

let api: Api;
let client: GenericClient;

const PORT = { driver: 'memory', state: 'up', addresses: [], capabilities: {} };

beforeEach(async () => {
  api = await startApi();
  const ports = ['n3', 'n6'].map((name) => ({ name, ...PORT }));
  api.datapath.status = () => ({ ...IDLE_STATUS, ports });
  client = new GenericClient(api.address);
});
afterEach(async () => {
  client.close();
  await api.stop();
});

describe('Trace', () => {
  it('gives the packet to the port and the steps to the caller', async () => {
    api.datapath.traceResult = {
      steps: [
        { stage: 'parse', decision: 'G-PDU', seid: 0n, ruleId: 0 },
        { stage: 'match', decision: 'PDR 2 matched', seid: 2n ** 63n + 1n, ruleId: 2 },
      ],
      verdict: 'forwarded',
      dropReason: '',
      outputs: [
        { port: 0, bytes: Uint8Array.of(1, 2) },
        { port: 1, bytes: Uint8Array.of(3) },
      ],
    };
    const reply = await client.call('NodeService/Trace', {
      packet: Buffer.from([9, 8]),
      port: 'n6',
    });
    expect([...api.datapath.traced.values()]).toEqual([{ packet: Buffer.from([9, 8]), port: 1 }]);
    expect(reply).toEqual({
      steps: [
        { stage: 'parse', decision: 'G-PDU', seid: '0', rule_id: 0 },
        { stage: 'match', decision: 'PDR 2 matched', seid: String(2n ** 63n + 1n), rule_id: 2 },
      ],
      verdict: 'forwarded',
      drop_reason: '',
      output: Buffer.from([1, 2]),
      output_port: 'n3',
      outputs: [
        { port: 'n3', packet: Buffer.from([1, 2]) },
        { port: 'n6', packet: Buffer.from([3]) },
      ],
    });
  });

  it('says which field is wrong', async () => {
    const packet = Buffer.from([1]);
    for (const [request, field, text] of [
      [{ packet }, 'port', 'must be one of the ports: n3, n6'],
      [{ packet, port: 'n9' }, 'port', 'must be one of the ports: n3, n6'],
      [{ port: 'n3' }, 'packet', 'must be 1 to 2092 bytes: one IP packet'],
    ] as const) {
      const error = await failure(client.call('NodeService/Trace', request));
      expect(error.code).toBe(grpc.status.INVALID_ARGUMENT);
      expect(violations(error)).toMatchObject([{ field, description: text }]);
    }
    const garbage = await failure(client.raw('NodeService/Trace', Buffer.from([0xff, 0xff])));
    expect(garbage.code).toBe(grpc.status.INVALID_ARGUMENT);
    expect(api.datapath.traced.size).toBe(0);
  });
});

describe('Capture', () => {
  const capture = (request: Message) => client.watch('NodeService/Capture', request);
  const running = (): number => api.datapath.captures.size;

  it('is of a session by its name or SEID, or of a port, with all that was asked', async () => {
    const made = await client.call('SessionService/CreateSession', {
      session: sampleSession('a'),
    });
    const index = [...api.datapath.sessions.keys()][0];
    const limits = { snap_length: 96, max_packets: '5', drops: true };
    const streams = [
      capture({ session_name: 'a', ...limits }),
      capture({ seid: made.seid }),
      capture({ port: 'n6' }),
    ];
    for (const stream of streams) stream.on('error', () => undefined);
    await until(() => running() === 3);
    const asked = [...api.datapath.captures.values()].map(({ options }) => options);
    const common = { ports: 0, drops: false, snapLength: 0, maxPackets: 0 };
    expect(asked).toEqual(
      expect.arrayContaining([
        { session: index, ports: 0, drops: true, snapLength: 96, maxPackets: 5 },
        { ...common, session: index },
        { ...common, session: -1, ports: 2 },
      ]),
    );
    for (const stream of streams) stream.cancel();
    await until(() => running() === 0);
  });

  it('brings the bytes with their counts and what would end the file, and ends well', async () => {
    const stream = capture({ port: 'n3' });
    const done = ending(stream);
    const chunks: Message[] = [];
    stream.on('data', (chunk: Message) => chunks.push(chunk));
    await until(() => running() === 1);
    const large = Buffer.alloc(2_500_000, 7);
    api.datapath.captured = { pcapng: large, packets: 1700, lost: 3 };
    const bytes = (): Buffer => Buffer.concat(chunks.map(({ pcapng }) => (pcapng as Buffer) ?? ''));
    await until(() => chunks.length > 0 && bytes().length === large.length);
    expect(bytes().equals(large)).toBe(true);
    for (const chunk of chunks) expect((chunk.pcapng as Buffer).length).toBeLessThan(1_048_577);
    expect(chunks.at(-1)).toMatchObject({ packets: '1700', lost: '3', trailer: Buffer.of(9, 9) });
    api.datapath.captured = { pcapng: Buffer.from('end'), packets: 1701, lost: 3 };
    api.datapath.endCapture([...api.datapath.captures.keys()][0]!, CaptureEnd.SessionGone);
    expect((await done).code).toBe(grpc.status.OK);
    expect(bytes().subarray(-3).toString()).toBe('end');
    expect(chunks.at(-1)).not.toHaveProperty('trailer');
    expect(running()).toBe(0);
  });

  it('ends when its time is over, and when the node stops', async () => {
    const timed = capture({ port: 'n3', max_time: { nanos: 1_000_000 } });
    expect((await ending(timed)).code).toBe(grpc.status.OK);
    const stopped = ending(capture({ port: 'n3' }));
    await until(() => running() === 1);
    const stop = api.server.stop(1000);
    expect((await stopped).code).toBe(grpc.status.OK);
    await stop;
    expect(running()).toBe(0);
  });

  it('refuses what makes no sense, and begins nothing', async () => {
    for (const [request, code, field] of [
      [{}, 'INVALID_ARGUMENT', 'session_name'],
      [{ session_name: 'a', port: 'n3' }, 'INVALID_ARGUMENT', 'port'],
      [{ port: 'n9' }, 'INVALID_ARGUMENT', 'port'],
      [{ port: 'n3', snap_length: 63 }, 'INVALID_ARGUMENT', 'snap_length'],
      [{ port: 'n3', max_time: {} }, 'INVALID_ARGUMENT', 'max_time'],
      [{ port: 'n3', max_time: { seconds: '86401' } }, 'INVALID_ARGUMENT', 'max_time'],
      [{ session_name: 'nobody' }, 'NOT_FOUND', undefined],
    ] as const) {
      const stream = capture(request);
      const failed = new Promise<grpc.ServiceError>((resolve) => stream.on('error', resolve));
      stream.on('data', () => undefined);
      const error = await failed;
      expect(error.code, JSON.stringify(request)).toBe(grpc.status[code]);
      if (field !== undefined) expect(violations(error)).toMatchObject([{ field }]);
    }
    expect(running()).toBe(0);
  });

  it('has a limit', async () => {
    const streams = Array.from({ length: 8 }, () => capture({ port: 'n3' }));
    for (const stream of streams) stream.on('error', () => undefined);
    await until(() => running() === 8);
    expect(await ending(capture({ port: 'n3' }))).toMatchObject({
      code: grpc.status.RESOURCE_EXHAUSTED,
      details: '8 captures run, which is the limit',
    });
    for (const stream of streams) stream.cancel();
    await until(() => running() === 0);
  });

  it('stops for a client that is gone', async () => {
    const stream = capture({ port: 'n3' });
    const first = take(stream, 1);
    api.datapath.captured = { pcapng: Buffer.from('x'), packets: 1, lost: 0 };
    await first;
    stream.on('error', () => undefined);
    client.close();
    stream.cancel();
    await until(() => running() === 0);
  });
});
