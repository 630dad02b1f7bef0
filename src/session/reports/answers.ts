/**
 * Usage that answers operations. It is in the store from before its session's removal until a
 * moment after the answer went out, so that a crash in between turns it into reports. What one
 * look at the packet path gave is one record, since nearly all of it goes as it came: at once.
 *
 * Owner: the control thread.
 */
import {
  appendReportRecord,
  type ReportSubject,
  reportRecordBytes,
  voidReportRecord,
} from './report-record.js';
import type { ReportWriter } from './report-writer.js';

/** An answer that went out is kept for one to two of these, in case it did not get far. */
const ANSWERED_MS = 100;
/** Answers in one record; a token is the record's number times this plus the place in it. */
const GROUP_MAX = 512;

interface Group {
  readonly number: number;
  readonly timeMs: number;
  bytes: Buffer;
  length: number;
  /** Where each answer begins. */
  readonly starts: number[];
  /** Answers of which nothing is known yet. */
  left: number;
}

export class Answers {
  readonly #groups = new Map<number, Group>();
  #open: Group | null = null;
  #settled: number[] = [];
  #settledBefore: number[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param publish  takes an answer that is to be a report, and has all of it written soon. */
  constructor(
    private readonly writer: ReportWriter,
    private readonly now: () => number,
    private readonly publish: (record: Uint8Array) => void,
  ) {}

  /** Returns a token for the answer. */
  add(events: Uint32Array, at: number, subject: ReportSubject): number {
    let group = this.#open;
    if (group === null || group.starts.length === GROUP_MAX) {
      this.seal();
      const number = this.writer.reserve();
      const bytes = Buffer.allocUnsafe(1024);
      group = { number, timeMs: this.now(), bytes, length: 0, starts: [], left: 0 };
      this.#open = group;
      this.#groups.set(number, group);
    }
    const length = reportRecordBytes(subject);
    if (group.length + length > group.bytes.length) {
      const grown = Buffer.allocUnsafe(group.bytes.length * 2 + length);
      group.bytes.copy(grown, 0, 0, group.length);
      group.bytes = grown;
    }
    const place = group.starts.push(group.length) - 1;
    group.left++;
    const { bytes, timeMs } = group;
    group.length = appendReportRecord(bytes, group.length, events, at, subject, timeMs);
    return group.number * GROUP_MAX + place;
  }
  /** What was added is one record, to be written with all else. */
  seal(): void {
    const group = this.#open;
    this.#open = null;
    if (group !== null) this.writer.replace(group.number, group.bytes.subarray(0, group.length));
  }

  /** The answer went out. */
  answered(token: number): void {
    this.#settle(this.#groups.get(Math.floor(token / GROUP_MAX))!);
  }
  /** There is no answer to take it. */
  unanswered(token: number): void {
    const group = this.#groups.get(Math.floor(token / GROUP_MAX))!;
    const place = token % GROUP_MAX;
    const end = group.starts[place + 1] ?? group.length;
    const record = group.bytes.subarray(group.starts[place], end);
    // In one transaction it is a report, and no answer any more.
    const rest = Buffer.from(group.bytes.subarray(0, group.length));
    voidReportRecord(rest, group.starts[place]!);
    group.bytes = rest;
    this.writer.replace(group.number, rest);
    this.#settle(group);
    this.publish(record);
  }

  isKept(number: number): boolean {
    return this.#groups.has(number);
  }
  /** Forgets every record whose answers went out. */
  close(): void {
    clearTimeout(this.#timer);
    this.#forget();
    this.#forget();
  }

  #settle(group: Group): void {
    group.left--;
    if (group.left > 0) return;
    this.#settled.push(group.number);
    this.#timer ??= setTimeout(() => this.#tick(), ANSWERED_MS).unref();
  }
  #tick(): void {
    this.#forget();
    this.writer.flush();
    const more = this.#settledBefore.length > 0;
    this.#timer = more ? setTimeout(() => this.#tick(), ANSWERED_MS).unref() : undefined;
  }
  #forget(): void {
    for (const number of this.#settledBefore) {
      this.#groups.delete(number);
      this.writer.remove(number);
    }
    this.#settledBefore = this.#settled;
    this.#settled = [];
  }
}
