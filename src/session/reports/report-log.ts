/**
 * Reports from the packet path, numbered and kept in the store until their owner acknowledges
 * them; in memory there are a few bytes for each. The log has a bound; behind it usage is not
 * lost but merged: one report per URR sums what several would have said. Reports that were
 * sent to a watcher once but never acknowledged, and those that carry no usage, make room
 * first, and are counted.
 *
 * A report that answers an operation is in the store as well until a moment after its answer
 * went out, but is offered to nobody, unless the process ends before.
 *
 * Owner: the control thread. Start at {@link ReportLog.add}.
 */
import {
  type Datapath,
  EVENT_WORDS,
  EVENTS_MAX,
  EventKind,
  EventWord,
} from '../../datapath/datapath.js';
import type { Store } from '../../store/store.js';
import { randomWord } from '../allocators/random.js';
import type { ReportReader } from '../engine.js';
import { Reader } from './report-reader.js';
import { encodeReportRecord, ReportRecord, type ReportSubject } from './report-record.js';
import { ReportWriter, type ReportWriterHost } from './report-writer.js';
import { mergeUsage, urrKey } from './usage-merge.js';

const USAGE = 1;
const DELIVERED = 2;
/** Of an earlier run: whether somebody has read it is not known. */
const EARLIER = 4;
/** Answers an operation: not for watchers. */
const ANSWER = 8;
/** An answer that went out is kept for one to two of these, in case it did not get far. */
const ANSWERED_MS = 100;

export class ReportLog implements ReportWriterHost {
  stale = 0;
  merged = 0;
  dropped = 0;
  readonly #record = new ReportRecord();
  readonly #writer: ReportWriter;
  /** What is known of each report that is kept, by number, in ascending order. */
  readonly #flags = new Map<number, number>();
  #answers = 0;
  /** No report below is kept. */
  #oldest: number;
  /** Reports up to here are in the store. */
  #visible: number;
  #restoring = true;
  /** While the log is full: number of the latest report that more usage can be added to. */
  #byUrr: Map<string, number> | null = null;
  readonly #readers = new Set<Reader>();
  #wakeScheduled = false;
  #flushScheduled = false;
  #answered: number[] = [];
  #answeredBefore: number[] = [];
  #answeredTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly store: Store,
    private readonly datapath: Pick<Datapath, 'events' | 'release' | 'alreadyWritten'>,
    private readonly max: number,
    private readonly now: () => number,
  ) {
    this.#writer = new ReportWriter(store, this, () => randomWord().toString(16));
    this.#visible = this.#writer.next - 1;
    this.#oldest = this.#writer.next;
  }

  /** Reports that watchers can have. */
  get size(): number {
    return this.#flags.size - this.#answers;
  }
  get isWatched(): boolean {
    return this.#readers.size > 0;
  }
  /** The last report that may be offered. */
  get visible(): number {
    return this.#visible;
  }

  /** Takes up what the store has, and tells the packet path of it. */
  load(slotsPerBucket: number): void {
    const { events } = this.datapath;
    let count = 0;
    const tell = () => {
      this.datapath.alreadyWritten(count);
      count = 0;
    };
    this.store.reports.scan(-1, (number, bytes, length) => {
      // A version that can't be read stays where it is, for the program that wrote it.
      if (!this.#record.read(bytes, length)) return true;
      if (this.#flags.size === 0) this.#oldest = number;
      this.#flags.set(number, EARLIER | (this.#record.isUsage ? USAGE : 0));
      if (this.#record.word(EventWord.Run) === 0) return true;
      const at = count++ * EVENT_WORDS;
      const { place } = this.#record;
      events.set(this.#record.event(), at);
      events[at + EventWord.SessionIndex] = (place >>> 16) * slotsPerBucket + (place & 0xffff);
      if (count === EVENTS_MAX) tell();
      return true;
    });
    tell();
  }
  /** From now on the log's bound holds: while restoring, no report takes another's place. */
  endRestore(): void {
    this.#restoring = false;
  }

  /** Takes in one event: EVENT_WORDS words of `events` from `at` on. */
  add(events: Uint32Array, at: number, subject: ReportSubject): void {
    if (this.size >= this.max && !this.#restoring && !this.#makeRoom(events, at)) return;
    const number = this.#append(events, at, subject, 0);
    if (this.#byUrr !== null && events[at + EventWord.Kind] === EventKind.Usage) {
      this.#byUrr.set(urrKey(events, at), number);
    }
  }
  /** The same for an event that an operation has asked for; returns its number. */
  addAnswer(events: Uint32Array, at: number, subject: ReportSubject): number {
    this.#answers++;
    return this.#append(events, at, subject, ANSWER);
  }
  /** The answer went out. */
  answered(number: number): void {
    this.#answered.push(number);
    this.#answeredTimer ??= setTimeout(() => this.#forgetAnswered(), ANSWERED_MS).unref();
  }
  /** There is no answer to take it: it is a report like others. */
  unanswered(number: number): void {
    this.#answers--;
    this.#flags.set(number, this.#flags.get(number)! & ~ANSWER);
    // Readers may have passed it by.
    for (const reader of this.#readers) reader.goBackTo(number);
    this.#wakeReaders();
  }

  /** Writes what was taken in. @param polled  events of the packet path that were looked at. */
  flush(polled: number): void {
    this.#writer.flush(polled);
  }
  whenWritten(): Promise<void> {
    return this.#writer.whenWritten();
  }
  /** Writes what waits, and forgets every answer that went out. */
  close(): Promise<void> {
    clearTimeout(this.#answeredTimer);
    for (const number of [...this.#answered, ...this.#answeredBefore]) this.forget(number);
    this.#answered = [];
    this.#answeredBefore = [];
    this.#writer.flush();
    return this.#writer.whenWritten();
  }

  watch(owner: string, cursor: string, names: readonly string[]): ReportReader {
    const reader = new Reader(this, owner, this.parse(cursor), new Set(names));
    this.#readers.add(reader);
    return reader;
  }
  unwatch(reader: Reader): void {
    this.#readers.delete(reader);
  }

  /** Number of the last report that a cursor covers; 0 for one of another store, or none. */
  parse(cursor: string): number {
    const [id, number] = cursor.split('.');
    const parsed = Number(number);
    if (id !== this.#writer.id || !Number.isSafeInteger(parsed) || parsed < 0) return 0;
    return Math.min(parsed, this.#visible);
  }
  cursor(number: number): string {
    return `${this.#writer.id}.${number}`;
  }

  /**
   * Shows the reports behind `after` that may be offered, until `visit` returns false. Returns
   * the number of the last one that was looked at.
   */
  scan(after: number, visit: (number: number, record: ReportRecord) => boolean): number {
    let last = after;
    let stopped = false;
    this.store.reports.scan(Math.max(after, this.#oldest - 1), (number, bytes, length) => {
      // One that is being merged is read when it is whole.
      stopped = number > this.#visible || this.#writer.fresh.has(number);
      if (stopped) return false;
      last = number;
      const flags = this.#flags.get(number);
      if (flags === undefined || (flags & ANSWER) !== 0) return true;
      if (!this.#record.read(bytes, length)) return true;
      stopped = !visit(number, this.#record);
      return !stopped;
    });
    return stopped ? last : Math.max(last, this.#visible);
  }

  /** A watcher has it from now on. */
  delivered(number: number): void {
    this.#flags.set(number, this.#flags.get(number)! | DELIVERED);
  }
  /** It is done with, here and in the store. */
  forget(number: number): void {
    const flags = this.#flags.get(number);
    if (flags === undefined) return;
    if ((flags & ANSWER) !== 0) this.#answers--;
    this.#flags.delete(number);
    this.#writer.remove(number);
    if (this.size < this.max) this.#byUrr = null;
    this.#scheduleFlush();
  }

  written(last: number): void {
    this.#visible = last;
    this.#wakeReaders();
  }
  isKept(number: number): boolean {
    return this.#flags.has(number);
  }
  release(count: number): void {
    this.datapath.release(count);
  }

  #append(events: Uint32Array, at: number, subject: ReportSubject, flags: number): number {
    const usage = events[at + EventWord.Kind] === EventKind.Usage;
    const number = this.#writer.append(encodeReportRecord(events, at, subject, this.now()));
    if (this.#flags.size === 0) this.#oldest = number;
    this.#flags.set(number, flags | (usage ? USAGE : 0));
    return number;
  }

  /** False: the event is in another report now, or dropped. */
  #makeRoom(events: Uint32Array, at: number): boolean {
    while (this.size >= this.max) {
      const oldest = this.#findOldest();
      const flags = this.#flags.get(oldest)!;
      if ((flags & (DELIVERED | USAGE)) === USAGE) break;
      this.forget(oldest);
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

  #findOldest(): number {
    for (; this.#oldest < this.#writer.next; this.#oldest++) {
      const flags = this.#flags.get(this.#oldest);
      if (flags !== undefined && (flags & ANSWER) === 0) break;
    }
    return this.#oldest;
  }

  #merge(events: Uint32Array, at: number): boolean {
    this.#byUrr ??= this.#indexUsage();
    const number = this.#byUrr.get(urrKey(events, at)) ?? 0;
    const mergeable = (this.#flags.get(number) ?? 0) & (USAGE | DELIVERED | EARLIER | ANSWER);
    if (mergeable !== USAGE || !this.#look(number)) return false;
    const words = this.#record.event();
    mergeUsage(words, events, at);
    const { subject } = this.#record;
    this.#writer.replace(number, encodeReportRecord(words, 0, subject, this.now()));
    this.merged++;
    return true;
  }

  /** Has the record of one report read. */
  #look(number: number): boolean {
    const fresh = this.#writer.fresh.get(number);
    if (fresh !== undefined) return this.#record.read(fresh, fresh.length);
    let found = false;
    this.store.reports.scan(number - 1, (key, bytes, length) => {
      found = key === number && this.#record.read(bytes, length);
      return false;
    });
    return found;
  }

  #indexUsage(): Map<string, number> {
    const byUrr = new Map<string, number>();
    const enter = (number: number, bytes: Uint8Array, length: number) => {
      if (this.#flags.get(number) !== USAGE || !this.#record.read(bytes, length)) return;
      byUrr.set(urrKey(this.#record.event(), 0), number);
    };
    this.store.reports.scan(this.#oldest - 1, (number, bytes, length) => {
      enter(number, bytes, length);
      return true;
    });
    for (const [number, bytes] of this.#writer.fresh) enter(number, bytes, bytes.length);
    return byUrr;
  }

  #forgetAnswered(): void {
    for (const number of this.#answeredBefore) this.forget(number);
    this.#answeredBefore = this.#answered;
    this.#answered = [];
    const more = this.#answeredBefore.length > 0;
    this.#answeredTimer = more
      ? setTimeout(() => this.#forgetAnswered(), ANSWERED_MS).unref()
      : undefined;
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      this.#writer.flush();
    });
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
