import { type Finding, Findings } from '../finding.js';
import { edit, listText, type Machine, type Probe, parseList, readNumber } from '../probe.js';
import { PCI, pciAddressOf } from './devices/dpdk-devices.js';
import { deviceOf } from './devices/interfaces.js';

const NODES = '/sys/devices/system/node';

/** NUMA: where cores, memory and NICs are, and whether a packet has to cross between nodes. */
export function checkNuma(machine: Machine): Finding[] {
  const { probe, config } = machine;
  const findings = new Findings('numa');
  const nodes = nodesOf(probe);
  if (nodes.length < 2) {
    findings.ok('one NUMA node: memory is equally near to all cores');
    return findings.all;
  }
  findings.ok(nodes.map((node) => `node ${node.id}: cores ${listText(node.cores)}`).join('; '));
  const { cores } = config.workers;
  const nodeOf = (core: number) => nodes.find((node) => node.cores.includes(core))?.id;
  const used =
    cores === 'auto' ? [] : [...new Set(cores.map(nodeOf))].filter((id) => id !== undefined);
  if (used.length > 1) {
    findings.note(
      `workers are on nodes ${used.join(' and ')}`,
      'each has packets of its own node; tables and rules are on the first one',
      edit(machine, coresSetting(nodes[0]!.cores, config.workers.count)),
    );
  }
  const withDevices = ['socket', 'afxdp', 'dpdk'];
  for (const port of config.ports.filter(({ driver }) => withDevices.includes(driver))) {
    nicFinding(findings, machine, port, used[0], nodes);
  }
  if (used.length > 0) pagesFinding(findings, machine, used[0]!);
  return findings.all;
}

interface NumaNode {
  readonly id: number;
  readonly cores: readonly number[];
}

function nodesOf(probe: Probe): NumaNode[] {
  return probe
    .list(NODES)
    .map((name) => /^node(\d+)$/.exec(name)?.[1])
    .filter((id) => id !== undefined)
    .map((id) => ({ id: Number(id), cores: parseList(probe.read(`${NODES}/node${id}/cpulist`)) }))
    .filter((node) => node.cores.length > 0)
    .sort((a, b) => a.id - b.id);
}

/** The last cores of a node: interrupts and the system are mostly on its first. */
function coresSetting(cores: readonly number[], count: number): string {
  return `workers.cores: [${cores.slice(-count).join(', ')}]`;
}

function nicFinding(
  findings: Findings,
  machine: Machine,
  port: Machine['config']['ports'][number],
  workerNode: number | undefined,
  nodes: readonly NumaNode[],
): void {
  const { probe, config } = machine;
  for (const device of new Set(devicesOf(probe, port))) {
    const nic = nodeOfDevice(probe, device);
    if (nic === undefined || nic < 0) continue;
    const near = nodes.find((node) => node.id === nic)?.cores ?? [];
    if (workerNode === undefined) {
      findings.note(
        `port ${port.name}: ${device} hangs on node ${nic}, and workers.cores is auto`,
        'workers may end up on another node than the NIC',
        edit(machine, coresSetting(near, config.workers.count)),
      );
    } else if (nic === workerNode) {
      findings.ok(`port ${port.name}: ${device} hangs on node ${nic}, as the workers do`);
    } else {
      findings.warning(
        `port ${port.name}: ${device} hangs on node ${nic}, the workers on node ${workerNode}`,
        'each packet crosses between the sockets',
        edit(machine, coresSetting(near, config.workers.count)),
      );
    }
  }
}

function devicesOf(probe: Probe, port: Machine['config']['ports'][number]): string[] {
  if (port.driver === 'socket') {
    return port.addresses.flatMap((address) => deviceOf(probe, address) ?? []);
  }
  return [pciAddressOf(port.device) ?? port.device];
}

/** Of an interface, or of a device on PCI that is not the kernel's. */
function nodeOfDevice(probe: Probe, device: string): number | undefined {
  const folder =
    pciAddressOf(device) === undefined ? `/sys/class/net/${device}/device` : `${PCI}/${device}`;
  return readNumber(probe, `${folder}/numa_node`);
}

/** Free pages may all be on the other node. */
function pagesFinding(
  findings: Findings,
  { probe, config, runningPid }: Machine,
  id: number,
): void {
  const needed = probe.packetMemoryBytes(config);
  const file = `${NODES}/node${id}/hugepages/hugepages-2048kB`;
  const free = readNumber(probe, `${file}/free_hugepages`);
  const all = readNumber(probe, '/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages') ?? 0;
  if (needed === undefined || free === undefined || runningPid !== undefined) return;
  const pages = Math.ceil(needed / 2 ** 21);
  if (config.workers.hugepages === 'off' || all < pages || free >= pages) return;
  findings.warning(
    `${free} of the ${all} free 2M pages are on node ${id}, where the workers are; ${pages} are needed`,
    'packet memory comes from the other node',
    `echo ${pages} > ${file}/nr_hugepages`,
  );
}
