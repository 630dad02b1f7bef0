/**
 * A report as it lies in the store: who and when, then the event's words, then the texts. The
 * session's place stands beside the event's session index, which another number of slots per
 * bucket would change. Pure; byte order is the machine's.
 */
import { EVENT_WORDS, EventKind, EventWord } from '../../datapath/datapath.js';
import { byteAt, refAt, refLength } from '../../model/record.js';
import {
  HEADER_NAME,
  HEADER_PLACE,
  HEADER_SEID_HIGH,
  HEADER_SEID_LOW,
} from '../../model/record-layout.js';
import type { RecordAt } from '../allocators/ue-addresses.js';
import type { Report } from '../engine.js';
import type { TextWords } from '../state/name-index.js';

/** Who a report is about, kept with it: the session may be gone when it is read. */
export interface ReportSubject {
  readonly owner: TextWords;
  /** The session's record, which says its name, SEID and place. */
  readonly record: RecordAt;
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

/** Bytes of the record of a report about it. */
export function reportRecordBytes({ owner, record }: ReportSubject): number {
  const name = record.words[record.start + HEADER_NAME]!;
  return AT_TEXTS + refLength(owner.ref) + refLength(name);
}

/** A record on its own. */
export function encodeReportRecord(
  events: Uint32Array,
  at: number,
  subject: ReportSubject,
  timeMs: number,
): Uint8Array {
  const bytes = Buffer.allocUnsafe(reportRecordBytes(subject));
  appendReportRecord(bytes, 0, events, at, subject, timeMs);
  return bytes;
}

/**
 * Writes a record from `start` on, where there is room for it; returns its end. Byte by byte:
 * for so few of them a call costs more than they do, and a view more still.
 */
export function appendReportRecord(
  bytes: Buffer,
  start: number,
  events: Uint32Array,
  at: number,
  { owner, record }: ReportSubject,
  timeMs: number,
): number {
  const { words, start: base } = record;
  const name = words[base + HEADER_NAME]!;
  putWord(bytes, start + AT_VERSION, VERSION);
  putWord(bytes, start + AT_PLACE, words[base + HEADER_PLACE]!);
  putWord(bytes, start + AT_SEID, words[base + HEADER_SEID_LOW]!);
  putWord(bytes, start + AT_SEID + 4, words[base + HEADER_SEID_HIGH]!);
  bytes.writeDoubleLE(timeMs, start + AT_TIME);
  putWord(bytes, start + AT_OWNER_BYTES, refLength(owner.ref));
  putWord(bytes, start + AT_NAME_BYTES, refLength(name));
  putEvent(bytes, start, events, at);
  const texts = putText(bytes, start + AT_TEXTS, owner.words, 0, owner.ref);
  return putText(bytes, texts, words, base, name);
}

function putWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word;
  bytes[at + 1] = word >>> 8;
  bytes[at + 2] = word >>> 16;
  bytes[at + 3] = word >>> 24;
}
function putEvent(bytes: Uint8Array, start: number, events: Uint32Array, at: number): void {
  const to = start + AT_EVENT;
  for (let word = 0; word < EVENT_WORDS; word++) putWord(bytes, to + word * 4, events[at + word]!);
}
/** Returns the text's end. */
function putText(
  bytes: Uint8Array,
  to: number,
  words: Uint32Array,
  base: number,
  ref: number,
): number {
  const from = refAt(base, ref);
  const length = refLength(ref);
  for (let i = 0; i < length; i++) bytes[to + i] = byteAt(words, from, i);
  return to + length;
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
  /** The record of another event of the same session. */
  withEvent(words: Uint32Array, timeMs: number): Uint8Array {
    const bytes = Buffer.from(this.#bytes);
    bytes.writeDoubleLE(timeMs, AT_TIME);
    putEvent(bytes, 0, words, 0);
    return bytes;
  }
  /** A copy for a watcher. */
  report(cursor: string): Report {
    const { owner, name } = this;
    const seid = this.#bytes.readBigUInt64LE(AT_SEID);
    const timeMs = this.#bytes.readDoubleLE(AT_TIME);
    return { cursor, sessionName: name, owner, seid, timeMs, event: this.event() };
  }
}
