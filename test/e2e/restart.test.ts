/** kill -9 in the middle of creations, restarts, and a second process on the same things. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ListSessionsResponse, Session } from '../../src/cli/api/messages.js';
import { ueSessionOf } from '../../src/cli/gnb/ue-sessions.js';
import { sessionFromFlags } from '../../src/cli/session/flags.js';
import { type StreamResult, streamSessions } from '../../src/cli/session/stream.js';
import { addresses, Lab, type Place, sluiceCommand } from './lab.js';
import { answersOf, losses, pingFor, Upf } from './upf.js';

const SESSIONS = 10_000;
const KILL_AFTER = 4_000;
const nameOf = (i: number): string => `s${i}-${process.pid}`;

let lab: Lab;
let upf: Upf;

beforeAll(async () => {
  lab = await Lab.open();
  upf = new Upf(lab);
  await upf.start();
});
afterEach(() => upf.endGnbs());
afterAll(async () => {
  upf?.client.close();
  await lab?.close();
});

async function allSessions(): Promise<Map<string, Session>> {
  const found = new Map<string, Session>();
  let token = '';
  do {
    const request = { page_size: 1000, page_token: token };
    const page = await upf.client.call<ListSessionsResponse>(
      'SessionService',
      'ListSessions',
      request,
    );
    for (const session of page.sessions ?? []) found.set(session.name ?? '', session);
    token = page.next_page_token ?? '';
  } while (token !== '');
  return found;
}

describe('the only session of a node', () => {
  it('stays when it is changed, and when another comes, between restarts', async () => {
    const [one, other] = [`only-${process.pid}`, `other-${process.pid}`];
    const names = async () => [...(await allSessions()).keys()].sort();
    await upf.create({ name: one, ueIp: 'auto' });
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await upf.stop(signal);
      await upf.start();
      await upf.sluice(['session', 'update', one, '--mbr-dl', signal === 'SIGTERM' ? '5M' : '6M']);
    }
    await upf.stop('SIGTERM');
    await upf.start();
    expect(await names()).toEqual([one]);
    await upf.create({ name: other, ueIp: 'auto' });
    await upf.stop('SIGTERM');
    await upf.start();
    expect(await names()).toEqual([one, other]);
    await streamSessions(upf.client, [{ delete: { name: one } }, { delete: { name: other } }]);
  });
});

describe('kill -9 in the middle of 10,000 creations', () => {
  const acknowledged = new Map<string, StreamResult>();

  it('keeps every session that was acknowledged, as it was', async () => {
    const operations = Array.from({ length: SESSIONS }, (_, i) => {
      const session = sessionFromFlags({ name: nameOf(i), ueIp: 'auto', gnb: addresses.gnb });
      return { create: { session } };
    });
    const stream = streamSessions(upf.client, operations, (result, i) => {
      expect(result.code ?? 0).toBe(0);
      acknowledged.set(nameOf(i), result);
      if (i === KILL_AFTER) void upf.stop('SIGKILL');
    });
    await expect(stream).rejects.toThrow(/no answer|unavailable|cancelled|Connection/i);
    expect(acknowledged.size).toBeGreaterThan(KILL_AFTER);
    expect(acknowledged.size).toBeLessThan(SESSIONS);
    await upf.start();
    const found = await allSessions();
    const missing = [...acknowledged.keys()].filter((name) => !found.has(name));
    expect(missing).toEqual([]);
    for (const [name, result] of acknowledged) {
      const pdrs = found.get(name)?.pdrs ?? [];
      const fTeid = pdrs[0]?.pdi?.local_f_teid;
      expect(fTeid?.chosen_teid).toBe(result.chosen_f_teids?.[0]?.chosen_teid);
      expect(pdrs[0]?.pdi?.ue_address?.ipv4).toBe(result.ue_address?.ipv4);
    }
    const teids = [...found.values()].map((one) => one.pdrs?.[0]?.pdi?.local_f_teid?.chosen_teid);
    expect(new Set(teids).size).toBe(found.size);
  });

  it('and they carry traffic', async () => {
    const names = [...acknowledged.keys()];
    const some = [names[0], names[1999], names.at(-1)].map((name) => name ?? '');
    const load = ['gnb', 'load', '--pps', '3000', '--time', '300ms', '--json'];
    const { stdout } = await upf.sluice([...load, '--session', ...some]);
    const result = JSON.parse(stdout) as {
      sent: { packets: number };
      upf: { tx: Record<string, number>; dropped: Record<string, number> };
    };
    expect(losses(result.upf.dropped)).toEqual({});
    expect(result.upf.tx.n6).toBe(result.sent.packets);
    await upf.gnb(some[0] ?? '');
    const ping = pingFor(2, addresses.server);
    expect(answersOf(await lab.run(`ue:${some[0]}`, ping, false))).toBeGreaterThanOrEqual(2);
  });

  it('new sessions take no TEID or address of theirs', async () => {
    const before = await allSessions();
    const created = ueSessionOf(await upf.create({ name: 'after-restart' }));
    const old = [...before.values()].map(ueSessionOf);
    expect(old.some((session) => session.upfTeid === created.upfTeid)).toBe(false);
    expect(old.some((session) => session.ipv4 === created.ipv4)).toBe(false);
  });
});

describe('a second process', () => {
  let elsewhere: string;
  let others = 0;

  beforeAll(() => {
    elsewhere = join(lab.folder, 'elsewhere.yaml');
    const text = readFileSync(upf.configFile, 'utf8');
    const moved = text
      .replaceAll(addresses.upfN3, '127.0.0.9')
      .replaceAll(addresses.upfN3v6, '::1');
    writeFileSync(elsewhere, moved);
  });

  /** Starts a second UPF that must not come up; resolves to what it says. */
  async function refused(place: Place, config: string, ...flags: string[]): Promise<string> {
    const second = await lab.run(place, [sluiceCommand, 'serve', '-c', config, ...flags], false);
    expect(second.code).toBe(1);
    expect(second.stderr).not.toMatch(/\n\s+at /);
    return second.stderr;
  }
  const ownData = (): string[] => {
    others += 1;
    return ['--data', join(lab.folder, `data-${others}`), '--http', `127.0.0.1:${9190 + others}`];
  };
  const ownApi = (): string[] => ['--api', `unix:${join(lab.folder, `second-${others}.sock`)}`];

  it('is refused the data folder, by name', async () => {
    expect(await refused('dn', elsewhere)).toContain('upf-data');
  });
  it('is refused an API address in use, by address', async () => {
    expect(await refused('dn', elsewhere, ...ownData())).toContain('upf.sock');
  });
  it('is refused an HTTP address in use, by address', async () => {
    const flags = [...ownData(), ...ownApi(), '--http', '127.0.0.1:9090'];
    expect(await refused('upf', elsewhere, ...flags)).toContain('127.0.0.1:9090');
  });
  it('is refused an N3 address in use, with the field', async () => {
    const words = await refused('upf', upf.configFile, ...ownData(), ...ownApi());
    expect(words).toMatch(/ports\[0\]\.addresses\[0\].*192\.0\.2\.1/);
  });
  it('is refused a device in use, with the field', async () => {
    const words = await refused('upf', elsewhere, ...ownData(), ...ownApi());
    expect(words).toMatch(/ports\[1\]\.device.*sluice0/);
  });
  it('leaves the first one at work', async () => {
    expect(upf.running).toBe(true);
    expect((await allSessions()).has('after-restart')).toBe(true);
  });
});
