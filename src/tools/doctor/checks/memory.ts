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
const SHM = '/dev/shm';

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
    tmpfsFinding(findings, machine, needed);
  } else {
    poolFindings(findings, machine, needed);
  }
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
    hugetlbfsFinding(findings, machine, good.size);
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
  if (wanted === 'auto') tmpfsFinding(findings, machine, bytes);
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

/** The region is a file, so that usage outlives a crash: on a hugetlbfs, else on tmpfs. */
function hugetlbfsFinding(findings: Findings, { probe, config }: Machine, size: Size): void {
  const mounted = mountsOf(probe)
    .filter(({ type, options }) => type === 'hugetlbfs' && pageSize(options) === size.name)
    .map(({ folder }) => folder);
  const usable = mounted.find((folder) => probe.writable(folder));
  if (usable !== undefined) {
    findings.ok(`${usable} holds packet memory in ${size.name} pages, and usage over a crash`);
    return;
  }
  findings.warning(
    mounted.length === 0
      ? `no hugetlbfs with ${size.name} pages is mounted`
      : `${mounted[0]} is not writable for this user`,
    config.workers.hugepages === 'auto'
      ? 'packet memory goes to small pages on /dev/shm, so that usage survives a crash'
      : 'usage that is not reported yet would not survive a crash',
    mounted.length === 0
      ? `mkdir -p /dev/hugepages && mount -t hugetlbfs -o pagesize=${size.name} none /dev/hugepages`
      : `chown $(id -un) ${mounted[0]}`,
  );
}

function tmpfsFinding(findings: Findings, { probe, runningPid }: Machine, needed: number): void {
  if (runningPid !== undefined) return;
  const isTmpfs = mountsOf(probe).some(({ folder, type }) => folder === SHM && type === 'tmpfs');
  const free = isTmpfs ? (probe.freeBytes(SHM) ?? 0) : 0;
  if (free >= needed)
    findings.ok(`${SHM} has room for packet memory (${megabytes(free)} are free)`);
  else {
    findings.warning(
      isTmpfs
        ? `${SHM} has ${megabytes(free)} free, packet memory takes up to ${megabytes(needed)}`
        : `${SHM} is no tmpfs`,
      'usage that is not reported yet would not survive a crash',
      isTmpfs
        ? `mount -o remount,size=${Math.ceil((needed * 2) / 2 ** 30)}G ${SHM}   # of a container: --shm-size`
        : `mount -t tmpfs -o size=${Math.ceil((needed * 2) / 2 ** 30)}G tmpfs ${SHM}`,
    );
  }
}

interface Mount {
  readonly folder: string;
  readonly type: string;
  readonly options: string;
}

function mountsOf(probe: Probe): Mount[] {
  return (probe.read('/proc/mounts') ?? '').split('\n').map((line) => {
    const [, folder = '', type = '', options = ''] = line.split(' ');
    return { folder, type, options };
  });
}

function pageSize(options: string): Size['name'] {
  return /\bpagesize=(1024M|1G)\b/.test(options) ? '1G' : '2M';
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
