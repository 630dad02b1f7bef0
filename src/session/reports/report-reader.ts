/** One watcher's way through the log: what it has read, and what it acknowledges. */
import type { Report, ReportReader } from '../engine.js';
import type { ReportLog } from './report-log.js';
import type { ReportRecord } from './report-record.js';

/** Reports of others that one read passes by at most: it goes on in a later turn. */
const LOOKS_MAX = 4096;

export class Reader implements ReportReader {
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
    let looks = 0;
    this.#position = this.log.scan(this.#position, (number, record) => {
      if (!this.#sees(record)) return ++looks < LOOKS_MAX;
      reports.push(record.report(this.log.cursor(number)));
      this.log.delivered(number);
      return reports.length < max;
    });
    return reports;
  }

  acknowledge(cursor: string): void {
    const last = this.log.parse(cursor);
    if (last <= this.#acknowledged) return;
    const done: number[] = [];
    this.log.scan(this.#acknowledged, (number, record) => {
      if (number > last) return false;
      if (this.#sees(record)) done.push(number);
      return true;
    });
    for (const number of done) this.log.forget(number);
    this.#acknowledged = last;
  }

  forget(cursor: string): void {
    const number = this.log.parse(cursor);
    if (number > 0) this.log.forget(number);
  }

  onReadable(listener: () => void): void {
    this.#listener = listener;
    if (this.#position < this.log.visible) setImmediate(() => this.wake());
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

  #sees(record: ReportRecord): boolean {
    if (this.owner !== '' && record.owner !== this.owner) return false;
    return this.names.size === 0 || this.names.has(record.name);
  }
}
