import { Refusal } from '../../base/errors.js';
import { joinWords } from '../../base/units.js';
import { ProtobufReader } from '../../model/protobuf.js';
import { RecordBuffer } from '../../model/record.js';
import { HEADER_SEID_HIGH, HEADER_SEID_LOW } from '../../model/record-layout.js';
import { type ModelLimits, SessionDecoder } from '../../model/session-decode.js';
import { RecordValidator } from '../../model/validate.js';
import type { UpdateOptions } from '../../session/engine.js';

/** URRs that one update may ask for. */
const QUERY_URRS_MAX = 255;
/** Sessions that one watcher may name. */
const NAMES_MAX = 10_000;
const TEXT_BYTES_MAX = 1024;
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const NO_OPTIONS: Required<UpdateOptions> = {
  expectedRevision: 0n,
  sendEndMarkers: false,
  dropBuffered: false,
  queryUrrIds: [],
};

/** Tags of the requests: number << 3 | wire type. */
const enum Tag {
  OneNumber = 8,
  One = 10,
  TwoNumber = 16,
  Two = 18,
  ThreeNumber = 24,
  Three = 26,
  FourNumber = 32,
  FiveNumber = 40,
  Five = 42,
}

/**
 * Requests of SessionService, from bytes into one reused record and the fields below. Each
 * call starts anew; false means that `refusal` says why. Nothing is kept of the bytes.
 */
export class RequestDecoder {
  readonly refusal = new Refusal();
  readonly record = new RecordBuffer();
  name = '';
  seid = 0n;
  updateOptions: UpdateOptions = NO_OPTIONS;
  pageSize = 0;
  pageToken = '';
  owner = '';
  cursor = '';
  acknowledge = '';
  names: string[] = [];
  readonly #reader = new ProtobufReader();
  readonly #session: SessionDecoder;
  readonly #validator: RecordValidator;
  /** Where the Session message of a request lies. */
  #from = 0;
  #to = 0;

  constructor(limits: ModelLimits) {
    this.#session = new SessionDecoder(this.record, this.refusal, limits);
    this.#validator = new RecordValidator(this.refusal);
  }

  /** CreateSessionRequest bytes[start…end) into `record`. */
  create(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    const reader = this.#begin(bytes, start, end);
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === Tag.One) this.#noteSession();
      else reader.skip(tag);
    }
    return this.#complete() && this.#decodeSession(bytes, false);
  }

  /** UpdateSessionRequest into `record` and the fields of an update. */
  update(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    const reader = this.#begin(bytes, start, end);
    const options: Mutable<Required<UpdateOptions>> = { ...NO_OPTIONS };
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === Tag.One) this.#noteSession();
      else if (tag === Tag.TwoNumber) options.expectedRevision = this.#wide();
      else if (tag === Tag.ThreeNumber) options.sendEndMarkers = reader.bool();
      else if (tag === Tag.FourNumber) options.dropBuffered = reader.bool();
      else if (tag === Tag.FiveNumber || tag === Tag.Five) {
        options.queryUrrIds = this.#queries(tag, options.queryUrrIds);
      } else reader.skip(tag);
    }
    this.updateOptions = options;
    return this.#complete() && this.#decodeSession(bytes, true);
  }

  /** GetSessionRequest or DeleteSessionRequest into `name` and `seid`; one of them is there. */
  key(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    const reader = this.#begin(bytes, start, end);
    this.name = '';
    this.seid = 0n;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === Tag.One) this.name = this.#text('name');
      else if (tag === Tag.TwoNumber) this.seid = this.#wide();
      else reader.skip(tag);
    }
    if (!this.#complete()) return false;
    if (this.name !== '' || this.seid !== 0n) return true;
    return this.refusal.set('invalid_argument', 'name', 'must be given, or seid');
  }

  /** ListSessionsRequest into `pageSize`, `pageToken` and `owner`. */
  list(bytes: Uint8Array): boolean {
    const reader = this.#begin(bytes, 0, bytes.length);
    this.pageSize = 0;
    this.pageToken = '';
    this.owner = '';
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === Tag.OneNumber) this.pageSize = reader.varint() >>> 0;
      else if (tag === Tag.Two) this.pageToken = this.#text('page_token');
      else if (tag === Tag.Three) this.owner = this.#text('owner');
      else reader.skip(tag);
    }
    return this.#complete();
  }

  /** WatchReportsRequest into `cursor`, `acknowledge` and `names`. */
  watch(bytes: Uint8Array): boolean {
    const reader = this.#begin(bytes, 0, bytes.length);
    this.cursor = '';
    this.acknowledge = '';
    this.names = [];
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === Tag.One) this.cursor = this.#text('cursor');
      else if (tag === Tag.Two) this.acknowledge = this.#text('acknowledge');
      else if (tag !== Tag.Three) reader.skip(tag);
      else if (this.names.length < NAMES_MAX) this.names.push(this.#text('names'));
      else return this.refusal.set('invalid_argument', 'names', `must be at most ${NAMES_MAX}`);
    }
    return this.#complete();
  }

  #begin(bytes: Uint8Array, start: number, end: number): ProtobufReader {
    this.refusal.clear();
    this.#reader.reset(bytes, start, end);
    this.#from = end;
    this.#to = end;
    return this.#reader;
  }

  #complete(): boolean {
    if (this.refusal.refused) return false;
    if (!this.#reader.failed) return true;
    return this.refusal.set('invalid_argument', '', 'the request is no valid protobuf message');
  }

  #noteSession(): void {
    const reader = this.#reader;
    const length = reader.length();
    this.#from = reader.position;
    this.#to = reader.position + length;
    reader.position = this.#to;
  }

  #wide(): bigint {
    const reader = this.#reader;
    reader.varint();
    return joinWords(reader.low, reader.high);
  }

  #text(field: string): string {
    const reader = this.#reader;
    const length = reader.length();
    if (length > TEXT_BYTES_MAX) {
      this.refusal.set('invalid_argument', field, `must be at most ${TEXT_BYTES_MAX} bytes`);
      reader.fail();
      return '';
    }
    if (reader.failed) return '';
    const start = reader.position;
    reader.position = start + length;
    const { buffer, byteOffset } = reader.bytes;
    return Buffer.from(buffer, byteOffset + start, length).toString('utf8');
  }

  #queries(tag: number, before: readonly number[]): readonly number[] {
    const reader = this.#reader;
    const ids = [...before];
    if (tag === Tag.FiveNumber) ids.push(reader.varint() >>> 0);
    else {
      const outer = reader.open();
      while (reader.position < reader.end && ids.length <= QUERY_URRS_MAX) {
        ids.push(reader.varint() >>> 0);
      }
      reader.close(outer);
    }
    if (ids.length <= QUERY_URRS_MAX) return ids;
    this.refusal.set('invalid_argument', 'query_urr_ids', `must be at most ${QUERY_URRS_MAX}`);
    reader.fail();
    return before;
  }

  #decodeSession(bytes: Uint8Array, update: boolean): boolean {
    const { record } = this;
    const session = this.#session;
    if (!session.decode(bytes, this.#from, this.#to)) return false;
    let nameOptional = false;
    if (update) {
      record.words[HEADER_SEID_LOW] = session.seidLow;
      record.words[HEADER_SEID_HIGH] = session.seidHigh;
      nameOptional = (session.seidLow | session.seidHigh) !== 0;
    }
    if (record.finish()) return this.#validator.validate(record.words, 0, nameOptional);
    return this.refusal.set('resource_exhausted', 'session', 'is larger than a session may be');
  }
}
