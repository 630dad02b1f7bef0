import { join } from 'node:path';
import type { Config } from '../../base/config/config.js';
import { checkClock } from './checks/clock.js';
import { checkCores } from './checks/cores.js';
import { checkCryptography } from './checks/cryptography.js';
import { checkDpdkDevices } from './checks/devices/dpdk-devices.js';
import { checkInterfaces } from './checks/devices/interfaces.js';
import { checkKernel } from './checks/kernel.js';
import { checkListeners } from './checks/listeners.js';
import { checkHugepages } from './checks/memory.js';
import { checkNuma } from './checks/numa.js';
import { checkPrivileges } from './checks/privileges.js';
import { checkProcessor } from './checks/processor.js';
import { checkStorage } from './checks/storage.js';
import { checkSysctls } from './checks/sysctls.js';
import { type Finding, LEVELS, type Level } from './finding.js';
import type { Machine, Probe } from './probe.js';

/** In the order in which people read them: what the node stands on first. */
const CHECKS = [
  checkKernel,
  checkPrivileges,
  checkProcessor,
  checkCryptography,
  checkCores,
  checkHugepages,
  checkNuma,
  checkInterfaces,
  checkDpdkDevices,
  checkSysctls,
  checkListeners,
  checkStorage,
  checkClock,
];

/**
 * Everything that is to be said of a machine for a configuration. Changes nothing.
 * @param file  of the configuration, for the commands that change it; undefined: defaults
 */
export function examine(probe: Probe, config: Config, file: string | undefined): Finding[] {
  const machine: Machine = { probe, config, file, runningPid: lockHolder(probe, config) };
  return CHECKS.flatMap((check) => check(machine));
}

/** How many findings there are of each level. */
export function tally(findings: readonly Finding[]): Record<Level, number> {
  const counts = Object.fromEntries(LEVELS.map((level) => [level, 0])) as Record<Level, number>;
  for (const { level } of findings) counts[level] += 1;
  return counts;
}

/** The process that has the data folder locked and is alive (src/store/folder-lock.ts). */
function lockHolder(probe: Probe, config: Config): number | undefined {
  const text = probe.read(join(config.store.path, 'lock'));
  try {
    const { pid, startTicks, bootId } = JSON.parse(text ?? '') as Record<string, unknown>;
    const stat = probe.read(`/proc/${pid}/stat`);
    const boot = probe.read('/proc/sys/kernel/random/boot_id')?.trim();
    if (stat === undefined || (boot !== undefined && bootId !== boot)) return undefined;
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return ticks === startTicks ? Number(pid) : undefined;
  } catch {
    return undefined;
  }
}
