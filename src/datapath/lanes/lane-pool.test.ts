import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Log } from '../../base/log.js';
import type { CryptoLaneStatistics } from './lane-path.js';
import { LanePool } from './lane-pool.js';
import type { LaneTask } from './worker.js';

/** Threads that run until they are let go or made to die. */
class FakeThreads {
  readonly running = new Map<number, { end: () => void; die: (error: Error) => void }>();
  started: number[] = [];
  closed = false;
  run({ thread }: LaneTask): Promise<void> {
    this.started.push(thread);
    return new Promise<void>((end, die) => this.running.set(thread, { end, die })).finally(() =>
      this.running.delete(thread),
    );
  }
  async close(): Promise<void> {
    this.closed = true;
  }
}

let threads: FakeThreads;
let buried: number[];
let busyNs: number[];
let nowMs: number;
let pool: LanePool;

function statistics(): CryptoLaneStatistics {
  const rows = busyNs.map((ns) => ({ busyNs: ns, waits: 0 }));
  return { serving: pool.count, cores: [], capacity: 1024, lanes: [], threads: rows };
}

/** Looks after so many seconds of threads that are busy, or idle. */
function seconds(count: number, busy: boolean): void {
  for (let i = 0; i < count; ++i) {
    nowMs += 1000;
    if (busy) busyNs = busyNs.map((ns, thread) => (thread < pool.count ? ns + 1e9 : ns));
    pool.look();
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  threads = new FakeThreads();
  buried = [];
  busyNs = [0, 0, 0];
  nowMs = 0;
  const path = {
    lanes: () => 7,
    // As the packet path does: those beyond the limit come back from their loop.
    limitLaneThreads: (limit: number) => {
      for (const [thread, { end }] of threads.running) if (thread >= limit) end();
    },
    buryLaneThread: (thread: number) => buried.push(thread),
  };
  const log = { info: () => undefined, error: () => undefined } as unknown as Log;
  const bounds = { threadsMin: 1, threadsMax: 3 };
  pool = LanePool.start({ path, statistics, bounds, log, threads, nowMs: () => nowMs });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the threads of crypto lanes', () => {
  it('come and go with the load', async () => {
    expect([...threads.running.keys()]).toEqual([0]);
    seconds(4, true);
    expect([...threads.running.keys()]).toEqual([0, 1, 2]);
    seconds(20, true);
    expect(pool.count).toBe(3);
    seconds(20, false);
    await vi.advanceTimersByTimeAsync(0);
    expect([...threads.running.keys()]).toEqual([0]);
    seconds(4, true);
    expect([...threads.running.keys()]).toEqual([0, 1, 2]);
    expect(buried).toEqual([]);
  });

  it('are replaced when they die', async () => {
    seconds(2, true);
    threads.running.get(1)?.die(new Error('gone'));
    await vi.advanceTimersByTimeAsync(1000);
    expect(buried).toEqual([1]);
    expect([...threads.running.keys()].sort()).toEqual([0, 1]);
    expect(threads.started).toEqual([0, 1, 1]);
  });

  it('end with the packet path', async () => {
    seconds(2, true);
    await pool.stop();
    expect(threads.running.size).toBe(0);
    expect(threads.closed).toBe(true);
    threads.started = [];
    await vi.advanceTimersByTimeAsync(5000);
    expect(threads.started).toEqual([]);
  });
});
