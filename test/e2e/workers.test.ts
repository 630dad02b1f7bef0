/** Several workers share N3 and N6: every session works, whichever worker owns it. */
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Session } from '../../src/cli/api/messages.js';
import { addresses, Lab } from './lab.js';
import { answersOf, losses, pingFor, Upf } from './upf.js';

const SESSIONS = 16;

let lab: Lab;
let upf: Upf;
let sessions: Session[];

beforeAll(async () => {
  lab = await Lab.open();
  upf = new Upf(lab, { name: 'two', workers: 2, durability: 'sync' });
  await upf.start();
  sessions = [];
  for (let i = 0; i < SESSIONS; i++) {
    const session = await upf.create({ name: `w${i}-${process.pid}`, ueIp: 'auto', ueIp6: 'auto' });
    sessions.push(session);
  }
});
afterEach(() => upf.endGnbs());
afterAll(async () => {
  upf?.client.close();
  await lab?.close();
});

describe('two workers', () => {
  it('each own some of the sessions', () => {
    expect(new Set(sessions.map((session) => session.worker ?? 0)).size).toBe(2);
  });

  it('carry both families of a UE of each worker, both ways', async () => {
    const owned = [0, 1].map((worker) => {
      const session = sessions.find((one) => (one.worker ?? 0) === worker);
      return session?.name ?? '';
    });
    await upf.gnb(...owned);
    for (const name of owned) {
      for (const target of [addresses.server, addresses.serverV6]) {
        const ping = pingFor(5, target);
        const answered = answersOf(await lab.run(`ue:${name}`, ping, false));
        expect(answered, `${name} to ${target}`).toBeGreaterThanOrEqual(5);
      }
    }
  });

  it('lose nothing of a load over all sessions', async () => {
    const names = sessions.map((session) => session.name ?? '');
    const load = ['gnb', 'load', '--pps', '5000', '--time', '1s', '--flows', '16', '--json'];
    const { stdout } = await upf.sluice([...load, '--session', ...names]);
    const result = JSON.parse(stdout) as {
      sent: { packets: number };
      upf: { tx: Record<string, number>; dropped: Record<string, number> };
    };
    expect(losses(result.upf.dropped)).toEqual({});
    expect(result.upf.tx.n6).toBe(result.sent.packets);
  });

  it('survive random bytes on the API and HTTP sockets', async () => {
    const blobs = [Buffer.alloc(9, 0xff), Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff')];
    for (let i = 0; i < 50; i++) {
      const size = (i * 37) % 900;
      blobs.push(Buffer.from(Array.from({ length: size }, (_, at) => (at * i * 31 + i) & 0xff)));
    }
    for (const blob of blobs) {
      await new Promise<void>((resolve) => {
        const socket = connect(upf.api.slice('unix:'.length));
        socket.on('error', () => resolve());
        socket.on('close', () => resolve());
        socket.end(blob);
        socket.resume();
      });
    }
    await lab.run(
      'upf',
      [
        'sh',
        '-c',
        'head -c 4000 /dev/urandom | curl -s -m 2 --http0.9 -T - http://127.0.0.1:9090/metrics',
      ],
      false,
    );
    const metrics = await lab.run('upf', ['curl', '-sf', 'http://127.0.0.1:9090/metrics']);
    expect(metrics.stdout).toContain('sluice_');
    expect((await upf.sluice(['session', 'get', sessions[0]?.name ?? ''])).code).toBe(0);
  });

  it('restore all sessions after SIGTERM, with the same tunnels', async () => {
    expect((await upf.stop('SIGTERM')).code).toBe(0);
    await upf.start();
    for (const before of sessions) {
      const after = await upf.client.call<Session>('SessionService', 'GetSession', {
        name: before.name ?? '',
      });
      expect(after).toEqual({ ...before, worker: after.worker });
    }
  });
});
