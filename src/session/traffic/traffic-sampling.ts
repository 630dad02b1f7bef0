/**
 * Turns the packet path's samples on while somebody looks, and shares them out: every watcher
 * has a window of its own, with an interval of its own. Work per turn of the event loop is
 * bounded by SAMPLES_MAX; what workers could not note meanwhile, later samples stand for.
 * Owner: the control thread.
 */
import { SluiceError } from '../../base/errors.js';
import { BUCKETS } from '../../base/limits.js';
import type { BucketReader } from '../../datapath/balance/balancer.js';
import { type Datapath, SAMPLE_WORDS, SampleWord } from '../../datapath/datapath.js';
import type { TrafficReader } from '../engine.js';
import type { SessionTable } from '../state/session-table.js';
import { subjectOf } from '../state/subject.js';
import { INDEX_MASK, type SessionSums, TrafficWindow } from './traffic-window.js';

/** A ring of samples holds what a worker notes in this time at 5 million packets a second in bursts of 32. */
const TAKE_EVERY_MS = 50;
/** Each watcher has a window of 2 MB. */
const WATCHERS_MAX = 16;

export class TrafficSampling {
  readonly #windows = new Set<TrafficWindow>();
  readonly #buckets = new Set<Float64Array>();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly datapath: Datapath,
    private readonly table: SessionTable,
  ) {}

  /** @throws SluiceError resource_exhausted when too many look already. */
  open(): TrafficReader {
    if (this.#windows.size >= WATCHERS_MAX) {
      throw new SluiceError(
        'resource_exhausted',
        `${WATCHERS_MAX} watchers ask for busiest sessions already; end one of them`,
        { field: 'busiest_sessions' },
      );
    }
    const window = new TrafficWindow();
    this.#windows.add(window);
    this.#begin();
    return {
      take: (count) => {
        this.#take();
        const busiest = window.busiest(count).filter((sums) => this.#lives(sums));
        window.clear();
        return busiest.map(({ index, incarnation, ...sums }) => ({
          ...subjectOf(this.table, index),
          ...sums,
        }));
      },
      close: () => {
        this.#windows.delete(window);
        this.#end();
      },
    };
  }

  openBuckets(): BucketReader {
    const packets = new Float64Array(BUCKETS);
    this.#buckets.add(packets);
    this.#begin();
    return {
      take: () => {
        this.#take();
        const taken = packets.slice();
        packets.fill(0);
        return taken;
      },
      close: () => {
        this.#buckets.delete(packets);
        this.#end();
      },
    };
  }

  /** Whether the session that was sampled is there still. */
  #lives({ index, incarnation }: SessionSums): boolean {
    return this.table.isVisible(index) && this.table.incarnation(index) === incarnation;
  }

  #begin(): void {
    if (this.#timer !== undefined) return;
    this.datapath.setSampling(true);
    this.#timer = setInterval(() => this.#take(), TAKE_EVERY_MS);
    this.#timer.unref();
  }

  #end(): void {
    if (this.#windows.size + this.#buckets.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.datapath.setSampling(false);
  }

  #take(): void {
    const { samples } = this.datapath;
    const words = this.datapath.takeSamples() * SAMPLE_WORDS;
    for (const window of this.#windows) {
      for (let at = 0; at < words; at += SAMPLE_WORDS) window.add(samples, at);
    }
    for (const packets of this.#buckets) {
      for (let at = 0; at < words; at += SAMPLE_WORDS) {
        const index = samples[at + SampleWord.Session]! & INDEX_MASK;
        const bucket = Math.trunc(index / this.table.slots.slotsPerBucket);
        packets[bucket]! += samples[at + SampleWord.Packets]!;
      }
    }
  }
}
