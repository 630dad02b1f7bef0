/**
 * N3 and N6 by DPDK's packet sockets, on devices that have no address of the kernel's: the ports
 * answer for theirs. UE namespace → gNB → N3 → UPF → N6 → data network, and back.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Session } from '../../src/cli/api/messages.js';
import { addresses, Lab, root } from './lab.js';
import { anchorSession, intermediateSession, N3 } from './protected-n9.js';
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

describe.runIf(existsSync(join(root, 'build', 'addon', 'sluice_dpdk.so')))('memif', () => {
  /** As for a protected N9, without the protection. */
  const plain = (session: Session): Session =>
    JSON.parse(
      JSON.stringify(session, (key, value) => (key === 'protection_id' ? undefined : value)),
    ) as Session;
  let intermediate: Upf;
  let anchor: Upf;

  beforeAll(async () => {
    lab = await Lab.open();
    const socket = `socket=${join(lab.folder, 'n9.sock')},socket-abstract=no`;
    const n9 = { name: 'n9', driver: 'dpdk', role: 'access', mtu: 1600 };
    anchor = new Upf(lab, {
      name: 'anchor',
      ports: [
        {
          ...{ ...n9, device: `net_memif0,role=server,${socket}` },
          ...{ addresses: [addresses.upfN3], gateway: [addresses.gnb] },
        },
        {
          ...{ name: 'n6', driver: 'tun', role: 'core', device: 'sluice0' },
          ...{ networkInstances: ['internet'], uePools: [addresses.uePool] },
        },
      ],
    });
    intermediate = new Upf(lab, {
      name: 'intermediate',
      place: 'ran',
      ports: [
        { name: 'n3', driver: 'socket', role: 'access', addresses: [N3], networkInstances: ['n3'] },
        {
          ...{ ...n9, device: `net_memif0,role=client,${socket}`, networkInstances: ['n9'] },
          ...{ addresses: [addresses.gnb], gateway: [addresses.upfN3] },
        },
      ],
    });
    await anchor.start();
    await intermediate.start();
    await intermediate.client.call('SessionService', 'CreateSession', {
      session: plain(intermediateSession(UE)),
    });
    await anchor.client.call('SessionService', 'CreateSession', {
      session: plain(anchorSession(UE)),
    });
  });
  afterAll(async () => {
    await intermediate?.endGnbs();
    intermediate?.client.close();
    anchor?.client.close();
    await lab?.close();
  });

  it('carries N9 between two UPFs', async () => {
    await intermediate.gnb(UE);
    expect(answersOf(await lab.run(`ue:${UE}`, pingFor(20, addresses.server), false))).toBe(20);
  });

  it('counts what iperf carries', async () => {
    const ports = async (upf: Upf) =>
      (await upf.stats()).ports?.find(({ name }) => name === 'n9') as Record<string, unknown>;
    lab.start('dn', ['iperf3', '-s', '-p', '5201']);
    const before = await ports(anchor);
    const client = ['iperf3', '-c', addresses.server, '-t', '2', '-J'];
    const retried = `for i in 1 2 3 4 5; do ${client.join(' ')} && exit; sleep 0.5; done; exit 1`;
    const { stdout } = await lab.run(`ue:${UE}`, ['sh', '-c', retried]);
    const text = stdout.slice(stdout.lastIndexOf('\n{\n') + 1);
    const result = JSON.parse(text) as { end: { sum_received: { bytes: number } } };
    const carried = result.end.sum_received.bytes;
    expect(carried).toBeGreaterThan(1e6);
    const after = await ports(anchor);
    const received = Number(after.rx_bytes) - Number(before.rx_bytes);
    expect(received).toBeGreaterThan(carried);
  });

  it('goes on when the end that is the client is killed and starts again', async () => {
    await intermediate.endGnbs();
    await intermediate.stop('SIGKILL');
    await intermediate.start();
    await intermediate.gnb(UE);
    expect(answersOf(await lab.run(`ue:${UE}`, pingFor(5, addresses.server), false))).toBe(5);
  });
});
