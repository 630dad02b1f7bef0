import { type Finding, Findings } from '../finding.js';
import {
  CAP_BPF,
  CAP_IPC_LOCK,
  CAP_NET_ADMIN,
  CAP_NET_BIND_SERVICE,
  CAP_NET_RAW,
  CAP_SYS_ADMIN,
  hasCapability,
  type Machine,
  type Probe,
} from '../probe.js';
import { pciAddressOf } from './devices/dpdk-devices.js';

/** API clients and streams, the store, ports: what a node opens at its busiest, with room. */
const OPEN_FILES_MIN = 8192;
/** Since then the memory of BPF programs isn't locked memory any more. */
const BPF_WITHOUT_MEMLOCK = [5, 11] as const;
const MEMLOCK_MIN = 64 * 1024;

/** Privileges of the user that runs `sluice doctor`; run it as the one that runs the node. */
export function checkPrivileges(machine: Machine): Finding[] {
  const { probe, config } = machine;
  const findings = new Findings('privileges');
  const grant = (capability: string): string =>
    `setcap ${capability}+ep ${probe.nodePath}   # or run the node as root, or by deploy/sluice.service`;
  const afxdp = config.ports.filter(({ driver }) => driver === 'afxdp').map(({ name }) => name);
  const tun = config.ports.filter(({ driver }) => driver === 'tun').map(({ name }) => name);
  if (hasCapability(probe, CAP_NET_ADMIN)) findings.ok('CAP_NET_ADMIN is there');
  else if (tun.length > 0) {
    findings.error(
      'CAP_NET_ADMIN is missing',
      `${tun.join(', ')} becomes a memory port and carries no traffic; socket buffers stay small`,
      grant('cap_net_admin,cap_bpf'),
    );
  } else {
    findings.note(
      'CAP_NET_ADMIN is missing',
      'socket buffers stay within net.core.rmem_max',
      grant('cap_net_admin'),
    );
  }
  if (hasCapability(probe, CAP_BPF) || hasCapability(probe, CAP_SYS_ADMIN)) {
    findings.ok('CAP_BPF is there');
  } else {
    const steers = tun.length > 0 && config.workers.count > 1;
    findings.add(
      steers ? 'warning' : 'note',
      'CAP_BPF is missing',
      steers
        ? 'the kernel spreads N6 packets over workers by itself, and workers hand them over: slower'
        : 'needed for several workers with a TUN device only',
      grant('cap_net_admin,cap_bpf'),
    );
  }
  if (afxdp.length > 0) afxdpFindings(findings, machine, afxdp.join(', '), grant);
  // AF_XDP and VFIO lock the packet memory that they are given.
  const locking = config.ports
    .filter(({ driver, device }) => driver === 'afxdp' || pciAddressOf(device) !== undefined)
    .map(({ name }) => name);
  if (locking.length > 0) lockFinding(findings, machine, locking.join(', '));
  if (config.ports.some(({ forwardInDriver }) => forwardInDriver)) driverFindings(findings, probe);
  const low = config.ports.filter(({ driver, udpPort }) => driver === 'socket' && udpPort < 1024);
  if (low.length > 0 && !hasCapability(probe, CAP_NET_BIND_SERVICE)) {
    findings.error(
      `CAP_NET_BIND_SERVICE is missing for UDP port ${low[0]!.udpPort} of ${low[0]!.name}`,
      'the node refuses to start',
      grant('cap_net_bind_service'),
    );
  }
  limitFindings(findings, machine);
  return findings.all;
}

/** AF_XDP sockets, and the program before them. */
function afxdpFindings(
  findings: Findings,
  { probe }: Machine,
  ports: string,
  grant: (capability: string) => string,
): void {
  const needed = { cap_net_admin: CAP_NET_ADMIN, cap_bpf: CAP_BPF, cap_net_raw: CAP_NET_RAW };
  const all = hasCapability(probe, CAP_SYS_ADMIN);
  const missing = Object.entries(needed)
    .filter(([name, bit]) => !hasCapability(probe, bit) && !(name === 'cap_bpf' && all))
    .map(([name]) => name);
  if (missing.length > 0) {
    findings.error(
      `${missing.join(', ').toUpperCase()} ${missing.length === 1 ? 'is' : 'are'} missing for ${ports}`,
      'the node refuses to start',
      grant(Object.keys(needed).join(',')),
    );
  }
}

function lockFinding(findings: Findings, { probe, config }: Machine, ports: string): void {
  const bytes = probe.packetMemoryBytes(config) ?? 0;
  if (hasCapability(probe, CAP_IPC_LOCK) || softLimit(probe, 'Max locked memory') >= bytes) return;
  findings.error(
    `less than ${amount(bytes)} bytes of memory may be locked, as ${ports} asks for`,
    'the node refuses to start',
    'ulimit -l unlimited   # for a service: LimitMEMLOCK=infinity',
  );
}

/** What has to outlive a crash of the node is kept there, or nothing is forwarded by drivers. */
function driverFindings(findings: Findings, probe: Probe): void {
  if (/^\S+ \S+ bpf /m.test(probe.read('/proc/mounts') ?? '')) findings.ok('a bpffs is mounted');
  else {
    findings.warning(
      'no bpffs is mounted',
      'forwardInDriver forwards nothing: usage of its flows would not survive a crash',
      'mount -t bpf bpf /sys/fs/bpf',
    );
  }
}

/** A limit of this process; infinite where it has none. */
function softLimit(probe: Probe, name: string): number {
  const limits = probe.read('/proc/self/limits') ?? '';
  const text = new RegExp(`^${name}\\s+(\\S+)`, 'm').exec(limits)?.[1];
  return text === undefined || text === 'unlimited' ? Infinity : Number(text);
}

function limitFindings(findings: Findings, { probe }: Machine): void {
  const files = softLimit(probe, 'Max open files');
  if (files >= OPEN_FILES_MIN) findings.ok(`${amount(files)} files may be open`);
  else {
    findings.warning(
      `only ${amount(files)} files may be open`,
      'API clients are refused when the limit is reached',
      `ulimit -n 65536   # in the shell that starts it; for a service: LimitNOFILE=65536`,
    );
  }
  const locked = softLimit(probe, 'Max locked memory');
  const [major, minor] = kernelVersion(probe.read('/proc/sys/kernel/osrelease') ?? '');
  const [since, sinceMinor] = BPF_WITHOUT_MEMLOCK;
  const counts = major < since || (major === since && minor < sinceMinor);
  if (counts && locked < MEMLOCK_MIN) {
    findings.warning(
      `only ${amount(locked)} bytes of memory may be locked`,
      'this kernel counts BPF programs as locked memory: steering may fail',
      'ulimit -l unlimited   # for a service: LimitMEMLOCK=infinity',
    );
  } else {
    findings.ok(`${amount(locked)} bytes of memory may be locked`);
  }
}

function amount(value: number): string {
  return value === Infinity ? 'unlimited' : value.toLocaleString('en-US');
}

/** [major, minor] of "6.1.0-18-amd64"; zeros where the text is none. */
export function kernelVersion(release: string): [number, number] {
  const match = /^(\d+)\.(\d+)/.exec(release.trim());
  return [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
}
