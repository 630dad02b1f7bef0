import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Report } from '../api/messages.js';
import { catchOutput, serviceOf } from '../cli.fixture.js';
import { run } from '../program.js';

interface Request {
  cursor: string;
  acknowledge: string;
  names: string[];
}

/** What a node keeps over its restarts. */
class ReportKeeper {
  reports: { number: number; name: string }[] = [];
  #next = 1;
  readonly listeners = new Set<() => void>();

  add(name: string): void {
    this.reports.push({ number: this.#next++, name });
    for (const listener of this.listeners) listener();
  }
  acknowledge(cursor: string): void {
    const last = Number(cursor.split('.')[1]);
    this.reports = this.reports.filter(({ number }) => number > last);
  }
}

let keeper: ReportKeeper;
let requests: Request[];
let server: grpc.Server;
let api: string;
let startSeconds: number;
const written = catchOutput();

async function start(address = '127.0.0.1:0'): Promise<void> {
  startSeconds += 1;
  server = new grpc.Server();
  const startTime = { seconds: String(startSeconds) };
  server.addService(serviceOf('NodeService', true), {
    getNode: ((_, callback) => callback(null, { start_time: startTime })) as grpc.handleUnaryCall<
      object,
      object
    >,
  });
  server.addService(serviceOf('SessionService', true), {
    getSession: ((call, callback) =>
      call.request.name === 'nobody'
        ? callback({ code: grpc.status.NOT_FOUND })
        : callback(null, {})) as grpc.handleUnaryCall<{ name: string }, object>,
    watchReports: watchReports as grpc.handleBidiStreamingCall<Request, Report>,
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  api = `127.0.0.1:${port}`;
}

function watchReports(call: grpc.ServerDuplexStream<Request, Report>): void {
  let sent = -1;
  let names: string[] = [];
  const pump = (): void => {
    for (const { number, name } of keeper.reports) {
      if (number <= sent || (names.length > 0 && !names.includes(name))) continue;
      sent = number;
      call.write({ cursor: `ab12.${number}`, session_name: name, inactivity: { urr_id: number } });
    }
  };
  call.on('data', (request: Request) => {
    requests.push(request);
    if (sent === -1) {
      sent = Number(request.cursor.split('.')[1] ?? 0);
      names = request.names;
      keeper.listeners.add(pump);
    }
    if (request.acknowledge !== '') keeper.acknowledge(request.acknowledge);
    pump();
  });
  call.on('cancelled', () => keeper.listeners.delete(pump));
  call.on('error', () => keeper.listeners.delete(pump));
}

beforeEach(async () => {
  [requests, startSeconds] = [[], 1_700_000_000];
  keeper = new ReportKeeper();
  await start();
});
afterEach(() => {
  server.forceShutdown();
});

const watch = (...args: string[]): Promise<number> =>
  run(['session', 'watch', ...args, '--api', api]);
const cursorsOf = (text: string): string[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as Report).cursor ?? '');
const said = (text: RegExp) =>
  vi.waitFor(() => expect(written.err).toMatch(text), { timeout: 20_000 });

describe('session watch', () => {
  it('begins behind a cursor, and acknowledges what it prints', async () => {
    for (let i = 0; i < 4; i++) keeper.add('ue1');
    expect(await watch('--cursor', 'ab12.2', '--count', '2', '--json')).toBe(0);
    expect(cursorsOf(written.out)).toEqual(['ab12.3', 'ab12.4']);
    expect(requests[0]).toMatchObject({ cursor: 'ab12.2', acknowledge: '' });
    await vi.waitFor(() => expect(keeper.reports).toEqual([]));
  });

  it('passes on names, and says which have no session yet', async () => {
    keeper.add('other');
    keeper.add('ue1');
    expect(await watch('ue1', 'nobody', '--count', '1', '--json')).toBe(0);
    expect(requests[0]?.names).toEqual(['ue1', 'nobody']);
    expect(cursorsOf(written.out)).toEqual(['ab12.2']);
    expect(written.err).toBe(
      'sluice: there is no session "nobody" yet; its reports are shown once there is one\n',
    );
  });

  it('only looks with --no-acknowledge, and names the cursor to go on from', async () => {
    keeper.add('ue1');
    keeper.add('ue1');
    expect(await watch('--no-acknowledge', '--count', '2')).toBe(0);
    expect(written.out).toMatch(/ue1 {2}no traffic on urr 2/);
    expect(keeper.reports).toHaveLength(2);
    expect(written.err).toContain('--cursor ab12.2 goes on behind the last report');
  });

  it('goes on behind the last report when the node was restarted', async () => {
    keeper.add('ue1');
    const ended = watch('--json', '--count', '3', '--no-acknowledge');
    await vi.waitFor(() => expect(written.out).not.toBe(''), { timeout: 20_000 });
    const address = api;
    server.forceShutdown();
    await said(
      /^sluice: the node at 127\.0\.0\.1:\d+ went away; waiting for it, Ctrl-C ends this$/m,
    );
    keeper.add('ue1');
    await start(address);
    await said(/^sluice: the node was restarted; going on behind the last report$/m);
    keeper.add('ue1');
    expect(await ended).toBe(0);
    expect(cursorsOf(written.out)).toEqual(['ab12.1', 'ab12.2', 'ab12.3']);
    // Said once, however often it tried.
    expect(written.err.match(/went away/g)).toHaveLength(1);
  });

  it('repeats the acknowledgement that a broken connection may have lost', async () => {
    keeper.add('ue1');
    const ended = watch('--count', '2');
    await vi.waitFor(() => expect(written.out).not.toBe(''), { timeout: 20_000 });
    const address = api;
    server.forceShutdown();
    await said(/went away/);
    requests.length = 0;
    await start(address);
    await said(/was restarted/);
    await vi.waitFor(() => expect(requests).not.toEqual([]));
    expect(requests[0]).toMatchObject({ cursor: 'ab12.1', acknowledge: 'ab12.1' });
    keeper.add('ue1');
    expect(await ended).toBe(0);
  });

  it('fails at once with --no-reconnect, and when there is no node from the start', async () => {
    const ended = watch('--no-reconnect');
    await vi.waitFor(() => expect(requests).not.toEqual([]), { timeout: 20_000 });
    server.forceShutdown();
    expect(await ended).toBe(1);
    expect(written.err).toMatch(/^sluice: the node at 127\.0\.0\.1:\d+ went away\n$/);
    written.err = '';
    expect(await watch()).toBe(1);
    expect(written.err).toMatch(/^sluice: no answer from the API at .*\n$/);
  });

  it('refuses wrong usage', async () => {
    expect(await watch('--cursor', 'yesterday')).toBe(2);
    expect(written.err).toBe(
      'sluice: --cursor: "yesterday" is no cursor; take one from "cursor" in the output of --json\n',
    );
    expect(await watch('--count', '0')).toBe(2);
  });
});
