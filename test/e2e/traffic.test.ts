/**
 * Real packets through a real UPF: UE namespace → gNB → N3 → UPF → N6 → servers, and back.
 * All of it is captured on N3 and decoded afterwards by tshark and scapy.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Report, Session, UpdateSessionResponse } from '../../src/cli/api/messages.js';
import { difference } from '../../src/cli/gnb/load-command.js';
import { ueSessionOf } from '../../src/cli/gnb/ue-sessions.js';
import { withoutOutputs } from '../../src/cli/session/flags.js';
import { streamSessions } from '../../src/cli/session/stream.js';
import type { PacketCounts } from '../../src/tools/packet-counts.js';
import { addresses, Lab, type LabProcess } from './lab.js';
import { answersOf, losses, pingFor, Upf } from './upf.js';

const UDP_OVER_IPV4 = 28;
const FILE_BYTES = 8 << 20;
// Namespaces of UEs are the machine's: another run must not meet them.
const UE1 = `ue1-${process.pid}`;
const UE2 = `ue2-${process.pid}`;
const SLOW = `slow-${process.pid}`;

let lab: Lab;
let upf: Upf;
let capture: LabProcess;
let captureFile: string;

beforeAll(async () => {
  lab = await Lab.open();
  captureFile = join(lab.folder, 'n3.pcapng');
  // Enough for the pings and both downloads; what follows is more of the same.
  const filter = ['-q', '-B', '64', '-a', 'filesize:24000', '-f', 'udp port 2152'];
  capture = lab.start('upf', ['dumpcap', '-i', 'n3', ...filter, '-w', captureFile]);
  upf = new Upf(lab);
  await upf.start();
  await upf.create({ name: UE1, ueIp: 'auto', ueIp6: 'auto', gnbTeid: '0x101' });
  await upf.create({ name: UE2, ueIp: 'auto', ueIp6: 'auto', gnb: addresses.gnbV6 });
  const webRoot = join(lab.folder, 'web');
  mkdirSync(webRoot);
  writeFileSync(join(webRoot, 'file'), randomBytes(FILE_BYTES));
  lab.start('dn', ['/usr/bin/python3', '-m', 'http.server', '8000', '--bind', '::', '-d', webRoot]);
  await lab.run('dn', [
    'sh',
    '-c',
    'until curl -sg -o /dev/null http://[::1]:8000/; do sleep 0.1; done',
  ]);
});
afterEach(() => upf.endGnbs());
afterAll(async () => {
  upf?.client.close();
  await lab?.close();
});

/** What `gnb load --json` says. */
interface LoadOutput {
  readonly sessions: number;
  readonly sent: { readonly packets: number; readonly bytes: number };
  readonly not_sent: number;
  readonly upf: PacketCounts;
}

/** iperf3 as a UE against a server of its own; the receiver's view of it. */
async function iperf(ue: string, flags: readonly string[]) {
  const server = lab.start('dn', ['iperf3', '-s', '-1', '-p', '5201', '--forceflush']);
  await server.printed(/listening/i);
  const command = ['iperf3', '-c', addresses.server, '-p', '5201', '-J', ...flags];
  const client = await lab.run(`ue:${ue}`, command).finally(() => server.end());
  const end = (JSON.parse(client.stdout) as { end: Record<string, IperfSum> }).end;
  return end.sum_received as IperfSum;
}
interface IperfSum {
  readonly bytes: number;
  readonly seconds: number;
  readonly bits_per_second: number;
  readonly packets: number;
  readonly lost_packets: number;
}

/** Bits per second of inner IP packets that the receiver got. */
function innerRate(sum: IperfSum, payloadBytes: number): number {
  const received = sum.packets - sum.lost_packets;
  return (received * (payloadBytes + UDP_OVER_IPV4) * 8) / sum.seconds;
}

describe('a UE behind IPv4 and IPv6 tunnels', () => {
  it('pings both families through both kinds of tunnel', async () => {
    const gnbs = [await upf.gnb(UE1), await upf.gnb(UE2)];
    for (const ue of [`ue:${UE1}`, `ue:${UE2}`] as const) {
      for (const target of [addresses.server, addresses.serverV6]) {
        const ping = await lab.run(ue, pingFor(5, target), false);
        const account = (await upf.sluice(['stats'])).stdout;
        expect(answersOf(ping), `${ue} to ${target}, with\n${account}`).toBeGreaterThanOrEqual(5);
      }
    }
    for (const gnb of gnbs) {
      const ended = await gnb.end('SIGINT');
      expect(ended.code).toBe(0);
      expect(ended.stdout).not.toContain('wrong container');
      expect(ended.stdout).not.toContain('malformed');
    }
  });

  it('downloads a file byte for byte, over IPv4 and IPv6', async () => {
    await upf.gnb(UE1);
    const expected = createHash('sha256').update(readFileSync(join(lab.folder, 'web/file')));
    const digest = expected.digest('hex');
    for (const host of [addresses.server, `[${addresses.serverV6}]`]) {
      const out = join(lab.folder, 'download');
      await lab.run(`ue:${UE1}`, ['curl', '-sSfg', '-o', out, `http://${host}:8000/file`]);
      expect(createHash('sha256').update(readFileSync(out)).digest('hex'), host).toBe(digest);
    }
  });

  it('carries iperf3 TCP and UDP both ways, and drops none of it', async () => {
    await upf.gnb(UE1);
    const before = await upf.counts();
    for (const direction of [[], ['-R']]) {
      const tcp = await iperf(UE1, ['-t', '1', ...direction]);
      expect(tcp.bytes).toBeGreaterThan(100_000);
      const udp = await iperf(UE1, ['-u', '-b', '10M', '-l', '1200', '-t', '1', ...direction]);
      expect(udp.packets).toBeGreaterThan(100);
      // iperf3 calls lost what is still under way when its time is over.
      expect(udp.lost_packets / udp.packets).toBeLessThan(0.02);
    }
    expect(losses(difference(before, await upf.counts()).dropped)).toEqual({});
  });

  it('runs a command as a UE by exec, with its exit code, and leaves nothing behind', async () => {
    const exec = ['gnb', 'exec', '--bind', addresses.gnb, '--'];
    const ok = await upf.sluice([...exec, ...pingFor(2, addresses.server)]);
    expect(answersOf(ok)).toBeGreaterThanOrEqual(2);
    const failing = ['gnb', 'exec', '--session', UE1, '--', 'sh', '-c', 'exit 7'];
    expect((await upf.sluice(failing, 'ran', false)).code).toBe(7);
    const list = await upf.sluice(['session', 'list', '--json']);
    const names = (JSON.parse(list.stdout) as Session[]).map((session) => session.name);
    expect(names.sort()).toEqual([UE1, UE2]);
  });

  it('takes over the namespace of a gNB that was killed', async () => {
    const first = await upf.gnb(UE1);
    const refused = await upf.sluice(['gnb', 'up', '--session', UE1], 'ran', false);
    expect(refused.stderr).toContain('in use by another gNB');
    await first.end('SIGKILL');
    await upf.gnb(UE1);
    const ping = await lab.run(`ue:${UE1}`, pingFor(1, addresses.server));
    expect(answersOf(ping)).toBeGreaterThanOrEqual(1);
  });
});

describe('QoS', () => {
  it('holds the MBR within 5 % under UDP at 3 and 10 times the rate, per direction', async () => {
    await upf.create({ name: SLOW, gnbTeid: '0x102', mbrUl: '5M', mbrDl: '10M' });
    await upf.gnb(SLOW);
    for (const { direction, mbr, times } of [
      { direction: [], mbr: 5e6, times: 10 },
      { direction: ['-R'], mbr: 10e6, times: 3 },
    ]) {
      const flags = ['-u', '-l', '1200', '-t', '4', '-b', String(mbr * times), ...direction];
      let ratio = 0;
      // A busy machine that stops the sender for longer than the bucket is deep costs rate that
      // no policer gives back: too little is tried again, too much never happens.
      for (let attempt = 0; attempt < 3 && ratio < 0.95; attempt++) {
        ratio = innerRate(await iperf(SLOW, flags), 1200) / mbr;
        expect(ratio, `${direction.join('') || 'up'}`).toBeLessThan(1.05);
      }
      expect(ratio, `${direction.join('') || 'up'}`).toBeGreaterThan(0.95);
    }
    await upf.remove(SLOW);
  });

  it('closes and opens the gate of one direction', async () => {
    await upf.gnb(UE1);
    const before = await upf.counts();
    const ping = ['ping', '-c', '2', '-i', '0.05', '-W', '1', addresses.server];
    await upf.sluice(['session', 'update', UE1, '--gate-dl', 'closed']);
    expect(answersOf(await lab.run(`ue:${UE1}`, ping, false))).toBe(0);
    const after = await upf.counts();
    expect((after.dropped.gate_closed ?? 0) - (before.dropped.gate_closed ?? 0)).toBe(2);
    await upf.sluice(['session', 'update', UE1, '--gate-dl', 'open']);
    const open = await lab.run(`ue:${UE1}`, pingFor(2, addresses.server), false);
    expect(answersOf(open)).toBeGreaterThanOrEqual(2);
  });
});

describe('usage', () => {
  it('reports exactly the bytes that were sent', async () => {
    await upf.create({ name: 'meter', gnbTeid: '0x103', volumeThreshold: '100k' });
    const reports: Report[] = [];
    const stream = upf.client.duplex('SessionService', 'WatchReports');
    stream.on('data', (report: Report) => {
      reports.push(report);
      stream.write({ acknowledge: report.cursor });
    });
    stream.on('error', () => {});
    stream.write({ names: ['meter'] });
    const load = ['gnb', 'load', '--session', 'meter', '--pps', '2000', '--size', '700'];
    const sent = JSON.parse(
      (await upf.sluice([...load, '--time', '1s', '--json'])).stdout,
    ) as LoadOutput;
    expect(sent.sent.packets).toBeGreaterThan(1000);
    const last = await upf.remove('meter');
    const final = (last.usage ?? []).reduce((sum, usage) => sum + Number(usage.uplink_bytes), 0);
    const usage = () => reports.flatMap((report) => (report.usage ? [report.usage] : []));
    const reported = () => usage().reduce((sum, one) => sum + Number(one.uplink_bytes ?? 0), 0);
    await expect.poll(() => reported() + final, { timeout: 5000 }).toBe(sent.sent.bytes);
    expect(usage().length).toBeGreaterThan(5);
    expect(usage().map((one) => one.sequence ?? 0)).toEqual(usage().map((_, i) => i));
    stream.end();
  });
});

describe('quota', () => {
  it('passes what it allows and drops the rest by name', async () => {
    await upf.create({ name: 'quota', gnbTeid: '0x105', volumeQuota: '50k' });
    const load = ['gnb', 'load', '--session', 'quota', '--pps', '1000', '--size', '1000'];
    const { stdout } = await upf.sluice([...load, '--time', '100ms', '--json']);
    const result = JSON.parse(stdout) as LoadOutput;
    expect(result.sent.packets).toBe(100);
    expect(result.upf.tx.n6).toBe(50);
    expect(losses(result.upf.dropped)).toEqual({ quota_exhausted: 50 });
    await upf.remove('quota');
  });
});

describe('UE to UE', () => {
  it('pings across two gNBs', async () => {
    await upf.gnb(UE1);
    await upf.gnb(UE2);
    const session = await upf.client.call<Session>('SessionService', 'GetSession', { name: UE2 });
    const { ipv4, ipv6 } = ueSessionOf(session);
    for (const target of [ipv4, ipv6]) {
      const ping = pingFor(3, target);
      expect(answersOf(await lab.run(`ue:${UE1}`, ping, false))).toBeGreaterThanOrEqual(3);
    }
  });
});

describe('updates', () => {
  it('lose no packet while traffic flows', async () => {
    const session = await upf.create({ name: 'moving', gnbTeid: '0x104' });
    const load = ['gnb', 'load', '--session', 'moving', '--pps', '5000', '--time', '2s', '--json'];
    const command = upf.sluice([...load, '--flows', '8']);
    let running = true;
    const ended = (): void => {
      running = false;
    };
    command.then(ended, ended);
    let updates = 0;
    const changed = withoutOutputs(structuredClone(session));
    while (running) {
      for (const pdr of changed.pdrs ?? []) pdr.precedence = 100 + (updates % 50);
      for (const far of changed.fars ?? []) {
        if (far.forward !== undefined) far.forward.dscp = updates % 64;
      }
      const request = { session: changed, expected_revision: '0' };
      await upf.client.call<UpdateSessionResponse>('SessionService', 'UpdateSession', request);
      updates += 1;
    }
    const result = JSON.parse((await command).stdout) as LoadOutput;
    expect(updates).toBeGreaterThan(20);
    expect(result.not_sent).toBe(0);
    expect(losses(result.upf.dropped)).toEqual({});
    expect(result.upf.tx.n6).toBe(result.sent.packets);
    await upf.remove('moving');
  });

  it('load from many sessions created and deleted in bulk reaches N6 whole', async () => {
    const load = ['gnb', 'load', '--sessions', '500', '--pps', '20k', '--time', '1s', '--json'];
    const { stdout } = await upf.sluice([...load, '--bind', addresses.gnb]);
    const result = JSON.parse(stdout) as LoadOutput;
    expect(result.sessions).toBe(500);
    expect(losses(result.upf.dropped)).toEqual({});
    expect(result.upf.tx.n6).toBe(result.sent.packets);
    const page = await upf.client.call<{ total?: string }>('SessionService', 'ListSessions', {});
    expect(Number(page.total)).toBe(2);
  });
});

describe('what left N3', () => {
  it('is well-formed to tshark and scapy', async () => {
    await capture.end('SIGINT');
    const flags = ['-r', captureFile, '-Y', '_ws.malformed || _ws.expert.severity == error'];
    const tshark = await lab.run('upf', ['tshark', ...flags]);
    expect(tshark.stdout).toBe('');
    const script = join(import.meta.dirname, 'check_n3.py');
    const sources = [addresses.upfN3, addresses.upfN3v6];
    const small = join(lab.folder, 'small.pcapng');
    await lab.run('upf', ['tshark', '-r', captureFile, '-c', '4000', '-w', small]);
    const scapy = await lab.run('upf', ['/usr/bin/python3', script, small, ...sources]);
    const found = JSON.parse(scapy.stdout) as Record<string, number> & { complaints: string[] };
    expect(found.complaints).toEqual([]);
    expect(found.gpdu).toBeGreaterThan(1000);
    expect(found.v6).toBeGreaterThan(9);
    // Those of pings and of a download: each left from one UDP port.
    expect(found.flows).toBeGreaterThan(4);
  });

  it('is accounted for, packet by packet', async () => {
    const counts = await upf.counts();
    const sum = (parts: Readonly<Record<string, number>>) =>
      Object.values(parts).reduce((total, part) => total + part, 0);
    expect(counts.rx + counts.created).toBe(sum(counts.tx) + counts.held + sum(counts.dropped));
  });

  it('shuts down cleanly when its terminal goes away', async () => {
    await streamSessions(upf.client, [{ delete: { name: UE1 } }, { delete: { name: UE2 } }]);
    const ended = await upf.stop('SIGHUP');
    expect(ended.signal).toBeNull();
    expect(ended.code).toBe(0);
  });
});
