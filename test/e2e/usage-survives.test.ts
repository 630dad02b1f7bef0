/**
 * Usage is counted once and told once, whatever crashes: traffic through a UPF that is killed
 * at random moments, a receiver that counts what passed, and a watcher that reads and
 * acknowledges in between. SEED=n repeats the moments of a run.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { DeleteSessionResponse, Report, UsageReport } from '../../src/cli/api/messages.js';
import { addresses, Lab, type LabProcess } from './lab.js';
import { Upf } from './upf.js';

const SIZE = 100;
const PORT = 9000;
/** Packets a report: about a hundred reports a second. */
const THRESHOLD = 30 * SIZE;
const PPS = 3000;
const KILLS = 4;
/** Each kill is a start of the whole process, and two of the load. */
const TIMEOUT_MS = 400_000;
/** Packets that may be counted and not sent when a process ends: what is between two stages. */
const IN_FLIGHT_MAX = 256;

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
let state = seed;
/** Uniform in [0, 1): the moments repeat with the seed, their effect does not have to. */
function random(): number {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
  return state / 2 ** 32;
}

const RECEIVER = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
s.bind(("${addresses.server}", ${PORT}))
s.settimeout(0.1)
packets = shown = 0
print("ready", flush=True)
while True:
    try:
        if len(s.recv(2048)) == ${SIZE - 28}: packets += 1
    except TimeoutError:
        if packets != shown: print("passed", packets, flush=True)
        shown = packets
`;

vi.setConfig({ testTimeout: TIMEOUT_MS });

let lab: Lab;
let upf: Upf;
let receiver: LabProcess;

beforeAll(async () => {
  console.log(`SEED=${seed}`);
  lab = await Lab.open();
  upf = new Upf(lab);
  await upf.start();
  receiver = lab.start('dn', ['/usr/bin/python3', '-c', RECEIVER]);
  await receiver.printed(/ready/);
});
afterAll(async () => {
  upf?.client.close();
  await lab?.close();
});

/** Packets that passed, once no more come. */
async function passed(): Promise<number> {
  for (let before = -1; ; ) {
    const now = Number(
      receiver.stdout
        .match(/passed (\d+)\n/g)
        ?.at(-1)
        ?.split(' ')[1] ?? 0,
    );
    if (now === before) return now;
    before = now;
    await sleep(400);
  }
}

function load(name: string, seconds: number): LabProcess {
  const to = `${addresses.server}:${PORT}`;
  const flags = ['--pps', String(PPS), '--size', String(SIZE), '--to', to, '--json'];
  const rest = ['--time', `${Math.round(seconds * 1000)}ms`, '--bind', addresses.gnb];
  return lab.start('ran', [
    ...[`${process.cwd()}/bin/sluice`, '--api', upf.api, 'gnb', 'load', '--session', name],
    ...[...flags, ...rest],
  ]);
}

/** Reads reports over all restarts: each once by its cursor, acknowledged now and then. */
class Watcher {
  readonly reports = new Map<string, Report>();
  #stream: ReturnType<Upf['client']['duplex']> | undefined;
  #last = '';

  constructor(private readonly name: string) {}

  open(): void {
    const stream = upf.client.duplex('SessionService', 'WatchReports');
    this.#stream = stream;
    stream.on('error', () => undefined);
    stream.on('data', (report: Report) => {
      this.#last = report.cursor ?? '';
      expect(this.#last).not.toBe('');
      const known = this.reports.get(this.#last);
      // Offered again it is what it was.
      if (known !== undefined) expect(report).toEqual(known);
      this.reports.set(this.#last, report);
      if (random() < 0.1) stream.write({ acknowledge: this.#last });
    });
    stream.write({ cursor: '', names: [this.name] });
  }
  close(): void {
    this.#stream?.cancel();
    this.#stream = undefined;
  }
  /** Everything is read, acknowledged, and gone from the log; then the watcher ends. */
  async caughtUp(): Promise<void> {
    while ((await heldReports()) > 0) {
      if (this.#last !== '') this.#stream?.write({ acknowledge: this.#last });
      await sleep(100);
    }
    this.close();
  }
  get usage(): UsageReport[] {
    return [...this.reports.values()].flatMap((one) => (one.usage ? [one.usage] : []));
  }
}

/** Reports that the UPF has and nobody has acknowledged. */
async function heldReports(): Promise<number> {
  const { stdout } = await lab.run('upf', ['curl', '-s', 'http://127.0.0.1:9090/metrics']);
  return Number(/^sluice_reports_held (\d+)$/m.exec(stdout)?.[1] ?? -1);
}

const packetsOf = (usage: readonly UsageReport[]) =>
  usage.reduce((sum, one) => sum + Number(one.uplink_packets ?? 0), 0);
const bytesOf = (usage: readonly UsageReport[]) =>
  usage.reduce((sum, one) => sum + Number(one.uplink_bytes ?? 0), 0);
/** One of each sequence number, as a client that knows both the answer and the log has them. */
function bySequence(usage: readonly UsageReport[]): UsageReport[] {
  return [...new Map(usage.map((one) => [one.sequence ?? 0, one])).values()];
}
const sequences = (usage: readonly UsageReport[]) =>
  usage.map((one) => one.sequence ?? 0).sort((a, b) => a - b);
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

async function restart(): Promise<void> {
  await upf.stop('SIGKILL');
  upf.client.close();
  await upf.start();
}

/** The session's end: its last usage together with all that was reported before. */
async function settle(name: string, watcher: Watcher): Promise<UsageReport[]> {
  const { usage = [] } = await upf.client.call<DeleteSessionResponse>(
    'SessionService',
    'DeleteSession',
    { name },
  );
  await watcher.caughtUp();
  return [...watcher.usage, ...usage];
}

describe('kill -9 at random moments', () => {
  it('between bursts of traffic: every byte is reported, and none twice', async () => {
    const name = `still-${process.pid}`;
    await upf.create({ name, ueIp: 'auto', volumeThreshold: String(THRESHOLD) });
    const before = await passed();
    const watcher = new Watcher(name);
    for (let kill = 0; kill < KILLS; kill++) {
      watcher.open();
      const { code, stderr } = await load(name, 0.2 + 0.3 * random()).finished;
      expect(stderr).toBe('');
      expect(code).toBe(0);
      await passed();
      // Reports are still on their way to the watcher, or being acknowledged.
      await load(name, 0.02).finished;
      const rest = passed();
      if (kill % 2 === 0) await rest;
      await restart();
      await rest;
    }
    watcher.open();
    const usage = await settle(name, watcher);
    const total = (await passed()) - before;
    expect(total).toBeGreaterThan(KILLS * 500);
    expect(packetsOf(usage)).toBe(total);
    expect(bytesOf(usage)).toBe(total * SIZE);
    expect(sequences(usage)).toEqual(upTo(usage.length));
  });

  it('under traffic: nothing that passed is missing', async () => {
    const name = `moving-${process.pid}`;
    await upf.create({ name, ueIp: 'auto', volumeThreshold: String(THRESHOLD) });
    const before = await passed();
    const watcher = new Watcher(name);
    for (let kill = 0; kill < KILLS; kill++) {
      watcher.open();
      const received = await upf.receivedOnN3();
      const loading = load(name, 3);
      // Hundreds of packets are through, and more come all the time, when it is killed.
      while ((await upf.receivedOnN3()) < received + 600) await sleep(10);
      await sleep(500 * random());
      await restart();
      await loading.finished;
    }
    watcher.open();
    await load(name, 0.3).finished;
    const total = (await passed()) - before;
    const usage = await settle(name, watcher);
    expect(total).toBeGreaterThan(KILLS * 500);
    expect(packetsOf(usage)).toBeGreaterThanOrEqual(total);
    expect(packetsOf(usage)).toBeLessThanOrEqual(total + KILLS * IN_FLIGHT_MAX);
    expect(sequences(usage)).toEqual(upTo(usage.length));
  });

  it('right after a deletion was asked for: its usage is in the answer or in the log', async () => {
    const before = await passed();
    const found: UsageReport[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      const name = `gone-${process.pid}-${kill}`;
      await upf.create({ name, ueIp: 'auto', volumeThreshold: String(THRESHOLD) });
      const { code, stderr } = await load(name, 0.1).finished;
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      await passed();
      const answer = upf.client
        .call<DeleteSessionResponse>('SessionService', 'DeleteSession', { name })
        .catch(() => undefined);
      await sleep(8 * random());
      await restart();
      const usage = [...((await answer)?.usage ?? [])];
      const watcher = new Watcher(name);
      watcher.open();
      const again = await settle(name, watcher).catch(() => []);
      await watcher.caughtUp();
      const all = bySequence([...usage, ...again, ...watcher.usage]);
      expect(sequences(all)).toEqual(upTo(all.length));
      found.push(...all);
    }
    const total = (await passed()) - before;
    expect(total).toBeGreaterThan(KILLS * 200);
    expect(packetsOf(found)).toBe(total);
  });
});

describe('an orderly stop', () => {
  it('leaves the same behind', async () => {
    const name = `orderly-${process.pid}`;
    await upf.create({ name, ueIp: 'auto', volumeThreshold: '1G' });
    const before = await passed();
    await load(name, 0.2).finished;
    const total = (await passed()) - before;
    await upf.stop();
    upf.client.close();
    await upf.start();
    const watcher = new Watcher(name);
    watcher.open();
    const usage = await settle(name, watcher);
    expect(usage).toHaveLength(1);
    expect(packetsOf(usage)).toBe(total);
  });
});
