/**
 * How many threads crypto lanes want, from what they did since the last look. Pure: who looks, and
 * when, is lane-pool.ts. A thread more comes after two crowded looks, one less after ten idle ones,
 * so that a burst of traffic does not make the pool swing.
 */
import type { CryptoLaneStatistics } from './lane-path.js';

const CROWDED_LOOKS = 2;
const IDLE_LOOKS = 10;
/** Mean share of time that threads are busy with. */
const CROWDED_SHARE = 0.75;
/** As much as the threads that would be left had to be busy. */
const IDLE_SHARE = 0.5;
/** Of a ring's room. */
const CROWDED_DEPTH = 0.5;

export interface LaneBounds {
  readonly threadsMin: number;
  readonly threadsMax: number;
}

export class LaneLoad {
  #crowded = 0;
  #idle = 0;
  #busyNs: readonly number[] = [];
  #sinceMs: number;

  /** @param nowMs  milliseconds of any clock that only goes forward */
  constructor(
    private readonly bounds: LaneBounds,
    nowMs: number,
  ) {
    this.#sinceMs = nowMs;
  }

  /** Threads that there should be, given how many there are. */
  wanted(threads: number, statistics: CryptoLaneStatistics, nowMs: number): number {
    const busyNs = statistics.threads.map((thread) => thread.busyNs);
    const spentNs = busyNs.reduce((sum, ns, i) => sum + ns - (this.#busyNs[i] ?? 0), 0);
    const passedNs = Math.max(1, (nowMs - this.#sinceMs) * 1e6);
    this.#busyNs = busyNs;
    this.#sinceMs = nowMs;
    const busy = spentNs / passedNs;
    const full = statistics.lanes.some(({ depth }) => depth > CROWDED_DEPTH * statistics.capacity);
    const isCrowded = full || busy > CROWDED_SHARE * threads;
    const isIdle = !full && busy < IDLE_SHARE * (threads - 1);
    this.#crowded = isCrowded ? this.#crowded + 1 : 0;
    this.#idle = isIdle ? this.#idle + 1 : 0;
    const step = this.#crowded >= CROWDED_LOOKS ? 1 : this.#idle >= IDLE_LOOKS ? -1 : 0;
    const next = threads + step;
    const { threadsMin, threadsMax } = this.bounds;
    if (step === 0 || next < threadsMin || next > threadsMax) return threads;
    this.#crowded = 0;
    this.#idle = 0;
    return next;
  }
}
