/** The command against a server of its own kind: what people and programs see of it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { fromJSON, type MessageTypeDefinition } from '@grpc/proto-loader';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ApiClient } from './api/client.js';
import type { Session } from './api/messages.js';
import { catchOutput, listen, serviceOf } from './cli.fixture.js';
import { run } from './program.js';

const BAD_REQUEST = fromJSON({
  nested: {
    Any: { fields: { type_url: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
    Status: {
      fields: {
        code: { type: 'int32', id: 1 },
        message: { type: 'string', id: 2 },
        details: { rule: 'repeated', type: 'Any', id: 3 },
      },
    },
    Violation: {
      fields: { field: { type: 'string', id: 1 }, description: { type: 'string', id: 2 } },
    },
    BadRequest: { fields: { fieldViolations: { rule: 'repeated', type: 'Violation', id: 1 } } },
  },
});
const encode = (name: string, value: object): Buffer =>
  (BAD_REQUEST[name] as MessageTypeDefinition<object, object>).serialize(value);

/** INVALID_ARGUMENT with the details that a real server sends. */
function refusal(field: string, description: string): grpc.ServerErrorResponse {
  const value = encode('BadRequest', { fieldViolations: [{ field, description }] });
  const any = { type_url: 'type.googleapis.com/google.rpc.BadRequest', value };
  const metadata = new grpc.Metadata();
  metadata.set('grpc-status-details-bin', encode('Status', { code: 3, details: [any] }));
  const code = grpc.status.INVALID_ARGUMENT;
  return { code, details: 'bad', metadata, name: 'e', message: 'e' };
}

type Unary = grpc.handleUnaryCall<Record<string, never>, object>;
const sessions = new Map<string, Session>();
const acknowledged: string[] = [];

const createSession: Unary = (call, callback) => {
  const session = (call.request as unknown as { session: Session }).session;
  if (session.qers?.[0]?.qfi === 63) return callback(refusal('session.qers[0].qfi', 'is reserved'));
  const stored = { ...session, seid: '0x10', revision: '1', owner: 'grpc:test' };
  stored.seid = '16';
  sessions.set(session.name ?? '', stored);
  return callback(null, stored);
};
const getSession: Unary = (call, callback) => {
  const { name } = call.request as unknown as { name: string };
  const session = sessions.get(name);
  if (session !== undefined) return callback(null, session);
  return callback({ code: grpc.status.NOT_FOUND, details: `no session "${name}"` });
};
const updateSession: Unary = (call, callback) => {
  const request = call.request as unknown as { session: Session; expected_revision: string };
  if (request.expected_revision !== '1') {
    return callback({ code: grpc.status.ABORTED, details: 'the revision is 1' });
  }
  return callback(null, { session: request.session });
};
const deleteSession: Unary = (call, callback) => {
  const { name } = call.request as unknown as { name: string };
  if (!sessions.delete(name)) return callback({ code: grpc.status.NOT_FOUND, details: name });
  return callback(null, { usage: [{ urr_id: 1, triggers: [7], uplink_bytes: '12345' }] });
};
const listSessions: Unary = (call, callback) => {
  const { page_token: token } = call.request as unknown as { page_token: string };
  const all = [...sessions.values()];
  const at = Number(token || 0);
  const more = at + 1 < all.length ? String(at + 1) : '';
  callback(null, { sessions: all.slice(at, at + 1), next_page_token: more, total: all.length });
};
const watchReports: grpc.handleBidiStreamingCall<Record<string, string>, object> = (call) => {
  call.on('data', (request: { acknowledge?: string; names?: string[] }) => {
    if (request.acknowledge) acknowledged.push(request.acknowledge);
    else call.write({ cursor: 'c1', session_name: 'ue1', inactivity: { urr_id: 3 } });
  });
  call.on('end', () => call.end());
};
const getStats: Unary = (_, callback) =>
  callback(null, {
    sessions: 1,
    ports: [
      { name: 'n3', rx_packets: '10', tx_packets: '4' },
      { name: 'n6', rx_packets: '5', tx_packets: '9' },
    ],
    dropped: { unknown_teid: '2', far_drop: '0' },
  });

let server: grpc.Server;
let api: string;
let folder: string;
const written = catchOutput();

beforeAll(async () => {
  server = new grpc.Server();
  const methods = { createSession, getSession, updateSession, deleteSession, listSessions };
  server.addService(serviceOf('SessionService'), {
    ...(methods as grpc.UntypedServiceImplementation),
    watchReports: watchReports as grpc.UntypedHandleCall,
  });
  server.addService(serviceOf('NodeService'), {
    getStats,
    getNode: ((_, callback) => callback(null, {})) as Unary,
  });
  api = await listen(server);
  folder = mkdtempSync(join(tmpdir(), 'sluice-cli-'));
});
afterAll(() => {
  server.forceShutdown();
  rmSync(folder, { recursive: true });
});
afterEach(() => {
  sessions.clear();
  acknowledged.length = 0;
});

const sluice = (...args: string[]): Promise<number> => run([...args, '--api', api]);

describe('session', () => {
  it('creates from flags and shows the fields', async () => {
    expect(await sluice('session', 'create', '--name', 'ue1', '--gnb-teid', '0x100')).toBe(0);
    expect(written.out).toMatch(/^name +ue1$/m);
    expect(written.out).toMatch(/^seid +0x10$/m);
    expect(written.out).toMatch(/^gnb tunnel +127\.0\.0\.2\/0x100$/m);
    expect(sessions.get('ue1')?.pdrs).toHaveLength(2);
  });

  it('round-trips JSON: what get prints, create takes', async () => {
    await sluice('session', 'create', '--name', 'ue1', '--mbr-dl', '50M', '--json');
    const first = JSON.parse(written.out) as Session;
    expect(first.qers?.[0]?.downlink_mbr_kbps).toBe('50000');
    const file = join(folder, 'again.json');
    writeFileSync(file, written.out);
    sessions.clear();
    written.out = '';
    expect(await sluice('session', 'create', '-f', file, '--json')).toBe(0);
    expect(JSON.parse(written.out)).toEqual(first);
  });

  it('creates all sessions of a YAML stream, with short enum values and durations', async () => {
    const file = join(folder, 'two.yaml');
    writeFileSync(
      file,
      'name: a\npdrs: [{ id: 1, pdi: { source_interface: access } }]\n' +
        'urrs: [{ id: 1, period: 10s }]\n---\nname: b\n',
    );
    expect(await sluice('session', 'create', '-f', file)).toBe(0);
    expect([...sessions.keys()]).toEqual(['a', 'b']);
    expect(sessions.get('a')?.urrs).toEqual([{ id: 1, period: { seconds: '10', nanos: 0 } }]);
  });

  it('refuses an unknown key with its path before anything is sent', async () => {
    const file = join(folder, 'bad.yaml');
    writeFileSync(file, 'name: a\npdrs: [{ id: 1, pdi: { sdf_filter: [] } }]\n');
    expect(await sluice('session', 'create', '-f', file)).not.toBe(0);
    expect(written.err).toContain(
      'bad.yaml: session 1: pdrs[0].pdi.sdf_filter: unknown field (did you mean sdf_filters?)',
    );
    expect(sessions.size).toBe(0);
  });

  it('names file and line of broken YAML', async () => {
    const file = join(folder, 'broken.yaml');
    writeFileSync(file, 'name: a\npdrs: [\n');
    expect(await sluice('session', 'create', '-f', file)).toBe(1);
    expect(written.err).toMatch(/broken\.yaml:\d+: /);
  });

  it('prints violations as "field: message"', async () => {
    expect(await sluice('session', 'create', '--name', 'ue1', '--qfi', '63')).toBe(1);
    expect(written.err).toBe('sluice: session.qers[0].qfi: is reserved\n');
  });

  it('updates by reading, changing and writing the revision it read', async () => {
    await sluice('session', 'create', '--name', 'ue1');
    expect(await sluice('session', 'update', 'ue1', '--gate-dl', 'closed')).toBe(0);
    expect(written.out).toContain('gate open up closed down');
    expect(await sluice('session', 'update', 'ue1', '--expected-revision', '7')).toBe(1);
    expect(written.err).toContain('aborted: the revision is 1');
  });

  it.each([
    [['session', 'update', 'ue1', '--expected-revision', 'abc'], '--expected-revision: "abc"'],
    [['session', 'update', '-f', 'a.yaml', '--qfi', '3'], '--qfi: does not go with -f'],
    [['session', 'create', '-f', 'a.yaml', '--ue-ip', 'auto'], '--ue-ip: does not go with -f'],
    [['session', 'get', '--seid', '0x10000000000000000'], '--seid: "0x10000000000000000"'],
    [['n4', 'load', '--t1', '0s'], '--t1: at least 1ms'],
  ])('refuses %j', async (args, message) => {
    expect(await sluice(...args)).toBe(2);
    expect(written.err).toContain(`sluice: ${message}`);
  });

  it.each(['', 'upf', '::1', 'upf:99999', 'unix:'])('refuses the API address "%s"', (api) => {
    expect(() => new ApiClient({ api })).toThrow(
      `--api: must be host:port or unix:PATH, not "${api}"`,
    );
  });

  it('says when a file of TLS holds no certificate', async () => {
    const file = join(folder, 'none.pem');
    writeFileSync(file, 'not a certificate');
    expect(await sluice('node', '--tls-ca', file)).toBe(1);
    expect(written.err).toBe(`sluice: ${file}: no certificate in PEM\n`);
  });

  it('lists page by page, as a table and as one JSON array', async () => {
    for (const name of ['a', 'b', 'c']) await sluice('session', 'create', '--name', name);
    written.out = '';
    expect(await sluice('session', 'list', '--json')).toBe(0);
    expect((JSON.parse(written.out) as Session[]).map((session) => session.name)).toEqual([
      'a',
      'b',
      'c',
    ]);
    written.out = '';
    expect(await sluice('session', 'list', '--limit', '2')).toBe(0);
    expect(written.out).toContain('2 of 3 sessions');
  });

  it('deletes what is there of several, as one JSON document, and names the rest', async () => {
    for (const name of ['a', 'b']) await sluice('session', 'create', '--name', name);
    written.out = '';
    expect(await sluice('session', 'delete', '--json', 'a', 'nobody', 'b')).toBe(1);
    expect(JSON.parse(written.out)).toHaveLength(2);
    expect(written.err).toBe('sluice: there is no session "nobody"\n');
    expect(await sluice('session', 'get', 'b')).toBe(1);
  });

  it('deletes and shows the final usage', async () => {
    await sluice('session', 'create', '--name', 'ue1');
    expect(await sluice('session', 'delete', 'ue1')).toBe(0);
    expect(written.out).toMatch(/termination +12,345/);
  });

  it('watches and acknowledges', async () => {
    expect(await sluice('session', 'watch', '--count', '1')).toBe(0);
    expect(written.out).toContain('ue1  no traffic on urr 3');
    await vi.waitFor(() => expect(acknowledged).toEqual(['c1']));
  });

  it('says what is missing when a session is not there', async () => {
    expect(await sluice('session', 'get', 'nobody')).toBe(1);
    expect(written.err).toBe('sluice: there is no session "nobody"\n');
  });
});

describe('stats', () => {
  it('prints the account with the shared keys', async () => {
    expect(await sluice('stats', '--json')).toBe(0);
    expect(JSON.parse(written.out)).toMatchObject({
      rx: 15,
      created: 0,
      tx: { n3: 4, n6: 9 },
      held: 0,
      dropped: { unknown_teid: 2 },
    });
  });
});

describe('usage', () => {
  it('exits with 2 and names what is wrong', async () => {
    expect(await run(['session', 'create', '--nmae', 'x'])).toBe(2);
    expect(written.err).toContain('--nmae');
    expect(await run(['session', 'get'])).toBe(2);
    expect(await run(['sesion'])).toBe(2);
    expect(await run(['gnb', 'up'])).toBe(2);
    expect(await run(['gnb', 'load'])).toBe(2);
    for (const [args, said] of [
      [['gnb', 'load', '--session', 'ue1', '--pps', '0'], '--pps: at least one packet'],
      [['gnb', 'load', '--session', 'ue1', '--time', '0s'], '--time: longer than nothing'],
      [['gnb', 'load', '--session', 'ue1', '--to', '999.1.1.1'], '--to: "999.1.1.1" is no'],
      [['gnb', 'load', '--session', 'ue1', '--to', '[::1'], '--to: "[::1" is no IP'],
      [['gnb', 'load', '--session', 'ue1', '--to', '[1.1.1.1]:5'], '--to: "[1.1.1.1]:5" is no'],
      [['gnb', 'load', '--session', 'ue1', '--to', '1.1.1.1:x'], '--to: "1.1.1.1:x" is no'],
      [['stats', '--count', '3'], '--count goes with --watch'],
    ] as const) {
      expect(await run([...args]), args.join(' ')).toBe(2);
      expect(written.err).toContain(said);
    }
  });
  it('prints help and version with 0', async () => {
    for (const args of [['--help'], ['session', 'create', '--help'], ['--version']]) {
      expect(await run(args)).toBe(0);
    }
    expect(written.out).toContain('Examples:');
  });
  it('says in one sentence where no server is', async () => {
    expect(await run(['session', 'list', '--api', '127.0.0.1:1'])).toBe(1);
    expect(written.err).toMatch(
      /^sluice: no answer from the API at 127\.0\.0\.1:1 .*sluice serve.*\n$/,
    );
  });
});
