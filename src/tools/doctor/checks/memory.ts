/**
 * One file per concern; each exports a function from a machine to findings. Pure but for what
 * the probe reads; any thread.
 */
import { type Finding, Findings } from '../finding.js';
import { edit, type Machine, type Probe, readNumber } from '../probe.js';

const HUGEPAGES = '/sys/kernel/mm/hugepages';
const SIZES = [
  { name: '1G', folder: 'hugepages-1048576kB', bytes: 2 ** 30 },
  { name: '2M', folder: 'hugepages-2048kB', bytes: 2 ** 21 },
] as const;
type Size = (typeof SIZES)[number];

interface Pool {
  readonly size: Size;
  readonly reserved: number;
  readonly free: number;
  readonly needed: number;
}

/** Huge pages: enough of them, and memory enough for everything else. */
export function checkHugepages(machine: Machine): Finding[] {
  const { probe, config } = machine;
  const findings = new Findings('hugepages');
  const needed = probe.packetMemoryBytes(config);
  if (needed === undefined) {
    findings.note(
      'how much packet memory this configuration takes is not known',
      'the native part of Sluice is not built, or cannot be loaded',
      'npm run build',
    );
  } else if (config.workers.hugepages === 'off') {
    findings.note(
      `workers.hugepages is off; packet memory (${megabytes(needed)}) is on 4 kB pages`,
      'a packet costs a few cycles more, most of all with many sessions',
    );
  } else {
    poolFindings(findings, machine, needed);
  }
  mountFinding(findings, probe);
  memoryFinding(findings, machine, needed ?? 0);
  return findings.all;
}

function poolFindings(findings: Findings, machine: Machine, bytes: number): void {
  const { probe, config } = machine;
  const wanted = config.workers.hugepages;
  const pools = SIZES.filter(({ name }) => wanted === 'auto' || wanted === name).map((size) =>
    poolOf(probe, size, bytes),
  );
  const good = pools.find((pool) => pool.free >= pool.needed);
  if (good !== undefined) {
    findings.ok(
      `${good.free} of ${good.reserved} ${good.size.name} pages are free; ${good.needed} are needed`,
    );
    return;
  }
  const held = pools.find((pool) => pool.reserved >= pool.needed);
  if (held !== undefined && machine.runningPid !== undefined) {
    findings.ok(
      `${held.reserved} ${held.size.name} pages are reserved and ${held.needed} needed; ` +
        `the node that runs (process ${machine.runningPid}) has them`,
    );
    return;
  }
  const pool = pools.at(-1)!;
  findings.add(
    wanted === 'auto' ? 'warning' : 'error',
    `${pool.free} of ${pool.reserved} ${pool.size.name} huge pages are free; ` +
      `${pool.needed} are needed (${megabytes(bytes)})`,
    wanted === 'auto'
      ? 'packet memory falls back to small pages: slower by a few cycles a packet'
      : `workers.hugepages is ${wanted}: the node refuses to start`,
    reserveCommand(pool),
  );
}

function poolOf(probe: Probe, size: Size, bytes: number): Pool {
  const count = (name: string): number =>
    readNumber(probe, `${HUGEPAGES}/${size.folder}/${name}`) ?? 0;
  return {
    size,
    reserved: count('nr_hugepages'),
    free: Math.max(0, count('free_hugepages') - count('resv_hugepages')),
    needed: Math.ceil(bytes / size.bytes),
  };
}

/** What others hold stays theirs: the command adds to it. */
function reserveCommand({ size, reserved, free, needed }: Pool): string {
  const total = reserved - free + needed;
  return size.name === '2M'
    ? `sysctl vm.nr_hugepages=${total}`
    : `echo ${total} > ${HUGEPAGES}/${size.folder}/nr_hugepages`;
}

function mountFinding(findings: Findings, probe: Probe): void {
  const mount = /^\S+ (\S+) hugetlbfs /m.exec(probe.read('/proc/mounts') ?? '')?.[1];
  if (mount !== undefined) findings.ok(`hugetlbfs is mounted on ${mount}`);
  else {
    findings.note(
      'hugetlbfs is not mounted',
      'Sluice takes huge pages without it; other programs (DPDK) may want it',
      'mkdir -p /dev/hugepages && mount -t hugetlbfs none /dev/hugepages',
    );
  }
}

function memoryFinding(findings: Findings, machine: Machine, needed: number): void {
  const { probe, runningPid } = machine;
  const kilobytes = /^MemAvailable:\s+(\d+) kB$/m.exec(probe.read('/proc/meminfo') ?? '')?.[1];
  if (kilobytes === undefined || runningPid !== undefined) return;
  const available = Number(kilobytes) * 1024;
  if (available >= needed) {
    findings.ok(`${megabytes(available)} of memory are available beside reserved huge pages`);
  } else {
    findings.warning(
      `${megabytes(available)} of memory are available; packet memory alone may take ${megabytes(needed)}`,
      'pages are taken as sessions come; with all sessions the node may be killed for its memory',
      edit(machine, `limits.sessions: ${Math.floor(machine.config.limits.sessions / 2)}`),
    );
  }
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6).toLocaleString('en-US')} MB`;
}
