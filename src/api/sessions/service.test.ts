import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeMessage, sampleSession } from '../../model/sample.fixture.js';
import {
  type Api,
  definitions,
  failure,
  GenericClient,
  type Message,
  startApi,
  violations,
} from '../api.fixture.js';
import { sessionServiceDefinition } from './definition.js';

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

function create(name = 'ue-1', change: Message = {}): Promise<Message> {
  return client.call('SessionService/CreateSession', {
    session: { ...sampleSession(name), ...change },
  });
}

describe('CreateSession', () => {
  it('answers with the session and all that was chosen', async () => {
    const session = await create();
    expect(session).toMatchObject({
      name: 'ue-1',
      revision: '1',
      owner: 'grpc:local',
      dnn: 'internet',
      worker: 3,
    });
    expect(session.seid).toMatch(/^[1-9]\d*$/);
    const [first] = session.pdrs as Message[];
    expect(first).toMatchObject({
      id: 1,
      pdi: {
        local_f_teid: { ipv4: '192.0.2.1', chosen_teid: expect.any(Number) },
        ue_address: { ipv4: expect.stringMatching(/^10\.60\.\d+\.\d+$/) },
      },
    });
    expect(api.engine.count).toBe(1);
  });

  it('is idempotent by name, and refuses other content', async () => {
    const session = await create();
    expect(await create()).toEqual(session);
    const error = await failure(create('ue-1', { dnn: 'ims' }));
    expect(error.code).toBe(status.ALREADY_EXISTS);
    expect(api.engine.count).toBe(1);
  });

  it('names the field at fault in the message and in the details', async () => {
    const { fars } = sampleSession();
    const error = await failure(create('ue-1', { fars: (fars as Message[]).slice(0, 1) }));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(error.details).toMatch(/^session\.pdrs\[2\]\.far_id: /);
    expect(violations(error)).toEqual([
      { field: 'session.pdrs[2].far_id', description: expect.stringMatching(/\w+ \w+/) },
    ]);
    expect(api.engine.count).toBe(0);
  });

  it.each([
    ['nothing at all', {}, status.INVALID_ARGUMENT, 'session'],
    ['a bad name', { session: sampleSession('a b') }, status.INVALID_ARGUMENT, 'session.name'],
    [
      'a name without end',
      { session: sampleSession('a'.repeat(129)) },
      status.INVALID_ARGUMENT,
      'session.name',
    ],
    [
      'an instance that no port carries',
      {
        session: {
          ...sampleSession(),
          fars: [
            { id: 1, forward: { destination_interface: 2, network_instance: 'nowhere' } },
            { id: 2, drop: {} },
          ],
        },
      },
      status.FAILED_PRECONDITION,
      'session.fars[0].forward.network_instance',
    ],
  ])('refuses %s', async (_what, request, code, field) => {
    const error = await failure(client.call('SessionService/CreateSession', request));
    expect(error.code).toBe(code);
    expect(violations(error)).toMatchObject([{ field }]);
    expect(api.engine.count).toBe(0);
  });

  it('survives text that is no text', async () => {
    const error = await failure(create('\u{1F98A}\ud800 %00\n'));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
  });
});

/** A FAR whose tunnel, if it has one, leads to that address. */
function toOutside(far: Message, ipv4: string): Message {
  const forward = far.forward as Message | undefined;
  const outer = forward?.outer_header_creation as Message | undefined;
  if (outer === undefined) return far;
  return { ...far, forward: { ...forward, outer_header_creation: { ...outer, ipv4 } } };
}

describe('advertised addresses', () => {
  it('are what clients write and see; the packet path has its own', async () => {
    const other = await startApi({
      ports: [
        { addresses: ['192.0.2.1', '2001:db8::1'], advertise: ['203.0.113.9', '2001:db8:f::9'] },
      ],
    });
    const outside = new GenericClient(other.address);
    const chosen = sampleSession('chosen');
    const [first, ...rest] = chosen.pdrs as Message[];
    const asked = { teid: 77, ipv4: '203.0.113.9', ipv6: '2001:db8:f::9' };
    const pdi = { ...(first?.pdi as Message), local_f_teid: asked };
    const fars = (chosen.fars as Message[]).map((far) => toOutside(far, '203.0.113.9'));
    const given = { ...sampleSession('given'), pdrs: [{ ...first, pdi }, ...rest], fars };
    const seen = async (session: Message) => {
      await outside.call('SessionService/CreateSession', { session });
      const { name } = session;
      const { pdrs } = await outside.call('SessionService/GetSession', { name });
      const [pdr] = pdrs as { pdi: Message }[];
      return pdr?.pdi.local_f_teid;
    };
    expect(await seen(chosen)).toMatchObject({ ipv4: '203.0.113.9', choose_id: 5 });
    expect(await seen(given)).toEqual(asked);
    const kept = await outside.call('SessionService/GetSession', { name: 'given' });
    expect(kept.fars).toEqual(fars);
    const records = other.engine.list('', 10, '').records;
    for (const record of records) {
      expect(record).toContain(0xc000_0201);
      expect(record).not.toContain(0xcb00_7109);
    }
    expect(records).toHaveLength(2);
    outside.close();
    await other.stop();
  });
});

describe('UpdateSession', () => {
  it('replaces the rules and counts revisions', async () => {
    const { seid } = await create();
    const session = sampleSession('ue-1');
    const request = { session: { ...session, dnn: 'other' }, expected_revision: '1' };
    const reply = await client.call('SessionService/UpdateSession', request);
    expect(reply.session).toMatchObject({ seid, revision: '2', dnn: 'other' });
    const error = await failure(client.call('SessionService/UpdateSession', request));
    expect(error.code).toBe(status.ABORTED);
  });

  it('finds the session by SEID alone', async () => {
    const { seid } = await create();
    const { name: _, ...rules } = sampleSession();
    const reply = await client.call('SessionService/UpdateSession', {
      session: { ...rules, seid, dnn: 'by-seid' },
    });
    expect(reply.session).toMatchObject({ name: 'ue-1', dnn: 'by-seid' });
  });

  it('reports the URRs that were asked for', async () => {
    await create();
    api.datapath.count([...api.datapath.sessions.keys()][0] ?? -1, 1, 1000, 2 ** 40);
    const reply = await client.call('SessionService/UpdateSession', {
      session: sampleSession('ue-1'),
      query_urr_ids: [1],
    });
    expect(reply.usage).toMatchObject([
      {
        urr_id: 1,
        triggers: ['USAGE_TRIGGER_IMMEDIATE'],
        uplink_bytes: '1000',
        downlink_bytes: String(2 ** 40),
      },
    ]);
  });

  it('says when there is no such session', async () => {
    const error = await failure(
      client.call('SessionService/UpdateSession', { session: sampleSession('absent') }),
    );
    expect(error.code).toBe(status.NOT_FOUND);
  });
});

describe('GetSession and DeleteSession', () => {
  it('find by name or SEID, and nothing afterwards', async () => {
    const session = await create();
    const { seid } = session;
    expect(await client.call('SessionService/GetSession', { name: 'ue-1' })).toEqual(session);
    expect(await client.call('SessionService/GetSession', { seid })).toEqual(session);
    api.datapath.count([...api.datapath.sessions.keys()][0] ?? -1, 1, 7, 9);
    const { usage } = await client.call('SessionService/DeleteSession', { seid });
    expect(usage).toMatchObject([
      { urr_id: 1, triggers: ['USAGE_TRIGGER_TERMINATION'], uplink_bytes: '7' },
    ]);
    for (const method of ['GetSession', 'DeleteSession']) {
      const error = await failure(client.call(`SessionService/${method}`, { name: 'ue-1' }));
      expect(error.code).toBe(status.NOT_FOUND);
    }
    expect(api.datapath.keysHeld).toBe(0);
  });

  it('want a name or a SEID', async () => {
    for (const method of ['GetSession', 'DeleteSession']) {
      const error = await failure(client.call(`SessionService/${method}`, {}));
      expect(error.code).toBe(status.INVALID_ARGUMENT);
      expect(violations(error)).toMatchObject([{ field: 'name' }]);
    }
  });
});

describe('ListSessions', () => {
  const list = (request: Message) => client.call('SessionService/ListSessions', request);

  it('gives pages that hold every session once', async () => {
    const names = Array.from({ length: 25 }, (_, i) => `ue-${i}`);
    for (const name of names) await create(name);
    const seen: unknown[] = [];
    let token: unknown = '';
    do {
      const page: Message = await list({ page_size: 10, page_token: token });
      const sessions = page.sessions as Message[];
      expect(sessions.length).toBeLessThanOrEqual(10);
      expect(page.total).toBe('25');
      seen.push(...sessions.map((session) => session.name));
      token = page.next_page_token;
    } while (token !== undefined);
    expect(seen.sort()).toEqual(names.sort());
    expect(await list({ owner: 'grpc:somebody' })).toEqual({});
    expect((await list({ owner: 'grpc:local' })).total).toBe('25');
  });

  it('refuses a token that it did not give', async () => {
    const error = await failure(list({ page_token: '!' }));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
  });

  it('keeps a page below the size that clients take', async () => {
    const pdrs = (sampleSession().pdrs as Message[]).map((pdr, n) => ({
      ...pdr,
      pdi: {
        ...(pdr.pdi as Message),
        framed_routes: Array.from(
          { length: 64 },
          (_, i) => `2001:db8:${n}:1111:2222:3333:${(i + 4096).toString(16)}:0/112`,
        ),
      },
    }));
    const names = Array.from({ length: 400 }, (_, i) => `ue-${i}`);
    for (const name of names) await create(name, { pdrs });
    const page = await list({ page_size: 1000 });
    const seen = page.sessions as Message[];
    expect(seen.length).toBeLessThan(400);
    const rest = await list({ page_size: 1000, page_token: page.next_page_token });
    expect(seen.length).toBeGreaterThan(0);
    expect(rest.total).toBe('400');
  });
});

describe('bytes that are no message', () => {
  const methods = [
    'CreateSession',
    'UpdateSession',
    'GetSession',
    'ListSessions',
    'DeleteSession',
  ].map((name) => `SessionService/${name}`);
  const node = ['GetNode', 'GetStats'].map((name) => `NodeService/${name}`);

  it.each([...methods, ...node])('are INVALID_ARGUMENT to %s', async (method) => {
    for (const bytes of [[0xff], [0x0a, 0x7f, 1], [0x0a], [0x07], [0x0c], [0x80, 0x80, 0x80]]) {
      const error = await failure(client.raw(method, Buffer.from(bytes)));
      expect(error.code).toBe(status.INVALID_ARGUMENT);
    }
    expect(await client.call('NodeService/GetNode')).toBeDefined();
  });

  it('change nothing, whatever byte of a good request is wrong or missing', async () => {
    const good = encodeMessage('CreateSessionRequest', { session: sampleSession('ue-1') });
    const allowed = new Set<number>([
      status.INVALID_ARGUMENT,
      status.RESOURCE_EXHAUSTED,
      status.UNIMPLEMENTED,
      status.ALREADY_EXISTS,
      status.FAILED_PRECONDITION,
    ]);
    const codes = new Set<number>();
    for (let at = 0; at < good.length; at += 3) {
      const wrong = Buffer.from(good);
      wrong[at] = (wrong[at] ?? 0) ^ (1 << (at & 7));
      for (const bytes of [wrong, good.subarray(0, at)]) {
        const before = api.engine.count;
        const outcome = await client.raw('SessionService/CreateSession', bytes).then(
          () => 0,
          (error: { code: number }) => error.code,
        );
        if (outcome === 0) continue;
        codes.add(outcome);
        expect(api.engine.count).toBe(before);
      }
    }
    expect([...codes].filter((code) => !allowed.has(code))).toEqual([]);
    expect(codes).toContain(status.INVALID_ARGUMENT);
  });
});

it('has the paths and streams of the proto file', () => {
  const proto = definitions['sluice.v1.SessionService'] as unknown as Record<string, Message>;
  const shape = (service: Record<string, object>) =>
    Object.fromEntries(
      Object.entries(service as Record<string, Message>).map(([name, method]) => [
        name,
        [method.path, method.requestStream, method.responseStream],
      ]),
    );
  expect(shape(sessionServiceDefinition)).toEqual(shape(proto));
});

it('counts calls by method and code, and operations by outcome', async () => {
  await create();
  await failure(create('ue-1', { dnn: 'ims' }));
  await failure(client.call('SessionService/GetSession', {}));
  const text = await api.metrics.text();
  const method = '/sluice.v1.SessionService/CreateSession';
  expect(text).toContain(`sluice_grpc_requests_total{method="${method}",code="OK"} 1`);
  expect(text).toContain(`sluice_grpc_requests_total{method="${method}",code="ALREADY_EXISTS"} 1`);
  expect(text).toContain(`sluice_grpc_request_duration_seconds_count{method="${method}"} 2`);
  expect(text).toContain('sluice_grpc_calls{kind="unary"} 0');
  expect(text).toContain('sluice_session_operations_total{operation="create",code="OK"} 1');
  expect(text).toContain(
    'sluice_session_operations_total{operation="create",code="ALREADY_EXISTS"} 1',
  );
});
