/**
 * Reports from the packet path, numbered and kept until their owner acknowledges them. The log
 * has a bound; behind it usage is not lost but merged: one report per URR sums what several
 * would have said. Reports that were sent to a watcher once but never acknowledged, and those
 * that carry no usage, make room first, and are counted.
 *
 * Owner: the control thread. The events lie in one typed array; texts beside it.
 */
import { EVENT_WORDS, EventKind, EventWord } from '../datapath/datapath.js';
import type { Report, ReportReader } from './engine.js';

const ACKNOWLEDGED = 1;
const DELIVERED = 2;
const CAPACITY_MIN = 256;
/** Pairs of words that are summed when usage is merged. */
const SUMMED = [
  EventWord.UplinkBytes,
  EventWord.DownlinkBytes,
  EventWord.UplinkPackets,
  EventWord.DownlinkPackets,
  EventWord.Duration,
];
const WORD = 2 ** 32;

/** Who a report is about, kept beside it: the session may be gone when it is read. */
export interface ReportSubject {
  readonly owner: string;
  readonly name: string;
  readonly seid: bigint;
}

export class ReportLog {
  stale = 0;
  merged = 0;
  dropped = 0;
  /** Reports are numbered from 1; `#first` is the oldest that is kept. */
  #first = 1;
  #next = 1;
  #words = new Uint32Array(CAPACITY_MIN * EVENT_WORDS);
  #times = new Float64Array(CAPACITY_MIN);
  #flags = new Uint8Array(CAPACITY_MIN);
  #subjects: (ReportSubject | undefined)[] = [];
  #mask = CAPACITY_MIN - 1;
  /** While the log is full: number of the latest undelivered usage report by session and URR. */
  #byUrr: Map<string, number> | null = null;
  readonly #readers = new Set<Reader>();
  #wakeScheduled = false;

  /** @param run  tells this run's cursors from those of earlier ones. */
  constructor(
    readonly run: string,
    private readonly max: number,
    private readonly now: () => number,
  ) {}

  get size(): number {
    return this.#next - this.#first;
  }
  get isWatched(): boolean {
    return this.#readers.size > 0;
  }
  get first(): number {
    return this.#first;
  }
  get next(): number {
    return this.#next;
  }

  /** Takes in one event: EVENT_WORDS words of `events` from `at` on. */
  add(events: Uint32Array, at: number, subject: ReportSubject): void {
    if (this.size >= this.max && !this.#makeRoom(events, at)) return;
    if (this.size > this.#mask) this.#grow();
    const slot = this.#next & this.#mask;
    const to = slot * EVENT_WORDS;
    for (let i = 0; i < EVENT_WORDS; i++) this.#words[to + i] = events[at + i]!;
    this.#times[slot] = this.now();
    this.#flags[slot] = 0;
    this.#subjects[slot] = subject;
    if (this.#byUrr !== null && events[at + EventWord.Kind] === EventKind.Usage) {
      this.#byUrr.set(urrKey(events, at), this.#next);
    }
    this.#next++;
    this.#wakeReaders();
  }

  watch(owner: string, cursor: string, names: readonly string[]): ReportReader {
    const reader = new Reader(this, owner, this.parse(cursor), new Set(names));
    this.#readers.add(reader);
    return reader;
  }
  unwatch(reader: Reader): void {
    this.#readers.delete(reader);
  }

  /** Number of the last report that a cursor covers; 0 for one of another run, or none. */
  parse(cursor: string): number {
    const [run, number] = cursor.split('.');
    const parsed = Number(number);
    if (run !== this.run || !Number.isSafeInteger(parsed) || parsed < 0) return 0;
    return Math.min(parsed, this.#next - 1);
  }

  subject(number: number): ReportSubject | undefined {
    return this.#subjects[number & this.#mask];
  }
  isAcknowledged(number: number): boolean {
    return (this.#flags[number & this.#mask]! & ACKNOWLEDGED) !== 0;
  }

  /** A copy for a watcher, which counts as delivered from now on. */
  deliver(number: number): Report {
    const slot = number & this.#mask;
    const subject = this.#subjects[slot]!;
    this.#flags[slot]! |= DELIVERED;
    return {
      cursor: `${this.run}.${number}`,
      sessionName: subject.name,
      owner: subject.owner,
      seid: subject.seid,
      timeMs: this.#times[slot]!,
      event: this.#words.slice(slot * EVENT_WORDS, (slot + 1) * EVENT_WORDS),
    };
  }

  acknowledge(number: number): void {
    this.#flags[number & this.#mask]! |= ACKNOWLEDGED;
  }

  /** Forgets the oldest reports as far as they are acknowledged. */
  trim(): void {
    while (this.#first < this.#next && this.isAcknowledged(this.#first)) this.#forgetFirst();
    if (this.size < this.max) this.#byUrr = null;
  }

  /** False: the event is in another report now, or dropped. */
  #makeRoom(events: Uint32Array, at: number): boolean {
    this.trim();
    while (this.size >= this.max) {
      const slot = this.#first & this.#mask;
      const delivered = (this.#flags[slot]! & DELIVERED) !== 0;
      const usage = this.#words[slot * EVENT_WORDS + EventWord.Kind] === EventKind.Usage;
      if (!delivered && usage) break;
      this.#forgetFirst();
      this.dropped++;
    }
    if (this.size < this.max) return true;
    if (events[at + EventWord.Kind] !== EventKind.Usage) {
      this.dropped++;
      return false;
    }
    // Usage that fits no kept report makes the log longer: it is never lost.
    return !this.#merge(events, at);
  }

  #merge(events: Uint32Array, at: number): boolean {
    this.#byUrr ??= this.#indexUsage();
    const number = this.#byUrr.get(urrKey(events, at));
    if (number === undefined || number < this.#first) return false;
    const slot = number & this.#mask;
    if ((this.#flags[slot]! & DELIVERED) !== 0) return false;
    const words = this.#words;
    const to = slot * EVENT_WORDS;
    for (const word of SUMMED) addPair(words, to + word, events, at + word);
    words[to + EventWord.Sequence] = events[at + EventWord.Sequence]!;
    words[to + EventWord.Triggers]! |= events[at + EventWord.Triggers]!;
    words[to + EventWord.EndTime] = events[at + EventWord.EndTime]!;
    words[to + EventWord.EndTime + 1] = events[at + EventWord.EndTime + 1]!;
    this.#times[slot] = this.now();
    this.merged++;
    return true;
  }

  #indexUsage(): Map<string, number> {
    const byUrr = new Map<string, number>();
    for (let number = this.#first; number < this.#next; number++) {
      const at = (number & this.#mask) * EVENT_WORDS;
      if (this.#words[at + EventWord.Kind] !== EventKind.Usage) continue;
      byUrr.set(urrKey(this.#words, at), number);
    }
    return byUrr;
  }

  #forgetFirst(): void {
    this.#subjects[this.#first & this.#mask] = undefined;
    this.#first++;
  }

  #grow(): void {
    const length = this.#mask + 1;
    const words = new Uint32Array(length * 2 * EVENT_WORDS);
    const times = new Float64Array(length * 2);
    const flags = new Uint8Array(length * 2);
    const subjects: (ReportSubject | undefined)[] = [];
    const mask = length * 2 - 1;
    for (let number = this.#first; number < this.#next; number++) {
      const from = number & this.#mask;
      const to = number & mask;
      const at = from * EVENT_WORDS;
      words.set(this.#words.subarray(at, at + EVENT_WORDS), to * EVENT_WORDS);
      times[to] = this.#times[from]!;
      flags[to] = this.#flags[from]!;
      subjects[to] = this.#subjects[from];
    }
    this.#words = words;
    this.#times = times;
    this.#flags = flags;
    this.#subjects = subjects;
    this.#mask = mask;
  }

  #wakeReaders(): void {
    if (this.#wakeScheduled || this.#readers.size === 0) return;
    this.#wakeScheduled = true;
    setImmediate(() => {
      this.#wakeScheduled = false;
      for (const reader of this.#readers) reader.wake();
    });
  }
}

class Reader implements ReportReader {
  /** Number of the last report that was looked at. */
  #position: number;
  /** Reports up to here are done with, as far as this reader sees them. */
  #acknowledged = 0;
  #listener: (() => void) | null = null;

  constructor(
    private readonly log: ReportLog,
    private readonly owner: string,
    from: number,
    private readonly names: ReadonlySet<string>,
  ) {
    this.#position = from;
  }

  read(max: number): readonly Report[] {
    const reports: Report[] = [];
    let number = Math.max(this.#position + 1, this.log.first);
    for (; number < this.log.next && reports.length < max; number++) {
      if (this.#sees(number) && !this.log.isAcknowledged(number)) {
        reports.push(this.log.deliver(number));
      }
    }
    this.#position = number - 1;
    return reports;
  }

  acknowledge(cursor: string): void {
    const last = this.log.parse(cursor);
    let number = Math.max(this.#acknowledged + 1, this.log.first);
    for (; number <= last; number++) {
      if (this.#sees(number)) this.log.acknowledge(number);
    }
    this.#acknowledged = Math.max(this.#acknowledged, last);
    this.log.trim();
  }

  onReadable(listener: () => void): void {
    this.#listener = listener;
    if (this.#position + 1 < this.log.next) setImmediate(() => this.wake());
  }

  wake(): void {
    const listener = this.#listener;
    this.#listener = null;
    listener?.();
  }

  close(): void {
    this.#listener = null;
    this.log.unwatch(this);
  }

  #sees(number: number): boolean {
    const subject = this.log.subject(number);
    if (subject === undefined) return false;
    if (this.owner !== '' && subject.owner !== this.owner) return false;
    return this.names.size === 0 || this.names.has(subject.name);
  }
}

function urrKey(words: Uint32Array, at: number): string {
  const session = words[at + EventWord.SessionIndex]!;
  return `${session}.${words[at + EventWord.Incarnation]!}.${words[at + EventWord.Id]!}`;
}

/** Adds a 64-bit value, low word first, to another in place. */
function addPair(to: Uint32Array, at: number, from: Uint32Array, fromAt: number): void {
  const low = to[at]! + from[fromAt]!;
  to[at] = low >>> 0;
  to[at + 1] = to[at + 1]! + from[fromAt + 1]! + (low >= WORD ? 1 : 0);
}
