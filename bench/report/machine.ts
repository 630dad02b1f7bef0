/** What machine the figures are from: without it a figure means nothing. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { arch, cpus, release, totalmem } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly arch: string;
  readonly memory_bytes: number;
  readonly kernel: string;
  readonly node: string;
  /** Frequency of the time-stamp counter, by which cycles are counted; measured. */
  readonly tsc_hz: number | null;
  /** Free huge pages by size, such as {"2048kB": 512}. */
  readonly hugepages: Readonly<Record<string, number>>;
  readonly transparent_hugepages: string;
  readonly governor: string;
}

/** @param tscHz  as measured by native code, or null where there is no such counter */
export function describeMachine(tscHz: number | null): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    arch: arch(),
    memory_bytes: totalmem(),
    kernel: release(),
    node: process.versions.node,
    tsc_hz: tscHz,
    hugepages: freeHugepages(),
    transparent_hugepages: read('/sys/kernel/mm/transparent_hugepage/enabled'),
    governor: read('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'),
  };
}

/** The commit that was measured, with "-dirty" when the tree has changes; "unknown" outside git. */
export function commit(root: string): string {
  try {
    const args = ['describe', '--always', '--dirty', '--abbrev=40', '--exclude=*'];
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return 'unknown';
  }
}

function freeHugepages(): Record<string, number> {
  const folder = '/sys/kernel/mm/hugepages';
  const free: Record<string, number> = {};
  try {
    for (const name of readdirSync(folder)) {
      free[name.replace('hugepages-', '')] = Number(read(`${folder}/${name}/free_hugepages`));
    }
  } catch {
    // A kernel without huge pages has no such folder: none are free.
  }
  return free;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return 'unknown';
  }
}
