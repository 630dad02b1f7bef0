/**
 * Brings reports into the store, in groups: what one look at the packet path gave is one
 * commit. Only then are they offered to anybody, and only then does the packet path forget
 * them. A commit that fails is tried again, and meanwhile the packet path keeps its events:
 * nothing is lost, its ring fills, and usage stays in the URRs.
 *
 * Owner: the control thread.
 */
import type { Store } from '../../store/store.js';

/** Until a failed commit is tried again. */
const RETRY_MS = 1_000;
/** Numbers that one write of the store's value makes room for. */
const NUMBERS_AHEAD = 65_536;
const META = 'reports';
const META_BYTES = 16;

interface Group {
  readonly numbers: number[];
  readonly records: Uint8Array[];
  readonly removals: readonly number[];
  /** Events of the packet path that are in it, or done with. */
  readonly polled: number;
  /** The last number that was given when it was made. */
  readonly last: number;
  written: boolean;
}

export interface ReportWriterHost {
  /** Every report up to this number is in the store, or was forgotten. */
  written(last: number): void;
  /** Whether the report is still wanted: else a second try leaves it out. */
  isKept(number: number): boolean;
  /** The next `count` events of the packet path need not be kept there any more. */
  release(count: number): void;
  /** A commit failed and is tried again. undefined: all is written again. */
  writing(error: unknown): void;
}

export class ReportWriter {
  /** Records that are not in the store, or not as they are there. */
  readonly fresh = new Map<number, Uint8Array>();
  /** Tells this store's cursors from those of another, for good. */
  readonly id: string;
  #next: number;
  #ceiling: number;
  #numbers: number[] = [];
  #records: Uint8Array[] = [];
  #removals: number[] = [];
  readonly #groups: Group[] = [];
  #retry: NodeJS.Timeout | undefined;
  #failing = false;
  #idleListeners: (() => void)[] = [];

  constructor(
    private readonly store: Store,
    private readonly host: ReportWriterHost,
    freshId: () => string,
  ) {
    const meta = store.getMeta(META);
    const known = meta?.length === META_BYTES;
    this.id = known ? Buffer.from(meta.subarray(0, 8)).toString('latin1').trimEnd() : freshId();
    // Numbers are never given twice, also not those of reports that are gone.
    this.#ceiling = known ? new DataView(meta.buffer, meta.byteOffset).getFloat64(8) : 1;
    this.#next = Math.max(this.#ceiling, store.reports.lastKey() + 1);
  }

  /** Number of the next report; they only grow. */
  get next(): number {
    return this.#next;
  }

  /** A number for a record that comes with the same flush. */
  reserve(): number {
    return this.#next++;
  }
  /** Gathers a new report; returns its number. */
  append(record: Uint8Array): number {
    const number = this.reserve();
    this.replace(number, record);
    return number;
  }
  replace(number: number, record: Uint8Array): void {
    this.#numbers.push(number);
    this.#records.push(record);
    this.fresh.set(number, record);
  }
  remove(number: number): void {
    this.#removals.push(number);
  }

  /** Writes what was gathered. @param polled  events of the packet path taken for it. */
  flush(polled = 0): void {
    const nothing = this.#numbers.length === 0 && this.#removals.length === 0;
    if (nothing && polled === 0) return;
    const group = {
      numbers: this.#numbers,
      records: this.#records,
      removals: this.#removals,
      polled,
      last: this.#next - 1,
      written: nothing,
    };
    this.#numbers = [];
    this.#records = [];
    this.#removals = [];
    this.#groups.push(group);
    if (nothing) this.#settle();
    else this.#write(group);
  }

  /** Resolves when all that was flushed is in the store. */
  whenWritten(): Promise<void> {
    if (this.#groups.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idleListeners.push(resolve);
    });
  }

  #write(group: Group): void {
    const { store } = this;
    if (this.#next > this.#ceiling) this.#raiseCeiling();
    group.numbers.forEach((number, i) => {
      const record = group.records[i]!;
      store.reports.put(number, record, 0, record.length);
    });
    for (const number of group.removals) store.reports.remove(number);
    store.commit().then(
      () => {
        group.written = true;
        this.#settle();
        if (this.#failing && this.#groups.every((one) => one.written)) {
          this.#failing = false;
          this.host.writing(undefined);
        }
      },
      (error: unknown) => {
        this.#failing = true;
        this.host.writing(error);
        // Its value may not be there either.
        this.#ceiling = Math.min(this.#ceiling, group.numbers[0] ?? this.#ceiling);
        this.#retry ??= setTimeout(() => this.#writeAgain(), RETRY_MS).unref();
      },
    );
  }

  #writeAgain(): void {
    this.#retry = undefined;
    for (const group of this.#groups) {
      if (group.written) continue;
      const kept = group.numbers.map((number) => this.host.isKept(number));
      group.records.splice(0, Infinity, ...group.records.filter((_, i) => kept[i]));
      group.numbers.splice(0, Infinity, ...group.numbers.filter((_, i) => kept[i]));
      this.#write(group);
    }
  }

  #raiseCeiling(): void {
    this.#ceiling = this.#next + NUMBERS_AHEAD;
    const value = Buffer.alloc(META_BYTES, ' ');
    value.write(this.id, 'latin1');
    value.writeDoubleBE(this.#ceiling, 8);
    this.store.putMeta(META, value);
  }

  /** Groups end in their order, so that the packet path is told of its events in theirs. */
  #settle(): void {
    while (this.#groups[0]?.written === true) {
      const group = this.#groups.shift()!;
      group.numbers.forEach((number, i) => {
        if (this.fresh.get(number) === group.records[i]) this.fresh.delete(number);
      });
      if (group.polled > 0) this.host.release(group.polled);
      this.host.written(group.last);
    }
    if (this.#groups.length > 0) return;
    for (const listener of this.#idleListeners.splice(0)) listener();
  }
}
