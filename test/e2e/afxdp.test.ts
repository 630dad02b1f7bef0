/**
 * N3 and N6 by AF_XDP: both devices of the UPF's namespace are its own, the kernel keeps what is
 * not the UPF's. UE namespace → gNB → N3 → UPF → N6 → data network, and back.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { addresses, Lab } from './lab.js';
import { answersOf, losses, pingFor, Upf } from './upf.js';

const UE = `ue-${process.pid}`;
const UE_OVER_IPV6 = `ue6-${process.pid}`;
const FILE_BYTES = 4 << 20;
const NEW_MAC = '02:00:00:00:77:01';

let lab: Lab;
let upf: Upf;

const n3 = {
  ...{ name: 'n3', driver: 'afxdp', role: 'access', device: 'n3' },
  addresses: [addresses.upfN3, addresses.upfN3v6],
};
const n6 = {
  ...{ name: 'n6', driver: 'afxdp', role: 'core', device: 'n6', networkInstances: ['internet'] },
  uePools: [addresses.uePool, addresses.uePoolV6],
};

beforeAll(async () => {
  lab = await Lab.open();
  // The checksums that a veth leaves to its other end are for a kernel to fill in.
  for (const [place, device] of [
    ['ran', 'n3'],
    ['dn', 'n6'],
  ] as const) {
    await lab.run(place, ['ethtool', '-K', device, 'tx', 'off']);
  }
  upf = new Upf(lab, { ports: [n3, n6] });
  await upf.start();
  await upf.create({ name: UE, ueIp: 'auto', ueIp6: 'auto' });
  await upf.create({ name: UE_OVER_IPV6, ueIp: 'auto', ueIp6: 'auto', gnb: addresses.gnbV6 });
});
afterEach(() => upf.endGnbs());
afterAll(async () => {
  upf?.client.close();
  await lab?.close();
});

describe('afxdp', () => {
  it('says what it found', async () => {
    const { stdout } = await upf.sluice(['node', '--json']);
    const node = JSON.parse(stdout) as { ports: { name: string; capabilities: object }[] };
    expect(node.ports.map(({ name, capabilities }) => [name, capabilities])).toEqual([
      ['n3', expect.objectContaining({ device: 'n3', mtu: '1600', queues: '1', xdp: 'native' })],
      ['n6', expect.objectContaining({ device: 'n6', mtu: '1500', queues: '1', xdp: 'native' })],
    ]);
  });

  it('tells which core takes which device, and where packet memory is', async () => {
    const { stdout } = await upf.sluice(['node', '--plan']);
    expect(stdout).toMatch(/worker 0 +adaptive +n3\/0 \(n3\) n6\/0 \(n6\)/);
    expect(stdout).toMatch(/packet memory +[\d,]+ MB, (1G|2M|transparent|4K) pages/);
    expect(stdout).toMatch(/is on +(node 0 \(256 of 256|unknown)/);
  });

  it.each([
    ['IPv4', UE, addresses.server],
    ['IPv6', UE, addresses.serverV6],
    ['IPv4 over IPv6', UE_OVER_IPV6, addresses.server],
    ['IPv6 over IPv6', UE_OVER_IPV6, addresses.serverV6],
  ])('carries %s', async (_, ue, server) => {
    await upf.gnb(ue);
    const ping = await lab.run(`ue:${ue}`, pingFor(10, server), false);
    expect(answersOf(ping)).toBe(10);
  });

  it('leaves the kernel its own: its addresses answer', async () => {
    expect(answersOf(await lab.run('ran', pingFor(3, addresses.upfN3), false))).toBe(3);
    expect(answersOf(await lab.run('dn', pingFor(3, addresses.upfN6v6), false))).toBe(3);
  });

  it('carries a download whole and drops nothing', async () => {
    const webRoot = join(lab.folder, 'web');
    mkdirSync(webRoot);
    const file = randomBytes(FILE_BYTES);
    writeFileSync(join(webRoot, 'file'), file);
    const serve = ['python3', '-m', 'http.server', '8000', '--bind', '::', '-d', webRoot];
    lab.start('dn', ['/usr/bin/env', ...serve]);
    const url = `http://[${addresses.serverV6}]:8000/file`;
    await upf.gnb(UE);
    const before = await upf.counts();
    const fetched = await lab.run(`ue:${UE}`, [
      ...['sh', '-c', `curl -sgf --retry 20 --retry-connrefused -o - '${url}' | sha256sum`],
    ]);
    expect(fetched.stdout).toContain(createHash('sha256').update(file).digest('hex'));
    const after = await upf.counts();
    expect(losses(after.dropped)).toEqual(losses(before.dropped));
  });

  it('carries TCP both ways', async () => {
    lab.start('dn', ['iperf3', '-s', '-p', '5201']);
    await upf.gnb(UE);
    for (const reverse of [[], ['-R']]) {
      const client = ['iperf3', '-c', addresses.server, '-t', '2', '-J', ...reverse];
      const retried = `for i in 1 2 3 4 5; do ${client.join(' ')} && exit; sleep 0.5; done; exit 1`;
      const { stdout } = await lab.run(`ue:${UE}`, ['sh', '-c', retried]);
      const text = stdout.slice(stdout.lastIndexOf('\n{\n') + 1);
      const result = JSON.parse(text) as { end: { sum_received: { bytes: number } } };
      expect(result.end.sum_received.bytes).toBeGreaterThan(1e6);
    }
  });

  it('carries full-sized packets', async () => {
    await upf.gnb(UE);
    const whole = await lab.run(
      `ue:${UE}`,
      ['ping', '-c', '3', '-i', '0.05', '-w', '10', '-s', '1472', '-M', 'do', addresses.server],
      false,
    );
    expect(answersOf(whole)).toBe(3);
  });

  it('follows a gNB whose link address changes, while packets flow', async () => {
    await upf.gnb(UE);
    const ping = lab.start(`ue:${UE}`, [
      ...['ping', '-c', '200', '-i', '0.01', '-w', '15', addresses.server],
    ]);
    await ping.printed(/icmp_seq=20 /);
    await lab.run('ran', ['ip', 'link', 'set', 'n3', 'address', NEW_MAC]);
    await lab.run('ran', ['ip', 'neigh', 'flush', 'dev', 'n3']);
    await lab.run('ran', pingFor(1, addresses.upfN3), false);
    // What was on its way to the old address is lost; what comes after the kernel knows is not.
    expect(answersOf(await ping.finished)).toBeGreaterThan(150);
    const link = await lab.run('upf', ['ip', 'neigh', 'show', addresses.gnb, 'dev', 'n3']);
    expect(link.stdout).toContain(NEW_MAC);
  });

  it('protects nothing where ESP is left to the kernel', async () => {
    const pair = ['protection', 'pair', '--id', '1', '-o', join(lab.folder, 'pair')];
    await upf.sluice([...pair, '--addresses', `${addresses.upfN3},${addresses.gnb}`]);
    const create = ['protection', 'create', '-f', join(lab.folder, 'pair-1.yaml')];
    const made = await upf.sluice(create, 'ran', false);
    expect(made.code).not.toBe(0);
    expect(made.stderr).toContain('port n3 leaves ESP to the kernel; set its esp');
  });

  it('refuses a device that another one has', async () => {
    const second = new Upf(lab, {
      name: 'second',
      httpPort: 9091,
      ports: [{ ...n3, addresses: ['192.0.2.77'] }],
    });
    const process = await second.start().then(
      () => '',
      (error: Error) => error.message,
    );
    second.client.close();
    expect(process).toMatch(/ports\[0\]\.device.*n3.*already/s);
  });

  it('shares a device of several queues among workers', async () => {
    await upf.stop();
    const polled = [n3, n6].map((port) => ({ ...port, busyPoll: true }));
    const onlyOne = new Upf(lab, { name: 'two', workers: 2, ports: polled });
    const refused = await onlyOne.start().then(
      () => '',
      (error: Error) => error.message,
    );
    expect(refused).toMatch(/ports\[0\]\.device.*ethtool -L n3 combined 2/s);
    for (const [place, device] of [
      ['ran', 'n3'],
      ['upf', 'n3'],
      ['upf', 'n6'],
      ['dn', 'n6'],
    ] as const) {
      await lab.run(place, ['ethtool', '-L', device, 'rx', '2', 'tx', '2']);
    }
    await onlyOne.start();
    const names = [UE, UE_OVER_IPV6];
    for (const name of names) await onlyOne.create({ name, ueIp: 'auto', ueIp6: 'auto' });
    const gnb = await onlyOne.gnb(...names);
    for (const name of names) {
      expect(answersOf(await lab.run(`ue:${name}`, pingFor(10, addresses.server), false))).toBe(10);
    }
    expect((await onlyOne.sluice(['node'])).stdout.match(/busyPoll=yes .*queues=2 /g)).toHaveLength(
      2,
    );
    const { workers = [] } = await onlyOne.stats();
    expect(workers).toHaveLength(2);
    await gnb.end();
    await onlyOne.stop();
    onlyOne.client.close();
    await upf.start();
  });

  it('forwards in the driver hook, and leaves the worker what is not simple', async () => {
    await upf.stop();
    // A veth takes redirected frames while its other end has NAPI on.
    for (const [place, device] of [
      ['ran', 'n3'],
      ['dn', 'n6'],
    ] as const) {
      await lab.run(place, ['ethtool', '-K', device, 'gro', 'on']);
    }
    // Usage of lent flows outlives the process there.
    const bpffs = join(lab.folder, 'bpf');
    mkdirSync(bpffs);
    await lab.run('upf', ['mount', '-t', 'bpf', 'bpf', bpffs]);
    onTestFinished(async () => void (await lab.run('upf', ['umount', '--lazy', bpffs])));
    const ports = [n3, n6].map((port) => ({ ...port, forwardInDriver: true }));
    const driver = new Upf(lab, { name: 'driver', ports });
    await driver.start();
    await driver.create({ name: UE, ueIp: 'auto', ueIp6: 'auto' });
    const gnb = await driver.gnb(UE);
    // The kernel's gNB has checksums of UDP, which are the worker's; downlink is simple. Not so fast
    // that there always is a packet on its way to the worker.
    lab.start('dn', ['iperf3', '-s', '-p', '5202']);
    const stream = ['-u', '-b', '20M', '-l', '1200', '-n', '5M', '-R', '-J'];
    const client = ['iperf3', '-c', addresses.server, '-p', '5202', ...stream];
    const retried = `for i in 1 2 3 4 5; do ${client.join(' ')} && exit; sleep 0.5; done; exit 1`;
    await lab.run(`ue:${UE}`, ['sh', '-c', retried]);
    const ping6 = await lab.run(`ue:${UE}`, pingFor(10, addresses.serverV6), false);
    expect(answersOf(ping6)).toBe(10);
    await driver.sluice(['session', 'delete', UE]);
    const stats = await driver.stats();
    expect(Number(stats.driver?.forwarded_packets ?? 0)).toBeGreaterThan(100);
    await gnb.end();
    await driver.stop();
    driver.client.close();
    await upf.start();
  });

  it('leaves no program behind when it is killed, and goes on after a restart', async () => {
    expect((await lab.run('upf', ['ip', 'link', 'show', 'n3'])).stdout).toMatch(/ xdp /);
    await upf.stop('SIGKILL');
    expect((await lab.run('upf', ['ip', 'link', 'show', 'n3'])).stdout).not.toMatch(/ xdp/);
    await upf.start();
    await upf.gnb(UE);
    const ping = await lab.run(`ue:${UE}`, pingFor(5, addresses.server), false);
    expect(answersOf(ping)).toBe(5);
  });
});
