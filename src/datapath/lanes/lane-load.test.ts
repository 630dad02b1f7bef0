import { describe, expect, it } from 'vitest';
import { LaneLoad } from './lane-load.js';
import { laneBounds } from './lane-mode.js';
import type { CryptoLaneStatistics } from './lane-path.js';

const BOUNDS = { threadsMin: 1, threadsMax: 4 };

/** A pool that does as it is told, on a clock of its own: threads are busy for a share of a look. */
class Looks {
  nowMs = 0;
  threads = BOUNDS.threadsMin;
  readonly load = new LaneLoad(BOUNDS, 0);
  private readonly busyNs = [0, 0, 0, 0];

  /** @param work  threads' worth of time @return threads after each look */
  take(looks: number, work: number, depth = 0): number[] {
    return Array.from({ length: looks }, () => {
      this.nowMs += 1000;
      for (let i = 0; i < this.threads; ++i) {
        this.busyNs[i]! += (Math.min(work, this.threads) / this.threads) * 1e9;
      }
      this.threads = this.load.wanted(this.threads, this.statistics(depth), this.nowMs);
      return this.threads;
    });
  }

  private statistics(depth: number): CryptoLaneStatistics {
    const threads = this.busyNs.map((busyNs) => ({ busyNs, waits: 0 }));
    const lanes = [0, 1, 2, 3].map((id) => ({ id, packets: 0, bursts: 0, depth, thread: 0 }));
    return { serving: this.threads, cores: [], capacity: 1024, lanes, threads };
  }
}

describe('the load of crypto lanes', () => {
  it('wants another thread when those that are there stay busy', () => {
    expect(new Looks().take(6, 2.2)).toEqual([1, 2, 2, 3, 3, 3]);
  });

  it('wants another one when rings stay half full, however busy threads are', () => {
    expect(new Looks().take(4, 0.1, 600)).toEqual([1, 2, 2, 3]);
  });

  it('never wants more than there may be, nor fewer', () => {
    const looks = new Looks();
    expect(looks.take(20, 9).at(-1)).toBe(4);
    expect(looks.take(100, 0).at(-1)).toBe(1);
  });

  it('lets one go only when the others would have time for its work, for a while', () => {
    const looks = new Looks();
    looks.take(6, 2.2);
    expect(looks.take(9, 0.9)).toEqual(new Array(9).fill(3));
    expect(looks.take(1, 0.9)).toEqual([2]);
    expect(looks.take(30, 0.9).at(-1)).toBe(2);
  });

  it('is not moved by one look', () => {
    const looks = new Looks();
    for (let i = 0; i < 5; ++i) {
      expect(looks.take(1, 1)).toEqual([1]);
      expect(looks.take(1, 0.2)).toEqual([1]);
    }
  });
});

describe('where SM4 is done', () => {
  const settings = { mode: 'auto', lanesMin: 1, lanesMax: 0 } as const;

  it('is up to the cores, unless it is said', () => {
    expect(laneBounds(settings, 1, 3)).toBeUndefined();
    expect(laneBounds(settings, 1, 4)).toEqual({ threadsMin: 1, threadsMax: 2 });
    expect(laneBounds({ ...settings, mode: 'inline' }, 1, 64)).toBeUndefined();
    expect(laneBounds({ ...settings, mode: 'lanes' }, 1, 2)).toEqual({
      threadsMin: 1,
      threadsMax: 1,
    });
  });

  it('keeps to bounds that are given', () => {
    const given = { mode: 'lanes', lanesMin: 2, lanesMax: 3 } as const;
    expect(laneBounds(given, 1, 64)).toEqual({ threadsMin: 2, threadsMax: 3 });
    expect(laneBounds({ ...given, lanesMax: 0 }, 4, 2)).toEqual({ threadsMin: 2, threadsMax: 2 });
    expect(laneBounds({ ...given, lanesMax: 0 }, 1, 64)).toEqual({ threadsMin: 2, threadsMax: 16 });
  });
});
