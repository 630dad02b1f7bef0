/**
 * Reports from the packet path, numbered and kept in the store until their owner acknowledges
 * them; in memory there are a few bytes for each. The log has a bound; behind it usage is not
 * lost but merged: one report per URR sums what several would have said. Reports that were
 * sent to a watcher once but never acknowledged, and those that carry no usage, make room
 * first, and are counted.
 *
 * Owner: the control thread. Start at {@link ReportLog.add}.
 */

import type { Log } from '../../base/log.js';
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
import { Answers } from './answers.js';
import { Reader } from './report-reader.js';
import {
  encodeReportRecord,
  ReportRecord,
  type ReportSubject,
  splitReportRecords,
} from './report-record.js';
import { ReportWriter, type ReportWriterHost } from './report-writer.js';
import { mergeUsage, urrKey } from './usage-merge.js';

const USAGE = 1;
const DELIVERED = 2;
/** Of an earlier run: whether somebody has read it is not known. */
const EARLIER = 4;

export class ReportLog implements ReportWriterHost {
  stale = 0;
  merged = 0;
  dropped = 0;
  /** Commits of reports that failed and were tried again. */
  writeFailures = 0;
  #failing = false;
  readonly #record = new ReportRecord();
  readonly #writer: ReportWriter;
  /** Usage that answers operations: for their clients, not for watchers. */
  readonly answers: Answers;
  /** What is known of each report that is kept, by number, in ascending order. */
  readonly #flags = new Map<number, number>();
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

  constructor(
    private readonly store: Store,
    private readonly datapath: Pick<Datapath, 'events' | 'release' | 'alreadyWritten'>,
    private readonly max: number,
    private readonly now: () => number,
    private readonly log: Pick<Log, 'info' | 'error'> | undefined = undefined,
  ) {
    this.#writer = new ReportWriter(store, this, () => randomWord().toString(16));
    this.answers = new Answers(this.#writer, now, (record) => {
      this.#keep(record, USAGE);
      this.#scheduleFlush();
    });
    this.#visible = this.#writer.next - 1;
    this.#oldest = this.#writer.next;
  }

  /** Nothing is lost while it fails: events wait in the packet path, and usage in its URRs. */
  writing(error: unknown): void {
    const failing = error !== undefined;
    if (failing) this.writeFailures++;
    if (failing === this.#failing) return;
    this.#failing = failing;
    const tried = 'reports cannot be written; it is tried again each second';
    if (failing) this.log?.error({ err: error }, tried);
    else this.log?.info('reports are written again');
  }

  /** Reports that watchers can have. */
  get size(): number {
    return this.#flags.size;
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
    let count = 0;
    const tell = (record: ReportRecord) => {
      if (record.word(EventWord.Run) !== 0) this.#enterEvent(record, count++, slotsPerBucket);
      if (count === EVENTS_MAX) this.datapath.alreadyWritten(count);
      count %= EVENTS_MAX;
    };
    const answers: Uint8Array[] = [];
    this.store.reports.scan(-1, (number, bytes, length) => {
      if (this.#record.read(bytes, length)) {
        if (this.#flags.size === 0) this.#oldest = number;
        this.#flags.set(number, EARLIER | (this.#record.isUsage ? USAGE : 0));
        tell(this.#record);
        return true;
      }
      const records = splitReportRecords(bytes, length);
      // A version that can't be read stays where it is, for the program that wrote it.
      if (records === undefined) return true;
      answers.push(...records);
      this.#writer.remove(number);
      return true;
    });
    // Answers that nobody got are reports now.
    for (const record of answers) {
      this.#keep(record, USAGE);
      if (this.#record.read(record, record.length)) tell(this.#record);
    }
    this.datapath.alreadyWritten(count);
    this.#writer.flush();
  }
  /** From now on the log's bound holds: while restoring, no report takes another's place. */
  endRestore(): void {
    this.#restoring = false;
  }

  /** Takes in one event: EVENT_WORDS words of `events` from `at` on. */
  add(events: Uint32Array, at: number, subject: ReportSubject): void {
    if (this.size >= this.max && !this.#restoring && !this.#makeRoom(events, at)) return;
    const usage = events[at + EventWord.Kind] === EventKind.Usage;
    const record = encodeReportRecord(events, at, subject, this.now());
    const number = this.#keep(record, usage ? USAGE : 0);
    if (this.#byUrr !== null && usage) {
      this.#byUrr.set(urrKey(events, at), number);
    }
  }
  /** The same for an event that an operation has asked for; returns its token in `answers`. */
  addAnswer(events: Uint32Array, at: number, subject: ReportSubject): number {
    return this.answers.add(events, at, subject);
  }

  /** Writes what was taken in. @param polled  events of the packet path that were looked at. */
  flush(polled: number): void {
    this.answers.seal();
    this.#writer.flush(polled);
  }
  whenWritten(): Promise<void> {
    return this.#writer.whenWritten();
  }
  /** Writes what waits, and forgets every answer that went out. */
  close(): Promise<void> {
    this.answers.close();
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
      if (!this.#flags.has(number)) return true;
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
    if (!this.#flags.delete(number)) return;
    this.#writer.remove(number);
    if (this.size < this.max) this.#byUrr = null;
    this.#scheduleFlush();
  }

  written(last: number): void {
    this.#visible = last;
    this.#wakeReaders();
  }
  isKept(number: number): boolean {
    return this.#flags.has(number) || this.answers.isKept(number);
  }
  release(count: number): void {
    this.datapath.release(count);
  }

  /** Gives a record a number, and keeps it. */
  #keep(record: Uint8Array, flags: number): number {
    const number = this.#writer.append(record);
    if (this.#flags.size === 0) this.#oldest = number;
    this.#flags.set(number, flags);
    return number;
  }

  /** Puts an event of an earlier run where the packet path looks for it. */
  #enterEvent(record: ReportRecord, place: number, slotsPerBucket: number): void {
    const { events } = this.datapath;
    const at = place * EVENT_WORDS;
    events.set(record.event(), at);
    events[at + EventWord.SessionIndex] =
      (record.place >>> 16) * slotsPerBucket + (record.place & 0xffff);
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
      if (flags !== undefined) break;
    }
    return this.#oldest;
  }

  #merge(events: Uint32Array, at: number): boolean {
    this.#byUrr ??= this.#indexUsage();
    const number = this.#byUrr.get(urrKey(events, at)) ?? 0;
    const mergeable = (this.#flags.get(number) ?? 0) & (USAGE | DELIVERED | EARLIER);
    if (mergeable !== USAGE || !this.#look(number)) return false;
    const words = this.#record.event();
    mergeUsage(words, events, at);
    this.#writer.replace(number, this.#record.withEvent(words, this.now()));
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
