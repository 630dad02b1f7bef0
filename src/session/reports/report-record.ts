/**
 * A report as it lies in the store: who and when, then the event's words, then the texts. The
 * session's place stands beside the event's session index, which another number of slots per
 * bucket would change. Pure; byte order is the machine's.
 */
import { highWord, lowWord } from '../../base/units.js';
import { EVENT_WORDS, EventKind, EventWord } from '../../datapath/datapath.js';
import type { Report } from '../engine.js';

/** Who a report is about, kept with it: the session may be gone when it is read. */
export interface ReportSubject {
  readonly owner: string;
  readonly name: string;
  readonly seid: bigint;
  /** bucket << 16 | slot */
  readonly place: number;
}

const VERSION = 1;
const VOID = 0;
const AT_VERSION = 0;
const AT_PLACE = 4;
const AT_SEID = 8;
const AT_TIME = 16;
const AT_OWNER_BYTES = 24;
const AT_NAME_BYTES = 28;
const AT_EVENT = 32;
const AT_TEXTS = AT_EVENT + EVENT_WORDS * 4;

const scratch = new Uint32Array(EVENT_WORDS);
const scratchBytes = new Uint8Array(scratch.buffer);

/** Bytes of a record without its texts. */
export const REPORT_RECORD_BYTES = AT_TEXTS;

/** A record on its own. */
export function encodeReportRecord(
  events: Uint32Array,
  at: number,
  subject: ReportSubject,
  timeMs: number,
): Uint8Array {
  const texts = Buffer.byteLength(subject.owner) + Buffer.byteLength(subject.name);
  const bytes = Buffer.allocUnsafe(AT_TEXTS + texts);
  appendReportRecord(bytes, 0, events, at, subject, timeMs);
  return bytes;
}

/** Writes a record from `start` on, where there is room for it; returns its end. */
export function appendReportRecord(
  bytes: Buffer,
  start: number,
  events: Uint32Array,
  at: number,
  subject: ReportSubject,
  timeMs: number,
): number {
  const texts = start + AT_TEXTS;
  const owner = bytes.write(subject.owner, texts);
  const name = bytes.write(subject.name, texts + owner);
  bytes.writeUInt32LE(VERSION, start + AT_VERSION);
  bytes.writeUInt32LE(subject.place, start + AT_PLACE);
  bytes.writeUInt32LE(lowWord(subject.seid), start + AT_SEID);
  bytes.writeUInt32LE(highWord(subject.seid), start + AT_SEID + 4);
  bytes.writeDoubleLE(timeMs, start + AT_TIME);
  bytes.writeUInt32LE(owner, start + AT_OWNER_BYTES);
  bytes.writeUInt32LE(name, start + AT_NAME_BYTES);
  scratch.set(events.subarray(at, at + EVENT_WORDS));
  bytes.set(scratchBytes, start + AT_EVENT);
  return texts + owner + name;
}

/** Makes the record that begins at `start` one that is passed over. */
export function voidReportRecord(bytes: Buffer, start: number): void {
  bytes.writeUInt32LE(VOID, start + AT_VERSION);
}

/** Copies of the records that follow each other in `bytes`; undefined: there are none such. */
export function splitReportRecords(bytes: Uint8Array, length: number): Uint8Array[] | undefined {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, length);
  const records: Uint8Array[] = [];
  for (let start = 0; start < length; ) {
    if (start + AT_TEXTS > length) return undefined;
    const version = all.readUInt32LE(start + AT_VERSION);
    const owner = all.readUInt32LE(start + AT_OWNER_BYTES);
    const end = start + AT_TEXTS + owner + all.readUInt32LE(start + AT_NAME_BYTES);
    if ((version !== VERSION && version !== VOID) || end > length) return undefined;
    if (version === VERSION) records.push(Buffer.from(all.subarray(start, end)));
    start = end;
  }
  return records;
}

/** Reads one record after the other without an object for each; set by {@link read}. */
export class ReportRecord {
  #bytes: Buffer = Buffer.alloc(0);

  /** False: the record is none that this version can read. */
  read(bytes: Uint8Array, length: number): boolean {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, length);
    if (length < AT_TEXTS || this.#bytes.readUInt32LE(AT_VERSION) !== VERSION) return false;
    return length === AT_TEXTS + this.#ownerBytes + this.#nameBytes;
  }

  get #ownerBytes(): number {
    return this.#bytes.readUInt32LE(AT_OWNER_BYTES);
  }
  get #nameBytes(): number {
    return this.#bytes.readUInt32LE(AT_NAME_BYTES);
  }
  get owner(): string {
    return this.#bytes.toString('utf8', AT_TEXTS, AT_TEXTS + this.#ownerBytes);
  }
  get name(): string {
    return this.#bytes.toString('utf8', AT_TEXTS + this.#ownerBytes);
  }
  get place(): number {
    return this.#bytes.readUInt32LE(AT_PLACE);
  }
  get subject(): ReportSubject {
    const { owner, name, place } = this;
    return { owner, name, place, seid: this.#bytes.readBigUInt64LE(AT_SEID) };
  }
  get isUsage(): boolean {
    return this.word(EventWord.Kind) === EventKind.Usage;
  }
  word(word: EventWord): number {
    return this.#bytes.readUInt32LE(AT_EVENT + word * 4);
  }
  /** A copy of the event's words. */
  event(): Uint32Array {
    const words = new Uint32Array(EVENT_WORDS);
    new Uint8Array(words.buffer).set(this.#bytes.subarray(AT_EVENT, AT_TEXTS));
    return words;
  }
  /** A copy for a watcher. */
  report(cursor: string): Report {
    const { owner, name, seid } = this.subject;
    const timeMs = this.#bytes.readDoubleLE(AT_TIME);
    return { cursor, sessionName: name, owner, seid, timeMs, event: this.event() };
  }
}
