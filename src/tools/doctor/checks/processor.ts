import { type Finding, Findings } from '../finding.js';
import type { Machine, Probe } from '../probe.js';

const CPUS = '/sys/devices/system/cpu';
const CLOCKSOURCE = '/sys/devices/system/clocksource/clocksource0';
/** Clocks that a virtual machine reads without asking its host. */
const CLOCKS_GOOD = ['tsc', 'kvm-clock', 'hyperv_clocksource_tsc_page', 'arch_sys_counter'];

/** The processor: what the packet path is compiled for, its frequency, its counter of cycles. */
export function checkProcessor({ probe }: Machine): Finding[] {
  const findings = new Findings('processor');
  const info = probe.read('/proc/cpuinfo') ?? '';
  const flags = /^flags\s*:\s*(.*)$/m.exec(info)?.[1]?.split(' ');
  if (flags !== undefined) {
    const model = /^model name\s*:\s*(.*)$/m.exec(info)?.[1] ?? 'this processor';
    if (flags.includes('avx2')) findings.ok(`${model} has AVX2`);
    else {
      findings.error(
        `${model} has no AVX2`,
        'the packet path is compiled for it: the node ends with an illegal instruction',
        'lscpu | grep -i avx2   # in a virtual machine: let the host pass the CPU through (host-passthrough)',
      );
    }
    counterFinding(findings, flags);
  } else {
    findings.note('the processor is not an x86 one, or /proc/cpuinfo cannot be read');
  }
  governorFinding(findings, probe);
  clocksourceFinding(findings, probe);
  return findings.all;
}

function counterFinding(findings: Findings, flags: readonly string[]): void {
  const missing = ['constant_tsc', 'nonstop_tsc'].filter((flag) => !flags.includes(flag));
  // Virtual machines don't show nonstop_tsc; what they show instead means the same.
  const reliable = flags.includes('tsc_known_freq') || flags.includes('tsc_reliable');
  if (missing.length === 0 || (reliable && !missing.includes('constant_tsc'))) {
    findings.ok('the time stamp counter runs evenly');
    return;
  }
  findings.warning(
    `the time stamp counter lacks ${missing.join(' and ')}`,
    'rates, timers and figures of cycles drift when the frequency changes or a core sleeps',
    'cpupower idle-set --disable-by-latency 1 && cpupower frequency-set --governor performance',
  );
}

function governorFinding(findings: Findings, probe: Probe): void {
  const governors = new Map<string, number>();
  for (const name of probe.list(CPUS)) {
    if (!/^cpu\d+$/.test(name)) continue;
    const governor = probe.read(`${CPUS}/${name}/cpufreq/scaling_governor`)?.trim();
    if (governor !== undefined) governors.set(governor, (governors.get(governor) ?? 0) + 1);
  }
  const others = [...governors].filter(([governor]) => governor !== 'performance');
  if (governors.size === 0) {
    findings.note('no CPU governor is to be seen', 'usual in a virtual machine: the host decides');
  } else if (others.length === 0) {
    findings.ok('the CPU governor is performance on every core');
  } else {
    findings.warning(
      `the CPU governor is ${others.map(([governor, n]) => `${governor} on ${n} cores`).join(', ')}`,
      'a core that was idle is slow for the first packets, and cycles per packet vary',
      `for g in ${CPUS}/cpu*/cpufreq/scaling_governor; do echo performance > $g; done`,
    );
  }
}

function clocksourceFinding(findings: Findings, probe: Probe): void {
  const current = probe.read(`${CLOCKSOURCE}/current_clocksource`)?.trim();
  if (current === undefined) return;
  if (CLOCKS_GOOD.includes(current)) {
    findings.ok(`the kernel's clock source is ${current}`);
    return;
  }
  const available = (probe.read(`${CLOCKSOURCE}/available_clocksource`) ?? '').trim().split(/\s+/);
  const better = CLOCKS_GOOD.find((clock) => available.includes(clock));
  findings.warning(
    `the kernel's clock source is ${current}`,
    'reading the clock costs about a microsecond, and the kernel does not trust the faster one',
    better === undefined
      ? "dmesg | grep -i tsc   # says why the kernel doesn't trust it"
      : `echo ${better} > ${CLOCKSOURCE}/current_clocksource`,
  );
}
