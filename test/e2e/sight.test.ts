/** What a person sees of packets: a capture of a ping that tshark reads, and a trace of its kind. */
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Lab } from './lab.js';
import { answersOf, pingFor, Upf } from './upf.js';

let lab: Lab;
let upf: Upf;

beforeAll(async () => {
  lab = await Lab.open();
  upf = new Upf(lab);
  await upf.start();
}, 60_000);
afterAll(async () => {
  await upf?.endGnbs();
  upf?.client.close();
  await lab?.close();
});

const hasTshark = ((): boolean => {
  try {
    execFileSync('tshark', ['--version'], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
})();

describe('capture and trace', () => {
  it('a ping through the UPF is in the capture on both sides, with comments', async () => {
    await upf.create({ name: 'ue1', ueIp: 'auto' });
    await upf.gnb('ue1');
    const file = join(lab.folder, 'ue1.pcapng');
    const words = ['capture', '--session', 'ue1', '--count', '12', '-w', file];
    const capture = upf.sluice(words);
    // The file is there once the capture has begun.
    while (!existsSync(file) || statSync(file).size === 0) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const ping = await lab.run('ue:ue1', pingFor(5, '10.60.0.1'));
    expect(answersOf(ping)).toBe(5);
    expect((await capture).stderr).toMatch(/^12 packets$/m);
    if (!hasTshark) return;
    const fields = ['-e', 'frame.interface_name', '-e', 'icmp.type', '-e', 'frame.comment'];
    const read = execFileSync('tshark', ['-r', file, '-T', 'fields', ...fields], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const lines = read.trimEnd().split('\n');
    expect(lines).toHaveLength(12);
    expect(lines[0]).toMatch(/^n3\t8\treceived; session ue1, uplink, PDR 1.*: forwarded$/);
    expect(lines[1]).toMatch(/^n6\t8\tsent; session ue1/);
    expect(lines[2]).toMatch(/^n6\t0\treceived; session ue1, downlink, PDR 2.*: forwarded$/);
    expect(lines[3]).toMatch(/^n3\t0\tsent; session ue1/);
  }, 60_000);

  it('a trace says where such a ping would go, and moves nothing', async () => {
    const before = await upf.counts();
    const words = ['trace', 'uplink', 'icmp', '--session', 'ue1', '--to', '10.60.0.1'];
    const { stdout } = await upf.sluice(words);
    expect(stdout).toMatch(/lookup +TEID 0x[0-9a-f]+ at [0-9.]+ is session ue1, uplink/);
    expect(stdout).toMatch(/forward +FAR 1: plain IP, out on n6/);
    expect(stdout).toMatch(/^forwarded$/m);
    expect((await upf.counts()).tx).toEqual(before.tx);
  }, 60_000);
});
