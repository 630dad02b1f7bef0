/**
 * Replies of the last 15 seconds, for duplicates of their requests: one ring of bytes, oldest
 * first, and an index by key. When the ring is full, the oldest go early, which is counted.
 * Thread: the control thread; no object an entry.
 */
import { KEY_HIGH, KEY_LOW, KEY_TAG, KeyIndex } from './key-index.js';

/** How long a duplicate finds its reply: SMFs retransmit for 12 seconds at most. */
export const REPLY_KEPT_MS = 15_000;

/** Words of an entry: units it takes (0: the rest of the ring is empty), key, age, length. */
const SIZE = 0;
const AT_MS = 4;
const LENGTH = 5;
const HEADER_WORDS = 6;
const HEADER_BYTES = HEADER_WORDS * 4;
const UNIT_BYTES = 8;
/** An index slot for so many bytes of the ring; entries are rarely smaller than twice that. */
const BYTES_PER_SLOT = 32;

export class ReplyCache {
  /** Replies lie in here. */
  readonly bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #units: number;
  readonly #index: KeyIndex;
  /** The oldest entry, and where the next one goes; equal: empty, or full when count is not 0. */
  #head = 0;
  #tail = 0;
  #used = 0;
  /** Entries that went before their time. */
  evicted = 0;
  /** Where the reply is that was found last. */
  foundAt = 0;
  foundLength = 0;

  /** @param bytesMax  of ring and index together */
  constructor(bytesMax: number) {
    const slots = 2 ** Math.max(4, Math.floor(Math.log2(bytesMax / (BYTES_PER_SLOT + 4))));
    this.#units = Math.floor(Math.max(bytesMax - slots * 4, 4096) / UNIT_BYTES);
    const buffer = new ArrayBuffer(this.#units * UNIT_BYTES);
    this.bytes = new Uint8Array(buffer);
    this.#words = new Uint32Array(buffer);
    this.#index = new KeyIndex(this.#words, slots);
  }

  get count(): number {
    return this.#index.count;
  }
  get bytesUsed(): number {
    return this.#used * UNIT_BYTES;
  }

  /** True: the reply is `foundLength` bytes at `foundAt`. */
  find(low: number, high: number, tag: number, nowMs: number): boolean {
    const unit = this.#index.find(low, high, tag);
    if (unit < 0 || this.#isOld(unit, nowMs)) return false;
    this.foundAt = unit * UNIT_BYTES + HEADER_BYTES;
    this.foundLength = this.#words[unit * 2 + LENGTH]!;
    return true;
  }

  /** Keeps a reply; one that is longer than the ring is not kept. */
  put(
    low: number,
    high: number,
    tag: number,
    nowMs: number,
    bytes: Uint8Array,
    start: number,
    length: number,
  ): void {
    this.expire(nowMs);
    const earlier = this.#index.find(low, high, tag);
    // One that has gone old stays in the ring until it is its turn, found no more.
    if (earlier >= 0) this.#index.remove(earlier);
    const size = Math.ceil((HEADER_BYTES + length) / UNIT_BYTES);
    if (size > this.#units || !this.#makeRoom(size)) return;
    const unit = this.#tail;
    const at = unit * 2;
    const words = this.#words;
    words[at + SIZE] = size;
    words[at + KEY_LOW] = low;
    words[at + KEY_HIGH] = high;
    words[at + KEY_TAG] = tag;
    words[at + AT_MS] = nowMs;
    words[at + LENGTH] = length;
    const from = unit * UNIT_BYTES + HEADER_BYTES;
    for (let i = 0; i < length; i++) this.bytes[from + i] = bytes[start + i]!;
    this.#index.enter(unit);
    this.#advanceTail(size);
  }

  /** Gives up what is old, a bounded number of entries. */
  expire(nowMs: number): void {
    for (let left = 64; left > 0 && this.#used > 0 && this.#isOldest(nowMs); left--) this.#drop();
  }

  #isOldest(nowMs: number): boolean {
    this.#skipEmptyEnd();
    return this.#used > 0 && this.#isOld(this.#head, nowMs);
  }

  /** Ages are of 32 bits of milliseconds, compared around the corner. */
  #isOld(unit: number, nowMs: number): boolean {
    return (Math.floor(nowMs) - this.#words[unit * 2 + AT_MS]!) >>> 0 > REPLY_KEPT_MS;
  }

  #makeRoom(size: number): boolean {
    if (this.#used === 0) {
      this.#head = 0;
      this.#tail = 0;
    }
    if (this.#tail + size > this.#units) this.#wrapTail();
    while (this.#index.count >= this.#index.most || this.#used + size > this.#units) {
      if (this.#used === 0) return false;
      this.#drop();
      this.evicted++;
      if (this.#used === 0) {
        this.#head = 0;
        this.#tail = 0;
      } else if (this.#tail + size > this.#units) this.#wrapTail();
    }
    return true;
  }

  /** The rest of the ring stays empty: marked, and counted as used until the head passes it. */
  #wrapTail(): void {
    const rest = this.#units - this.#tail;
    while (this.#used + rest > this.#units) {
      this.#drop();
      this.evicted++;
    }
    if (rest > 0) this.#words[this.#tail * 2 + SIZE] = 0;
    this.#used += rest;
    this.#tail = 0;
  }

  #advanceTail(size: number): void {
    this.#used += size;
    this.#tail += size;
    if (this.#tail === this.#units) this.#tail = 0;
  }

  #skipEmptyEnd(): void {
    if (this.#used === 0 || this.#words[this.#head * 2 + SIZE] !== 0) return;
    this.#used -= this.#units - this.#head;
    this.#head = 0;
  }

  /** Takes the oldest entry out. */
  #drop(): void {
    this.#skipEmptyEnd();
    if (this.#used === 0) return;
    const size = this.#words[this.#head * 2 + SIZE]!;
    this.#index.remove(this.#head);
    this.#used -= size;
    this.#head += size;
    if (this.#head === this.#units) this.#head = 0;
  }
}
