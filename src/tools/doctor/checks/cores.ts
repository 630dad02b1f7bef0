import { type Finding, Findings } from '../finding.js';
import { edit, listText, type Machine, type Probe, parseList } from '../probe.js';

const CPUS = '/sys/devices/system/cpu';

/** Cores: enough of them, kept free of other work where workers spin. */
export function checkCores(machine: Machine): Finding[] {
  const { probe, config } = machine;
  const findings = new Findings('cores');
  const { count, cores, poll } = config.workers;
  const online = parseList(probe.read(`${CPUS}/online`));
  const isolated = parseList(probe.read(`${CPUS}/isolated`));
  const usable = [...new Set([...allowed(probe, online), ...isolated])];
  const busy = poll === 'busy';
  if (usable.length < count + (busy ? 1 : 0)) {
    findings.error(
      `${usable.length} cores may be used (${listText(usable)}), for ${count} workers` +
        (busy ? ' that spin and the control plane' : ''),
      'the node refuses to start',
      `sluice serve --workers ${Math.max(1, usable.length - 1)}`,
    );
  } else {
    findings.ok(`${usable.length} cores may be used (${listText(usable)}), for ${count} workers`);
  }
  quotaFinding(findings, probe, count);
  if (cores !== 'auto') {
    placedFindings(findings, machine, cores, usable, isolated);
  } else if (busy) {
    const free = isolated.filter((core) => usable.includes(core));
    if (free.length < count) isolationFinding(findings, 'warning', suggested(usable, count), count);
    else findings.ok(`isolated cores for the workers: ${listText(free)}`);
  } else if (isolated.length === 0) {
    isolationFinding(findings, 'note', suggested(usable, count), count);
  }
  return findings.all;
}

function allowed(probe: Probe, online: readonly number[]): number[] {
  const text = /^Cpus_allowed_list:\s*(\S+)$/m.exec(probe.read('/proc/self/status') ?? '')?.[1];
  const cores = parseList(text).filter((core) => online.length === 0 || online.includes(core));
  return cores.length > 0 ? cores : [...online];
}

/** The last ones: interrupts and the system are mostly on the first. */
function suggested(usable: readonly number[], count: number): number[] {
  return [...usable].sort((a, b) => a - b).slice(Math.max(1, usable.length - count));
}

function isolationFinding(
  findings: Findings,
  level: 'note' | 'warning',
  cores: readonly number[],
  count: number,
): void {
  if (cores.length < count) return;
  const list = listText(cores);
  findings.add(
    level,
    'no core is isolated for the workers',
    'the kernel runs other work beside them: packets wait up to some milliseconds',
    kernelLine([`isolcpus=${list}`, `nohz_full=${list}`, `rcu_nocbs=${list}`]),
  );
}

/** Debian's way; the change takes effect with the next boot. */
function kernelLine(words: readonly string[]): string {
  return (
    `sed -i 's/^GRUB_CMDLINE_LINUX="/&${words.join(' ')} /' /etc/default/grub && ` +
    'update-grub && reboot'
  );
}

function placedFindings(
  findings: Findings,
  machine: Machine,
  cores: readonly number[],
  usable: readonly number[],
  isolated: readonly number[],
): void {
  const { probe, config } = machine;
  const foreign = cores.filter((core) => !usable.includes(core));
  if (foreign.length > 0) {
    findings.error(
      `workers.cores names ${listText(foreign)}, but this process may use ${listText(usable)}`,
      'the node refuses to start',
      edit(machine, `workers.cores: [${suggested(usable, cores.length).join(', ')}]`),
    );
  }
  const spins = config.workers.poll !== 'adaptive';
  const line = probe.read('/proc/cmdline') ?? '';
  const missing = [
    { word: 'isolcpus', have: isolated },
    { word: 'nohz_full', have: parseList(probe.read(`${CPUS}/nohz_full`)) },
    { word: 'rcu_nocbs', have: parseList(/\brcu_nocbs=([\d,-]+)/.exec(line)?.[1]) },
  ].filter(({ have }) => cores.some((core) => !have.includes(core)));
  if (missing.length === 0) findings.ok(`cores ${listText(cores)} are isolated for the workers`);
  else {
    findings.add(
      spins ? 'warning' : 'note',
      `cores ${listText(cores)} are not kept free by ${missing.map(({ word }) => word).join(', ')}`,
      'the kernel runs other work on them: packets wait up to some milliseconds',
      kernelLine(missing.map(({ word, have }) => `${word}=${listText([...have, ...cores])}`)),
    );
  }
  siblingFindings(findings, machine, cores);
  if (usable.every((core) => cores.includes(core))) {
    findings.add(
      config.workers.poll === 'busy' ? 'error' : 'warning',
      'no core is left for the control plane',
      'it shares a core with a worker: its answers and the packets wait for each other',
      edit(
        machine,
        `workers: { count: ${cores.length - 1}, cores: [${[...cores]
          .sort((a, b) => a - b)
          .slice(1)
          .join(', ')}] }`,
      ),
    );
  }
}

/** Two threads of one physical core share its units. */
function siblingFindings(findings: Findings, machine: Machine, cores: readonly number[]): void {
  const { probe } = machine;
  const seen = new Set<string>();
  for (const core of cores) {
    const siblings = parseList(probe.read(`${CPUS}/cpu${core}/topology/thread_siblings_list`));
    if (siblings.length < 2 || seen.has(listText(siblings))) continue;
    seen.add(listText(siblings));
    const own = siblings.filter((sibling) => cores.includes(sibling));
    if (own.length > 1) {
      findings.warning(
        `cores ${listText(own)} are threads of one physical core`,
        'two workers there get little more done than one',
        edit(machine, `workers.cores: only one of ${listText(own)}`),
      );
    } else {
      const others = siblings.filter((sibling) => sibling !== core);
      findings.note(
        `core ${core} shares its physical core with ${listText(others)}`,
        'what runs there slows the worker down',
        `echo 0 > ${CPUS}/cpu${others[0]}/online`,
      );
    }
  }
}

/** What a container may use in time, whatever cores it may use. */
function quotaFinding(findings: Findings, probe: Probe, workers: number): void {
  const [quota, period] = (probe.read('/sys/fs/cgroup/cpu.max') ?? '').trim().split(' ');
  if (quota === undefined || period === undefined || quota === 'max') return;
  const share = Number(quota) / Number(period);
  if (share >= workers + 1) return;
  findings.warning(
    `the container may use ${share.toFixed(1)} cores' worth of time, for ${workers} workers`,
    'when it is used up everything stands still until the next period (mostly 100 ms)',
    `echo "max ${period}" > /sys/fs/cgroup/cpu.max   # or the container's CPU limit`,
  );
}
