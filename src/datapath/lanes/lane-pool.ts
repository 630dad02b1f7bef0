/**
 * The threads of crypto lanes: a piscina pool whose tasks are as long as their threads are wanted,
 * one for each number from 0. It looks at the load each second and lets threads come and go; the
 * place of one that died is taken by another. Owner: the control thread. Start at
 * {@link LanePool.start}.
 */
import { Piscina } from 'piscina';
import type { Log } from '../../base/log.js';
import { type LaneBounds, LaneLoad } from './lane-load.js';
import type { CryptoLaneStatistics, LanePath } from './lane-path.js';
import type { LaneTask } from './worker.js';

const LOOK_MS = 1000;
/** A thread that ends again and again is made anew no more often than this. */
const AGAIN_MS = 200;
/** Threads without a task are kept for this long, for when the load comes back. */
const IDLE_MS = 5000;

export interface LaneThreads {
  /** Resolves when the thread was let go; rejects when it died. */
  run(task: LaneTask): Promise<void>;
  close(): Promise<void>;
}

export interface LanePoolParts {
  readonly path: LanePath;
  readonly statistics: () => CryptoLaneStatistics;
  readonly bounds: LaneBounds;
  readonly log: Log;
  /** What a test replaces. */
  readonly threads?: LaneThreads;
  readonly nowMs?: () => number;
}

export class LanePool {
  readonly #threads: LaneThreads;
  readonly #load: LaneLoad;
  readonly #nowMs: () => number;
  readonly #running = new Map<number, Promise<void>>();
  #count = 0;
  #stopping = false;
  #timer: NodeJS.Timeout | undefined;

  private constructor(private readonly parts: LanePoolParts) {
    this.#nowMs = parts.nowMs ?? (() => performance.now());
    this.#load = new LaneLoad(parts.bounds, this.#nowMs());
    this.#threads = parts.threads ?? laneThreads(parts.bounds);
  }

  /** Before the packet path starts, so that threads are on their way when packets come. */
  static start(parts: LanePoolParts): LanePool {
    const pool = new LanePool(parts);
    pool.#grow(parts.bounds.threadsMin);
    pool.#timer = setInterval(() => pool.look(), LOOK_MS);
    pool.#timer.unref();
    return pool;
  }

  /** Threads that are wanted. */
  get count(): number {
    return this.#count;
  }

  /** Looks at the load since the last look. */
  look(): void {
    const { parts } = this;
    if (this.#stopping) return;
    const wanted = this.#load.wanted(this.#count, parts.statistics(), this.#nowMs());
    if (wanted === this.#count) return;
    parts.log.info({ threads: wanted, before: this.#count }, 'crypto lanes change their threads');
    if (wanted > this.#count) {
      this.#grow(wanted);
    } else {
      this.#count = wanted;
      parts.path.limitLaneThreads(wanted);
    }
  }

  /** Ends the threads. After the packet path has stopped, which lets them go. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#timer);
    this.parts.path.limitLaneThreads(0);
    await Promise.all(this.#running.values());
    await this.#threads.close();
  }

  #grow(count: number): void {
    this.#count = count;
    this.parts.path.limitLaneThreads(count);
    for (let thread = 0; thread < count; ++thread) {
      if (this.#running.has(thread)) continue;
      const ended = this.#serve(thread).finally(() => this.#running.delete(thread));
      this.#running.set(thread, ended);
    }
  }

  /** Until the thread of this number is not wanted any more, whoever plays it. */
  async #serve(thread: number): Promise<void> {
    const { path, log } = this.parts;
    while (!this.#stopping && thread < this.#count) {
      try {
        await this.#threads.run({ lanes: path.lanes(), thread });
      } catch (error) {
        path.buryLaneThread(thread);
        if (this.#stopping) return;
        log.error({ err: error, thread }, 'a thread of the crypto lanes died; another takes over');
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    }
  }
}

export function laneThreads({ threadsMin, threadsMax }: LaneBounds): LaneThreads {
  const source = import.meta.url.endsWith('.ts');
  const extension = source ? '.ts' : '.js';
  return new Piscina({
    filename: new URL(`./worker${extension}`, import.meta.url).href,
    // Tests run the sources as they are.
    ...(source && { execArgv: ['--import', 'tsx'] }),
    minThreads: threadsMin,
    maxThreads: threadsMax,
    // A task waits only while a thread is being made.
    maxQueue: threadsMax,
    idleTimeout: IDLE_MS,
  });
}
