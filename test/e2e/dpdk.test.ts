/**
 * N3 and N6 by DPDK's packet sockets, on devices that have no address of the kernel's: the ports
 * answer for theirs. UE namespace → gNB → N3 → UPF → N6 → data network, and back.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { addresses, Lab, root } from './lab.js';
import { answersOf, losses, pingFor, Upf } from './upf.js';

const UE = `ue-${process.pid}`;
const UE_OVER_IPV6 = `ue6-${process.pid}`;

let lab: Lab;
let upf: Upf;

const n3 = {
  ...{ name: 'n3', driver: 'dpdk', role: 'access', device: 'net_af_packet3,iface=n3', mtu: 1600 },
  addresses: [addresses.upfN3, addresses.upfN3v6],
  gateway: [addresses.gnb, addresses.gnbV6],
};
const n6 = {
  ...{ name: 'n6', driver: 'dpdk', role: 'core', device: 'net_af_packet6,iface=n6' },
  addresses: [addresses.upfN6, addresses.upfN6v6],
  gateway: [addresses.server, addresses.serverV6],
  networkInstances: ['internet'],
  uePools: [addresses.uePool, addresses.uePoolV6],
};

/** What a node says that does not start with this port. */
async function refusal(port: object): Promise<string> {
  const second = new Upf(lab, { name: 'second', httpPort: 9091, ports: [port] });
  const said = await second.start().then(
    () => '',
    (error: Error) => error.message,
  );
  second.client.close();
  return said;
}

// A machine without DPDK has no plug-in.
describe.runIf(existsSync(join(root, 'build', 'addon', 'sluice_dpdk.so')))('dpdk', () => {
  beforeAll(async () => {
    lab = await Lab.open();
    for (const [place, device] of [
      ['ran', 'n3'],
      ['dn', 'n6'],
    ] as const) {
      await lab.run(place, ['ethtool', '-K', device, 'tx', 'off']);
      await lab.run('upf', ['ip', 'address', 'flush', 'dev', device]);
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

  it.each([
    ['IPv4', UE, addresses.server],
    ['IPv6', UE, addresses.serverV6],
    ['IPv4 over IPv6', UE_OVER_IPV6, addresses.server],
    ['IPv6 over IPv6', UE_OVER_IPV6, addresses.serverV6],
  ])('carries %s and loses nothing', async (_, ue, server) => {
    await upf.gnb(ue);
    const before = await upf.counts();
    const ping = await lab.run(`ue:${ue}`, pingFor(10, server), false);
    expect(answersOf(ping)).toBe(10);
    expect(losses((await upf.counts()).dropped)).toEqual(losses(before.dropped));
  });

  it('says what it found', async () => {
    const { stdout } = await upf.sluice(['node', '--json']);
    const node = JSON.parse(stdout) as { ports: { name: string; capabilities: object }[] };
    const known = { driver: 'net_af_packet', queues: '1', gateway4: 'known', gateway6: 'known' };
    expect(node.ports.map(({ name, capabilities }) => [name, capabilities])).toEqual([
      ['n3', expect.objectContaining({ ...known, mtu: '1600' })],
      ['n6', expect.objectContaining({ ...known, mtu: '1500' })],
    ]);
  });

  it('says what is wrong with a device', async () => {
    const missing = await refusal({ ...n3, device: 'net_af_packet0,iface=nowhere' });
    expect(missing).toMatch(/ports\[0\]\.device.*DPDK has no device net_af_packet0/s);
    const wrong = await refusal({ ...n3, device: 'net_memif0,role=neither' });
    expect(wrong).toMatch(/ports\[0\]\.device.*DPDK has no device net_memif0/s);
    const pci = await refusal({ ...n3, device: '0000:ff:1f.7' });
    expect(pci).toMatch(/ports\[0\]\.device.*vfio-pci/s);
  });

  it('goes on after it was killed', async () => {
    await upf.stop('SIGKILL');
    await upf.start();
    await upf.gnb(UE);
    expect(answersOf(await lab.run(`ue:${UE}`, pingFor(5, addresses.server), false))).toBe(5);
  });
});
