/**
 * The devices of ports: the kernel's (here) and DPDK's (dpdk-devices.ts). Pure but for what the
 * probe reads; any thread.
 */
import { isIPv6 } from 'node:net';
import { MTU_MAX } from '../../../../base/config/schema.js';
import { type Finding, Findings } from '../../finding.js';
import { edit, type Machine, type Probe, readNumber } from '../../probe.js';

const NET = '/sys/class/net';
/** Outer IP, UDP and GTP-U with a PDU Session Container. */
const TUNNEL_BYTES = { ipv4: 44, ipv6: 64 } as const;
/** Queues that a worker has packets for. */
const AFXDP_QUEUES_A_WORKER = 2;

/** The interface that has an address, undefined: none. The loopback one has all of 127/8. */
export function deviceOf(probe: Probe, address: string): string | undefined {
  if (address.startsWith('127.')) return 'lo';
  return probe.addresses().find((row) => row.address === address)?.device;
}

/** Each port's interface: is it there and up, what drives it, has it room for a tunnel packet. */
export function checkInterfaces(machine: Machine): Finding[] {
  const findings = new Findings('interfaces');
  for (const port of machine.config.ports) {
    if (port.driver === 'socket') {
      for (const address of port.addresses) addressFinding(findings, machine, port, address);
    } else if (port.driver === 'afxdp') {
      deviceFindings(findings, machine, port);
    } else if (port.driver === 'tun') {
      tunFinding(findings, machine, port);
    }
  }
  return findings.all;
}

type Port = Machine['config']['ports'][number];

function addressFinding(findings: Findings, machine: Machine, port: Port, address: string): void {
  const { probe } = machine;
  const device = deviceOf(probe, address);
  if (device === undefined) {
    const nic = probe.list(NET).find((name) => probe.exists(`${NET}/${name}/device`)) ?? 'eth0';
    findings.error(
      `port ${port.name}: no interface has the address ${address}`,
      'the node refuses to start',
      `ip address add ${address}/${isIPv6(address) ? 64 : 24} dev ${nic}   # the prefix and interface of your N3 network`,
    );
    return;
  }
  if (device === 'lo') {
    findings.note(
      `port ${port.name}: ${address} is a loopback address`,
      'only a gNB on this machine reaches it, such as that of "sluice gnb"',
      edit(machine, `ports: ${port.name}: addresses: [the N3 address of this machine]`),
    );
    return;
  }
  const state = probe.read(`${NET}/${device}/operstate`)?.trim() ?? 'unknown';
  if (state === 'down') {
    findings.error(
      `port ${port.name}: ${device} (${address}) is down`,
      'no packet comes or leaves',
      `ip link set ${device} up`,
    );
  } else {
    findings.ok(`port ${port.name}: ${address} on ${nicText(probe, device)}, ${state}`);
  }
  mtuFinding(findings, machine, port, device, address);
  queueFinding(findings, machine, port, device);
}

/** "eth0 (ixgbe, 8 queues, node 1, MTU 1500)" */
function nicText(probe: Probe, device: string): string {
  const folder = `${NET}/${device}`;
  const driver = probe.link(`${folder}/device/driver`)?.split('/').at(-1) ?? 'no driver (virtual)';
  const queues = queuesOf(probe, device);
  const node = readNumber(probe, `${folder}/device/numa_node`);
  const parts = [
    driver,
    `${queues} receive ${queues === 1 ? 'queue' : 'queues'}`,
    ...(node === undefined || node < 0 ? [] : [`node ${node}`]),
    `MTU ${readNumber(probe, `${folder}/mtu`) ?? 'unknown'}`,
  ];
  return `${device} (${parts.join(', ')})`;
}

function queuesOf(probe: Probe, device: string): number {
  return probe.list(`${NET}/${device}/queues`).filter((name) => name.startsWith('rx-')).length;
}

function mtuFinding(
  findings: Findings,
  machine: Machine,
  port: Port,
  device: string,
  address: string,
): void {
  const { probe, config } = machine;
  const link = readNumber(probe, `${NET}/${device}/mtu`);
  const core = config.ports
    .filter(({ role }) => role === 'core')
    .map((one) => one.mtu || (readNumber(probe, `${NET}/${one.device}/mtu`) ?? 0));
  if (link === undefined || core.length === 0) return;
  const needed = Math.max(...core) + (isIPv6(address) ? TUNNEL_BYTES.ipv6 : TUNNEL_BYTES.ipv4);
  const own = port.mtu !== 0 && port.mtu <= link;
  const [mtu, of] = own ? [port.mtu, 'its own'] : [link, device];
  if (mtu >= needed) return;
  // Only what the packet path takes for small enough is left to the kernel to cut.
  const cutsOuter = port.driver === 'socket' && !own;
  findings.add(
    own ? 'note' : 'warning',
    `port ${port.name}: MTU ${mtu} of ${of} has no room for a full packet of N6 in a tunnel (${needed})`,
    cutsOuter
      ? 'large downlink packets travel as two fragments, which costs both ends dearly'
      : 'large downlink packets are cut inside the tunnel, or their senders told by ICMP to send smaller ones',
    own && link >= needed
      ? edit(machine, `ports: ${port.name}: mtu: ${needed}`)
      : `ip link set dev ${device} mtu ${Math.max(needed, 1600)}   # and on the switches and gNBs of N3`,
  );
}

function queueFinding(
  findings: Findings,
  { probe, config }: Machine,
  port: Port,
  device: string,
): void {
  const queues = queuesOf(probe, device);
  if (queues === 0 || queues >= config.workers.count) return;
  const most = /Pre-set maximums:[\s\S]*?Combined:\s*(\d+)/.exec(
    probe.run('ethtool', '-l', device) ?? '',
  );
  const can = Number(most?.[1] ?? queues);
  findings.note(
    `port ${port.name}: ${device} has ${queues} receive queues for ${config.workers.count} workers`,
    'the kernel receives on fewer cores than the node works on',
    can > queues
      ? `ethtool -L ${device} combined ${Math.min(can, config.workers.count)}`
      : `echo ffffffff > ${NET}/${device}/queues/rx-0/rps_cpus`,
  );
}

/** What an afxdp port asks of the device that it takes. */
function deviceFindings(findings: Findings, machine: Machine, port: Port): void {
  const { probe } = machine;
  const { name, device } = port;
  const refuses = 'the node refuses to start';
  if (!probe.exists(`${NET}/${device}`)) {
    findings.error(
      `port ${name}: there is no interface ${device}`,
      refuses,
      `ip -br link   # lists those there are; then ${edit(machine, `ports: ${name}: device`)}`,
    );
    return;
  }
  if (probe.read(`${NET}/${device}/operstate`)?.trim() === 'down') {
    findings.error(`port ${name}: ${device} is down`, refuses, `ip link set ${device} up`);
  } else findings.ok(`port ${name}: ${nicText(probe, device)}`);
  const mtu = readNumber(probe, `${NET}/${device}/mtu`) ?? 0;
  if (mtu > MTU_MAX.afxdp) {
    findings.error(
      `port ${name}: MTU ${mtu} of ${device} is more than a packet holds (${MTU_MAX.afxdp})`,
      refuses,
      `ip link set dev ${device} mtu ${MTU_MAX.afxdp}`,
    );
  }
  for (const address of port.addresses) {
    mtuFinding(findings, machine, port, device, address);
    if (deviceOf(probe, address) === device) continue;
    findings.warning(
      `port ${name}: ${device} has not the address ${address}`,
      'the kernel does not answer for it (ARP, ND), unless a router has a route to it by here',
      `ip address add ${address}/${isIPv6(address) ? 64 : 24} dev ${device}   # the prefix of your network`,
    );
  }
  carrierFindings(findings, machine, port);
}

/** The device that has the queues: a VLAN's are its parent's. */
function carrierFindings(findings: Findings, { probe, config }: Machine, port: Port): void {
  const { name, device } = port;
  const parent = /^Device: (\S+)/m.exec(probe.read(`/proc/net/vlan/${device}`) ?? '')?.[1];
  const carrier = parent ?? device;
  const offloads = parent === undefined ? '' : (probe.run('ethtool', '-k', carrier) ?? '');
  if (/^rx-vlan-offload: on/m.test(offloads)) {
    findings.error(
      `port ${name}: ${carrier} takes VLAN tags off before XDP sees them`,
      'the node refuses to start',
      `ethtool -K ${carrier} rxvlan off`,
    );
  }
  const queues = queuesOf(probe, carrier);
  const workers = config.workers.count;
  if (queues >= workers && queues <= workers * AFXDP_QUEUES_A_WORKER) return;
  findings.error(
    `port ${name}: ${carrier} has ${queues} receive queues for ${workers} ${workers === 1 ? 'worker' : 'workers'}`,
    `the node refuses to start: each worker needs one, and has packets for ${AFXDP_QUEUES_A_WORKER}`,
    `ethtool -L ${carrier} combined ${workers}`,
  );
}

function tunFinding(findings: Findings, machine: Machine, port: Port): void {
  const { probe, runningPid } = machine;
  const there = probe.exists(`${NET}/${port.device}`);
  if (!there) findings.ok(`port ${port.name}: the name ${port.device} is free`);
  else if (runningPid !== undefined) {
    findings.ok(`port ${port.name}: ${port.device} is there (process ${runningPid} runs the node)`);
  } else {
    findings.error(
      `port ${port.name}: a device ${port.device} exists already`,
      'the node refuses to start',
      `ip link delete ${port.device}`,
    );
  }
}
