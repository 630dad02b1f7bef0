/**
 * One client's operations and their results: parallel arrays, used again for the next batch.
 * What an operation means is admission.ts's business; this is where its outcome is kept until
 * the last one is known. Owner: the control thread.
 */
import type { SluiceError } from '../base/errors.js';
import { EVENT_WORDS } from '../datapath/datapath.js';
import type { OperationBatch, RecordPlace, RecordWords, UpdateOptions } from './engine.js';
import { markAsked, marksUsage } from './reports/asked-usage.js';
import { NameText, type TextWords, textWords } from './state/name-index.js';
import type { Slab } from './state/slab.js';

/** What a batch hands its operations to. */
export interface BatchHost {
  readonly slab: Slab;
  admitCreate(batch: Operations, position: number, record: RecordWords): void;
  admitUpdate(
    batch: Operations,
    position: number,
    record: RecordWords,
    options: UpdateOptions | undefined,
  ): void;
  /** @param name  null: by SEID; else good during the call only. */
  admitDelete(
    batch: Operations,
    position: number,
    name: TextWords | null,
    low: number,
    high: number,
  ): void;
  /** The last result is in: calls `done` from a later turn. */
  settle(batch: Operations): void;
}

/** Where usage is kept until its answer went out. */
export interface UsageLog {
  answered(number: number): void;
  unanswered(number: number): void;
}

const NO_WORDS = new Uint32Array(0);
const CAPACITY_MIN = 64;

export class Operations implements OperationBatch {
  owner = 0;
  count = 0;
  /** Tells when a version of a record may go: see state/versions.ts. */
  serial = 0;
  done: ((batch: OperationBatch) => void) | null = null;
  #waiting = 0;
  #submitted = false;
  #handles = new Uint32Array(CAPACITY_MIN);
  readonly #errors: (SluiceError | undefined)[] = [];
  /** Usage reports in the order of their arrival, chained per operation by 1 + number. */
  #usageWords = NO_WORDS;
  #usageNext: number[] = [];
  #usageFirst: number[] = [];
  #usageCount = 0;
  /** Of each usage report: its operation, and its number in the log. */
  #usagePosition: number[] = [];
  #usageNumber: number[] = [];
  /** By operation: its first usage report that the answer does not tell. */
  readonly #left = new Map<number, number>();
  /** By operation, where its usage is to say more than the packet path has it say. */
  readonly #marks = new Map<number, UpdateOptions>();
  readonly #name = new NameText();
  readonly #place: { words: Uint32Array; start: number } = { words: NO_WORDS, start: 0 };

  constructor(private readonly host: BatchHost) {}

  open(owner: number, serial: number, done: (batch: OperationBatch) => void): void {
    this.owner = owner;
    this.serial = serial;
    this.done = done;
    this.count = 0;
    this.#waiting = 0;
    this.#submitted = false;
    this.#usageCount = 0;
    this.#usageFirst.length = 0;
    this.#usageNext.length = 0;
    this.#errors.length = 0;
    if (this.#left.size > 0) this.#left.clear();
    if (this.#marks.size > 0) this.#marks.clear();
  }

  create(record: RecordWords): void {
    this.host.admitCreate(this, this.#next(), record);
  }
  update(record: RecordWords, options?: UpdateOptions): void {
    this.host.admitUpdate(this, this.#next(), record, options);
  }
  deleteByName(name: string): void {
    this.host.admitDelete(this, this.#next(), textWords(name), 0, 0);
  }
  deleteByNameAt(bytes: Uint8Array, start: number, length: number): void {
    this.#name.set(bytes, start, length);
    this.host.admitDelete(this, this.#next(), this.#name, 0, 0);
  }
  deleteBySeid(seidLow: number, seidHigh: number): void {
    this.host.admitDelete(this, this.#next(), null, seidLow, seidHigh);
  }
  refuse(error: SluiceError): void {
    this.fail(this.#next(), error);
  }
  submit(): void {
    if (this.#submitted) throw new Error('a batch is submitted once');
    this.#submitted = true;
    if (this.#waiting === 0) this.host.settle(this);
  }

  error(position: number): SluiceError | undefined {
    return this.#errors[position];
  }
  record(position: number): Uint32Array {
    const handle = position < this.count ? this.#handles[position]! : 0;
    return handle === 0 ? NO_WORDS : this.host.slab.view(handle);
  }
  recordAt(position: number): RecordPlace {
    const handle = position < this.count ? this.#handles[position]! : 0;
    this.#place.words = handle === 0 ? NO_WORDS : this.host.slab.words(handle);
    this.#place.start = handle === 0 ? 0 : this.host.slab.start(handle);
    return this.#place;
  }
  usage(position: number): Uint32Array {
    let next = this.#usageFirst[position] ?? 0;
    if (next === 0) return NO_WORDS;
    if (this.#usageNext[next - 1] === 0) {
      // One report, as mostly: in place, since results are read before the batch is used again.
      return this.#usageWords.subarray((next - 1) * EVENT_WORDS, next * EVENT_WORDS);
    }
    const entries: number[] = [];
    for (; next !== 0; next = this.#usageNext[next - 1]!) entries.push(next - 1);
    const words = new Uint32Array(entries.length * EVENT_WORDS);
    // The chain has the latest first.
    entries.reverse().forEach((entry, i) => {
      const at = entry * EVENT_WORDS;
      words.set(this.#usageWords.subarray(at, at + EVENT_WORDS), i * EVENT_WORDS);
    });
    return words;
  }

  leaveUsage(position: number, first: number): void {
    this.#left.set(position, first);
  }

  /** The operation is done; the record at `handle` shows its result. */
  complete(position: number, handle: number): void {
    this.#handles[position] = handle;
    this.#settleOne();
  }
  fail(position: number, error: SluiceError): void {
    this.#errors[position] = error;
    this.#settleOne();
  }

  /** The operation is under way with these options. */
  begin(position: number, options: UpdateOptions): void {
    if (marksUsage(options)) this.#marks.set(position, options);
  }

  /** Has a usage event of the operation say what its options do, before it is kept anywhere. */
  markUsage(position: number, events: Uint32Array, at: number): void {
    const options = this.#marks.size === 0 ? undefined : this.#marks.get(position);
    if (options !== undefined) markAsked(events, at, options);
  }

  /** Keeps a usage report, `number` in the log, of an operation that is not complete yet. */
  addUsage(position: number, events: Uint32Array, at: number, number: number): void {
    const entry = this.#usageCount++;
    this.#usagePosition[entry] = position;
    this.#usageNumber[entry] = number;
    if (this.#usageCount * EVENT_WORDS > this.#usageWords.length) {
      const grown = new Uint32Array(Math.max(4, this.#usageCount * 2) * EVENT_WORDS);
      grown.set(this.#usageWords);
      this.#usageWords = grown;
    }
    const to = entry * EVENT_WORDS;
    for (let i = 0; i < EVENT_WORDS; i++) this.#usageWords[to + i] = events[at + i]!;
    this.#usageNext[entry] = this.#usageFirst[position] ?? 0;
    this.#usageFirst[position] = entry + 1;
  }

  /** Tells the log which usage went out with its answer; the rest becomes reports. */
  settleUsage(log: UsageLog, handedOut: boolean): void {
    for (let entry = 0; entry < this.#usageCount; entry++) {
      const number = this.#usageNumber[entry]!;
      const position = this.#usagePosition[entry]!;
      const answered = handedOut && this.#errors[position] === undefined;
      if (answered && this.#tells(position)) log.answered(number);
      else log.unanswered(number);
    }
  }

  /** Whether the answer tells the next usage report of the operation. */
  #tells(position: number): boolean {
    const left = this.#left.get(position);
    if (left === undefined) return true;
    this.#left.set(position, left - 1);
    return left > 0;
  }

  #next(): number {
    if (this.#submitted) throw new Error('the batch is submitted already');
    const position = this.count++;
    if (position >= this.#handles.length) {
      const grown = new Uint32Array(this.#handles.length * 2);
      grown.set(this.#handles);
      this.#handles = grown;
    }
    this.#handles[position] = 0;
    this.#waiting++;
    return position;
  }

  #settleOne(): void {
    this.#waiting--;
    if (this.#waiting === 0 && this.#submitted) this.host.settle(this);
  }
}
