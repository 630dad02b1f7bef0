/** Where SM4 is done, and by how many threads: what the configuration says, on this machine. */
import type { LaneBounds } from './lane-load.js';

/** With fewer cores, threads of lanes only take time from the workers that wait for them. */
const AUTO_CORES_MIN = 4;
/** As many lanes as native/worker/protect/crypto_lanes.h has room for. */
const THREADS_MAX = 16;

export interface LaneSettings {
  readonly mode: 'inline' | 'lanes' | 'auto';
  readonly lanesMin: number;
  /** 0: by the machine */
  readonly lanesMax: number;
}

/** undefined: workers do SM4 themselves. */
export function laneBounds(
  settings: LaneSettings,
  workers: number,
  cores: number,
): LaneBounds | undefined {
  const { mode, lanesMin, lanesMax } = settings;
  if (mode === 'inline' || (mode === 'auto' && cores < AUTO_CORES_MIN)) return undefined;
  // What workers and the control thread leave.
  const left = Math.min(THREADS_MAX, Math.max(lanesMin, cores - workers - 1));
  return { threadsMin: lanesMin, threadsMax: lanesMax === 0 ? left : lanesMax };
}
