/**
 * The receiving half of a transport that has no thread: what arrived waits here, bounded, and
 * comes out in batches. The fuller it is, the more classes are shed. Thread: the control thread.
 */
import { ADDRESS_WORDS } from './address-words.js';
import { AllowList } from './allow-list.js';
import { datagramClass } from './datagram-class.js';
import type { HalfSipHash } from './half-sip-hash.js';
import {
  BATCH_DATAGRAMS,
  DATAGRAM_BYTES_MAX,
  DATAGRAM_CLASSES,
  RECEIVED_WORDS,
  WORD_ADDRESS,
  WORD_CLASS,
  WORD_FAMILY,
  WORD_FLAGS,
  WORD_HASH_HIGH,
  WORD_HASH_LOW,
  WORD_LENGTH,
  WORD_LOCAL,
  WORD_OFFSET,
  WORD_PORT,
  WORD_WAITED,
} from './transport.js';

const BATCH_BYTES = 4 * 65_536;
const QUEUE_DATAGRAMS = 4096;
const QUEUE_BYTES = 8 * 1024 * 1024;
/** How full the queue may be for a class to get in. */
const SHARES = [1, 0.75, 0.5];

export interface Arrived {
  readonly local: number;
  readonly family: number;
  readonly address: Uint32Array;
  readonly port: number;
  readonly bytes: Uint8Array;
}
interface Waiting extends Arrived {
  readonly sinceMs: number;
  readonly datagramClass: number;
}

export class DatagramQueue {
  readonly words = new Uint32Array(BATCH_DATAGRAMS * RECEIVED_WORDS);
  readonly bytes = new Uint8Array(BATCH_BYTES);
  received = 0;
  receivedBytes = 0;
  notAllowed = 0;
  readonly shed: number[] = new Array<number>(DATAGRAM_CLASSES).fill(0);
  private allowed = new AllowList();
  private waiting: Waiting[] = [];
  private first = 0;
  private waitingBytes = 0;
  private listener: (() => void) | undefined;
  private armed = true;

  constructor(
    private readonly hash: HalfSipHash,
    private readonly nowMs: () => number,
  ) {}

  get count(): number {
    return this.waiting.length - this.first;
  }

  setAllowed(prefixes: readonly string[]): void {
    this.allowed = new AllowList(prefixes);
  }

  onReadable(listener: () => void): void {
    this.listener = listener;
    this.armed = true;
    if (this.count > 0) this.ring();
  }

  /** Takes a datagram in, whose bytes are the queue's from now on, or drops and counts it. */
  push(arrived: Arrived): void {
    const { bytes } = arrived;
    if (!this.allowed.has(arrived.family, arrived.address, 0)) {
      this.notAllowed++;
      return;
    }
    this.received++;
    this.receivedBytes += bytes.length;
    const kind = datagramClass(bytes, 0, bytes.length);
    const share = SHARES[kind]!;
    const full =
      this.count >= QUEUE_DATAGRAMS * share ||
      this.waitingBytes + bytes.length > QUEUE_BYTES * share;
    if (full || bytes.length > DATAGRAM_BYTES_MAX) {
      this.shed[kind]!++;
      return;
    }
    this.waiting.push({ ...arrived, sinceMs: this.nowMs(), datagramClass: kind });
    this.waitingBytes += bytes.length;
    if (this.armed) this.ring();
  }

  receive(): number {
    let count = 0;
    let offset = 0;
    while (count < BATCH_DATAGRAMS && this.count > 0) {
      const next = this.waiting[this.first]!;
      if (offset + next.bytes.length > BATCH_BYTES) break;
      this.first++;
      this.waitingBytes -= next.bytes.length;
      this.bytes.set(next.bytes, offset);
      this.describe(next, count * RECEIVED_WORDS, offset);
      offset += next.bytes.length;
      count++;
    }
    if (this.count === 0) {
      this.waiting = [];
      this.first = 0;
    }
    this.armed = count === 0;
    return count;
  }

  private describe(next: Waiting, at: number, offset: number): void {
    const { words, hash } = this;
    hash.of(next.bytes, 0, next.bytes.length);
    words[at + WORD_FAMILY] = next.family;
    words[at + WORD_PORT] = next.port;
    words[at + WORD_LOCAL] = next.local;
    for (let word = 0; word < ADDRESS_WORDS; word++)
      words[at + WORD_ADDRESS + word] = next.address[word]!;
    words[at + WORD_OFFSET] = offset;
    words[at + WORD_LENGTH] = next.bytes.length;
    words[at + WORD_HASH_LOW] = hash.low;
    words[at + WORD_HASH_HIGH] = hash.high;
    words[at + WORD_FLAGS] = 0;
    words[at + WORD_WAITED] = Math.max(0, (this.nowMs() - next.sinceMs) * 1000);
    words[at + WORD_CLASS] = next.datagramClass;
  }

  private ring(): void {
    if (this.listener === undefined) return;
    this.armed = false;
    this.listener();
  }
}
