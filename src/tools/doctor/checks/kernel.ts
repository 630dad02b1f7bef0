import { type Finding, Findings } from '../finding.js';
import type { Machine, Probe } from '../probe.js';
import { kernelVersion } from './privileges.js';

/** What the node asks of the kernel, by the version that brought it. */
const NEEDS: readonly { since: [number, number]; what: string; level: 'error' | 'note' }[] = [
  { since: [5, 11], what: 'epoll_pwait2, by which idle workers sleep', level: 'error' },
  { since: [5, 14], what: 'taking memory ahead of its use (MADV_POPULATE_WRITE)', level: 'note' },
];
const NODE_SINCE: [number, number] = [20, 9];

/** Kernel and run time: versions, TUN, BPF. */
export function checkKernel({ probe, config }: Machine): Finding[] {
  const findings = new Findings('kernel');
  const release = (probe.read('/proc/sys/kernel/osrelease') ?? '').trim();
  const missing = NEEDS.filter(({ since }) => older(kernelVersion(release), since));
  if (missing.length === 0) findings.ok(`Linux ${release}`);
  for (const { since, what, level } of missing) {
    findings.add(
      level,
      `Linux ${release || '(unknown)'} is older than ${since.join('.')}`,
      `it lacks ${what}`,
      'apt-get install -y linux-image-amd64 && reboot',
    );
  }
  const tun = config.ports.filter(({ driver }) => driver === 'tun');
  if (tun.length > 0) tunFindings(findings, probe, config.workers.count);
  if (tun.some(({ masquerade }) => masquerade) && !hasProgram(probe, 'nft')) {
    findings.error(
      'the program nft is missing',
      'masquerade: true can not be set up, and the node refuses to start',
      'apt-get install -y nftables',
    );
  }
  const [major, minor] = kernelVersion(probe.nodeVersion);
  if (older([major, minor], NODE_SINCE)) {
    findings.error(
      `Node ${probe.nodeVersion} is older than ${NODE_SINCE.join('.')}`,
      'the control plane does not run on it',
      'apt-get install -y nodejs   # from a repository that has 20.9 or later',
    );
  } else {
    findings.ok(`Node ${probe.nodeVersion}`);
  }
  return findings.all;
}

function tunFindings(findings: Findings, probe: Probe, workers: number): void {
  if (!probe.exists('/dev/net/tun')) {
    findings.error(
      '/dev/net/tun is not there',
      'N6 becomes a memory port and carries no traffic',
      'modprobe tun   # in a container: give it --device /dev/net/tun',
    );
  } else if (!probe.writable('/dev/net/tun')) {
    findings.error(
      '/dev/net/tun may not be opened by this user',
      'N6 becomes a memory port and carries no traffic',
      'chmod 0666 /dev/net/tun',
    );
  } else {
    findings.ok('TUN devices can be opened');
  }
  const jit = probe.read('/proc/sys/net/core/bpf_jit_enable')?.trim();
  if (jit === '0' && workers > 1) {
    findings.warning(
      'BPF programs are interpreted (net.core.bpf_jit_enable is 0)',
      'steering packets to workers costs more',
      'sysctl net.core.bpf_jit_enable=1',
    );
  } else if (jit !== undefined && jit !== '0') {
    findings.ok('BPF programs are compiled');
  }
}

function hasProgram(probe: Probe, name: string): boolean {
  return ['/usr/sbin', '/sbin', '/usr/bin', '/bin', '/usr/local/sbin', '/usr/local/bin'].some(
    (folder) => probe.exists(`${folder}/${name}`),
  );
}

function older(have: readonly [number, number], since: readonly [number, number]): boolean {
  return have[0] < since[0] || (have[0] === since[0] && have[1] < since[1]);
}
