/** `sluice top` on a terminal of its own (made by script(1)), and in pipes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { packageRoot } from '../api/client.js';
import { run } from '../program.js';
import type { Snapshot } from './rates.js';

const ENTER = '\x1b[?1049h';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const root = packageRoot();

interface Request {
  busiest_sessions: number;
}
let requests: Request[];
let streams: Set<{ end(): void; emit(event: 'error', error: object): void }>;
let server: grpc.Server;
let api: string;
let children: ChildProcess[];

function newServer(): grpc.Server {
  const definitions = loadSync('sluice/v1/sluice.proto', {
    keepCase: true,
    longs: String,
    includeDirs: [join(root, 'proto')],
  });
  const made = new grpc.Server();
  made.addService(definitions['sluice.v1.NodeService'] as grpc.ServiceDefinition, {
    getNode: ((_, callback) =>
      callback(null, { id: 'upf-test', version: '9.9' })) as grpc.handleUnaryCall<object, object>,
    watchStats: ((call) => {
      requests.push(call.request);
      streams.add(call);
      let turn = 0;
      const send = () => {
        turn += 1;
        call.write({
          time: { seconds: turn },
          sessions: 7,
          ports: [{ name: 'n3', rx_packets: turn * 1000, rx_bytes: turn * 125_000 }],
          dropped: { no_pdr: turn },
          busiest: turn > 1 ? [{ name: 'ue-9', uplink_bytes: 1250 }] : [],
        });
      };
      send();
      const timer = setInterval(send, 30);
      call.on('cancelled', () => {
        clearInterval(timer);
        streams.delete(call);
      });
    }) as grpc.handleServerStreamingCall<Request, object>,
  });
  return made;
}

async function listen(address: string): Promise<void> {
  server = newServer();
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  api = `127.0.0.1:${port}`;
}

beforeAll(async () => {
  [requests, streams, children] = [[], new Set(), []];
  await listen('127.0.0.1:0');
});
afterAll(() => server.forceShutdown());
beforeEach(() => {
  [requests, children] = [[], []];
});
afterEach(() => {
  vi.restoreAllMocks();
  for (const child of children) child.kill('SIGKILL');
});

describe('in a pipe', () => {
  let out: string;
  beforeEach(() => {
    out = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      out += String(text);
      return true;
    });
    vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  });
  const sluice = (...args: string[]): Promise<number> => run(['top', ...args, '--api', api]);

  it('prints one refresh', async () => {
    expect(await sluice()).toBe(0);
    expect(out).toMatch(/^sluice top {2}upf-test 9\.9/);
    expect(out).toMatch(/^n3 +1,000 +1\.00 Mbit\/s/m);
    expect(out).toMatch(/^ue-9 +10\.0 kbit\/s/m);
    expect(out).not.toContain('\x1b');
    expect(requests).toMatchObject([{ busiest_sessions: 50 }]);
  });
  it('prints JSON, one object a line', async () => {
    expect(await sluice('--json', '--count', '2', '--sessions', '3')).toBe(0);
    const lines = out.trimEnd().split('\n');
    expect(lines).toHaveLength(2);
    const snapshot = JSON.parse(lines[1]!) as Snapshot;
    expect(snapshot).toMatchObject({ node: 'upf-test', sessions: 7, seconds: 1 });
    expect(snapshot.dropped).toEqual([{ reason: 'no_pdr', pps: 1, total: 3 }]);
    expect(requests).toMatchObject([{ busiest_sessions: 3 }]);
  });
  it('refuses what makes no sense', async () => {
    for (const wrong of [
      ['--interval', '1ms'],
      ['--interval', 'soon'],
      ['--sessions', '101'],
      ['--count', '0'],
      ['--once', '--count', '3'],
      ['--nonsense'],
      ['extra'],
    ]) {
      expect(await sluice(...wrong), wrong.join(' ')).toBe(2);
    }
    expect(await run(['top', '--api', '127.0.0.1:1'])).toBe(1);
  });
});

/** top on a terminal of 80 by 24; `out` is all that it wrote. */
class OnTerminal {
  out = '';
  readonly ended: Promise<number | null>;
  readonly child: ChildProcess;

  constructor() {
    const program = `${process.execPath} --import tsx src/cli/main.ts top --api ${api}`;
    const command = `stty cols 80 rows 24; exec ${program} --interval 100ms`;
    this.child = spawn('script', ['-qfec', command, '/dev/null'], { cwd: root });
    this.child.stdout?.on('data', (text: Buffer) => {
      this.out += text.toString();
    });
    this.ended = new Promise((resolve) => this.child.on('close', resolve));
    children.push(this.child);
  }
  type(keys: string): void {
    this.child.stdin?.write(keys);
  }
  /** Waits until the text was written after what was there before. */
  async shows(text: string): Promise<void> {
    const from = this.out.length;
    await vi.waitFor(() => expect(this.out.slice(from)).toContain(text), { timeout: 20_000 });
  }
}

describe('on a terminal', () => {
  it.each([
    ['q', 'q'],
    ['Ctrl-C', '\x03'],
  ])('draws until %s, and gives the terminal back', async (_, key) => {
    const top = new OnTerminal();
    await top.shows('ue-9');
    expect(top.out).toContain(ENTER);
    top.type(key);
    expect(await top.ended).toBe(0);
    expect(top.out.trimEnd().endsWith(LEAVE)).toBe(true);
    const frame = top.out.split('\x1b[H').at(-2)!;
    expect(frame.split('\r\n')).toHaveLength(24);
  });

  it('says that the node is gone, and goes on when it is back', async () => {
    const top = new OnTerminal();
    await top.shows('ue-9');
    const address = api;
    server.forceShutdown();
    await top.shows('trying again; q quits');
    await listen(address);
    await top.shows('sessions are estimated');
    top.type('q');
    expect(await top.ended).toBe(0);
  });

  it('shows an error and no screen when no node is there', async () => {
    const before = api;
    api = '127.0.0.1:1';
    const top = new OnTerminal();
    api = before;
    expect(await top.ended).toBe(1);
    expect(top.out).toMatch(/^sluice: no answer from the API at 127\.0\.0\.1:1 /);
    expect(top.out).not.toContain(ENTER);
  });
});
