/**
 * A report as it lies in the store: who and when, then the event's words, then the texts. The
 * session's place stands beside the event's session index, which another number of slots per
 * bucket would change. Pure; byte order is the machine's.
 */
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
const AT_VERSION = 0;
const AT_PLACE = 4;
const AT_SEID = 8;
const AT_TIME = 16;
const AT_OWNER_BYTES = 24;
const AT_NAME_BYTES = 28;
const AT_EVENT = 32;
const AT_TEXTS = AT_EVENT + EVENT_WORDS * 4;

export function encodeReportRecord(
  events: Uint32Array,
  at: number,
  subject: ReportSubject,
  timeMs: number,
): Uint8Array {
  const owner = Buffer.from(subject.owner);
  const name = Buffer.from(subject.name);
  const bytes = new Uint8Array(AT_TEXTS + owner.length + name.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(AT_VERSION, VERSION, true);
  view.setUint32(AT_PLACE, subject.place, true);
  view.setBigUint64(AT_SEID, subject.seid, true);
  view.setFloat64(AT_TIME, timeMs, true);
  view.setUint32(AT_OWNER_BYTES, owner.length, true);
  view.setUint32(AT_NAME_BYTES, name.length, true);
  new Uint32Array(bytes.buffer, AT_EVENT, EVENT_WORDS).set(events.subarray(at, at + EVENT_WORDS));
  bytes.set(owner, AT_TEXTS);
  bytes.set(name, AT_TEXTS + owner.length);
  return bytes;
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
