/** `sluice n4 trace` and `capture` beside a capture of the wire: they show the same messages. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { addresses, type LabProcess, sluiceCommand } from '../lab.js';
import { N4Lab } from './n4-lab.js';

interface Traced {
  readonly sent: boolean;
  readonly message: string;
  readonly pfcp: string;
  readonly elements: Readonly<Record<string, unknown>>;
}
/** Sessions, and heartbeats both ways, some of which a thread below answers. */
const CASES = [
  ['cases_life', 'both_ways'],
  ['cases_life', 'path_switch'],
  ['cases_peers', 'heartbeats_both_ways'],
] as const;

let n4: N4Lab;
let file: string;
let capture: LabProcess;
let trace: LabProcess;

const start = (...args: string[]): LabProcess =>
  n4.lab.start('upf', [sluiceCommand, '--api', n4.upf.api, 'n4', ...args, '--heartbeats']);
const traced = (): Traced[] =>
  trace.stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Traced);

/** Direction and octets of each message. */
async function messagesIn(name: string): Promise<string[]> {
  const fields = ['ip.src', 'udp.srcport', 'udp.dstport', 'udp.payload'];
  const show = fields.flatMap((field) => ['-e', field]);
  const filter = `pfcp && ip.addr == ${addresses.upfN3}`;
  const flags = ['-r', name, '-Y', filter, '-T', 'fields', ...show];
  const { stdout } = await n4.lab.run('upf', ['tshark', ...flags]);
  return stdout.split('\n').filter((line) => line !== '');
}

beforeAll(async () => {
  n4 = await N4Lab.open({ name: 'watch' });
  file = join(n4.lab.folder, 'watched.pcapng');
  capture = start('capture', '-w', file);
  trace = start('trace', '--json');
  // Both look on when they have seen something; whoever comes first keeps the others coming.
  await vi.waitUntil(
    async () => {
      await n4.run(CASES[0][0], CASES[0][1]);
      return traced().length > 0;
    },
    { timeout: 60_000 },
  );
  for (const [module, name] of CASES) await n4.run(module, name);
  await new Promise((resolve) => setTimeout(resolve, 200));
  await trace.end('SIGINT');
  await capture.end('SIGINT');
});
afterAll(() => n4?.close());

describe('what is looked on at', () => {
  it('is what is on the wire, to the octet', async () => {
    expect(capture.stderr).toMatch(/^[\d,]+ packets\n$/);
    const own = await messagesIn(file);
    expect(own.length).toBeGreaterThan(20);
    // dumpcap writes what it has seen about twice a second, so the wire's file may lag behind.
    let wire: string[] = [];
    await vi.waitFor(
      async () => {
        wire = await messagesIn(n4.captureFile);
        expect(own.filter((line) => !wire.includes(line))).toEqual([]);
      },
      { timeout: 30_000, interval: 500 },
    );
    // Ours began in between and ended before; at its ends the two may differ in the order.
    const places = own.map((line) => wire.indexOf(line));
    const between = wire.slice(Math.min(...places) + 2, Math.max(...places) - 2);
    expect(between.filter((line) => !own.includes(line))).toEqual([]);
  });

  it('is decoded, with requests and their answers', () => {
    const seen = traced();
    expect(trace.stderr).toBe('');
    const names = new Set(seen.map(({ message, sent }) => `${sent ? '>' : '<'} ${message}`));
    for (const name of [
      '< Heartbeat Request',
      '> Heartbeat Response',
      '< Session Establishment Request',
      '> Session Establishment Response',
      '< Session Modification Request',
    ]) {
      expect(names).toContain(name);
    }
    const establishment = seen.find(({ message }) => message === 'Session Establishment Request');
    expect(establishment?.elements).toHaveProperty('Create PDR');
  });
});
