/**
 * Slots of sessions: 256 buckets of equal size. A freed slot goes to the end of its bucket's
 * queue, and its next session gets a higher generation, so that a TEID comes back as late as
 * possible. Generations never fall, also over a restart: the highest of each bucket persists.
 */
import { BUCKETS } from '../../base/limits.js';
import { randomWord } from './random.js';

export class Slots {
  readonly capacity: number;
  /** Per session index: generation of the last session there; it is also its incarnation. */
  readonly generation: Uint32Array;
  /** Per bucket: highest generation ever used. */
  readonly ceiling = new Uint32Array(BUCKETS);
  /** The ceiling grew since this was last reset: it must be stored before the session is. */
  ceilingChanged = false;
  readonly #next: Uint16Array;
  readonly #head = new Uint16Array(BUCKETS);
  readonly #tail = new Uint16Array(BUCKETS);
  readonly #freed = new Uint32Array(BUCKETS);
  /** Slots from here on were never used in this run. */
  readonly #fresh = new Uint32Array(BUCKETS);
  /** Lowest generation of a session that starts in this run. */
  readonly #floor = new Uint32Array(BUCKETS).fill(1);
  readonly #taken: Uint8Array;
  readonly #liveIn = new Uint32Array(BUCKETS);
  #live = 0;

  constructor(readonly slotsPerBucket: number) {
    this.capacity = slotsPerBucket * BUCKETS;
    this.generation = new Uint32Array(this.capacity);
    this.#next = new Uint16Array(this.capacity);
    this.#taken = new Uint8Array(this.capacity);
  }

  get live(): number {
    return this.#live;
  }
  room(bucket: number): number {
    return this.slotsPerBucket - this.#liveIn[bucket]!;
  }

  isTaken(index: number): boolean {
    return this.#taken[index] !== 0;
  }

  /** A random bucket with room, -1: none has. */
  chooseBucket(): number {
    const word = randomWord();
    let bucket = word & 0xff;
    if (this.room(bucket) > 0) return bucket;
    bucket = (word >>> 8) & 0xff;
    for (let i = 0; i < BUCKETS; i++) {
      if (this.room(bucket) > 0) return bucket;
      bucket = (bucket + 1) & 0xff;
    }
    return -1;
  }

  /** Takes a slot of a bucket with room; returns the session index. */
  take(bucket: number): number {
    const slot = this.#takeSlot(bucket);
    const index = bucket * this.slotsPerBucket + slot;
    this.#taken[index] = 1;
    this.#liveIn[bucket]!++;
    this.#live++;
    this.advance(index, bucket);
    return index;
  }

  /** Moves the slot's generation on: a new session, or a TEID that somebody else holds. */
  advance(index: number, bucket: number): void {
    const generation = Math.max(this.generation[index]! + 1, this.#floor[bucket]!);
    this.generation[index] = generation;
    if (generation > this.ceiling[bucket]!) {
      this.ceiling[bucket] = generation;
      this.ceilingChanged = true;
    }
  }

  free(index: number): void {
    const bucket = Math.floor(index / this.slotsPerBucket);
    const slot = index - bucket * this.slotsPerBucket;
    this.#taken[index] = 0;
    this.#liveIn[bucket]!--;
    this.#live--;
    // A restored session's slot that fresh ones have not reached yet: it is fresh itself.
    if (slot >= this.#fresh[bucket]!) return;
    if (this.#freed[bucket] === 0) this.#head[bucket] = slot;
    else this.#next[bucket * this.slotsPerBucket + this.#tail[bucket]!] = slot;
    this.#tail[bucket] = slot;
    this.#freed[bucket]!++;
  }

  /** Sets the generations of an earlier run; before any slot is taken. */
  restoreCeiling(ceiling: Uint32Array): void {
    this.ceiling.set(ceiling);
    for (let i = 0; i < BUCKETS; i++) this.#floor[i] = ceiling[i]! + 1;
  }

  /** Takes the very slot of a restored session; false when it is taken or out of range. */
  restore(bucket: number, slot: number, generation: number): boolean {
    if (slot >= this.slotsPerBucket) return false;
    const index = bucket * this.slotsPerBucket + slot;
    if (this.#taken[index] !== 0) return false;
    this.#taken[index] = 1;
    this.generation[index] = generation;
    this.#liveIn[bucket]!++;
    this.#live++;
    if (generation > this.ceiling[bucket]!) this.#restoreOver(bucket, generation);
    return true;
  }

  #takeSlot(bucket: number): number {
    const base = bucket * this.slotsPerBucket;
    // A restored session may sit among the fresh slots.
    while (this.#fresh[bucket]! < this.slotsPerBucket) {
      const slot = this.#fresh[bucket]!++;
      if (this.#taken[base + slot] === 0) return slot;
    }
    const slot = this.#head[bucket]!;
    this.#freed[bucket]!--;
    this.#head[bucket] = this.#next[base + slot]!;
    return slot;
  }

  /** A record that is newer than the stored ceiling: the ceiling was lost, go on above it. */
  #restoreOver(bucket: number, generation: number): void {
    this.ceiling[bucket] = generation;
    this.#floor[bucket] = generation + 1;
    this.ceilingChanged = true;
  }
}
