/**
 * The requests of the session service, decoded in place: a Session becomes a checked record,
 * a key or token stays where it is, named by its start and length. A batch is walked once
 * and its operations are then decoded one by one, so that one that is bad stops no other.
 * Pure; any thread, one decoder each.
 */
import type { Refusal } from '../base/errors.js';
import { ProtobufReader } from './protobuf.js';
import type { RecordBuffer } from './record.js';
import * as layout from './record-layout.js';
import { MODEL_LIMITS, type ModelLimits, SessionDecoder } from './session-decode.js';
import { RecordValidator } from './validate.js';

/** URRs that one UpdateSession may ask for. */
export const QUERY_URRS_MAX = 255;
/** Operations that one SessionBatch may hold. */
export const BATCH_OPERATIONS_MAX = 1024;

const EMPTY = new Uint8Array(0);

/** A message inside a request must not come twice: protobuf would merge the two. */
const TWICE = 'must be given once';

export class RequestDecoder {
  /** Bytes of the last request; texts below are positions in it. */
  bytes: Uint8Array = EMPTY;
  /** Get, Delete */
  nameStart = 0;
  nameLength = 0;
  /** Update, Get, Delete */
  seidLow = 0;
  seidHigh = 0;
  /** Update */
  expectedRevisionLow = 0;
  expectedRevisionHigh = 0;
  sendEndMarkers = false;
  dropBuffered = false;
  readonly queryUrrIds = new Uint32Array(QUERY_URRS_MAX + 1);
  queryUrrCount = 0;
  /** List */
  pageSize = 0;
  pageTokenStart = 0;
  pageTokenLength = 0;
  ownerStart = 0;
  ownerLength = 0;

  private readonly reader = new ProtobufReader();
  private readonly sessions: SessionDecoder;
  private readonly validator: RecordValidator;
  private sessionStart = 0;
  private sessionEnd = 0;

  constructor(
    readonly record: RecordBuffer,
    readonly refusal: Refusal,
    limits: ModelLimits = MODEL_LIMITS,
  ) {
    this.sessions = new SessionDecoder(record, refusal, limits);
    this.validator = new RecordValidator(refusal);
  }

  /** CreateSessionRequest into `record`; false: see `refusal`. */
  create(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    const reader = this.begin(bytes, start, end);
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) this.noteSession();
      else reader.skip(tag);
    }
    return this.finish() && this.session(false);
  }

  /** UpdateSessionRequest: the rules into `record`, whose header has the name or the SEID. */
  update(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    const reader = this.begin(bytes, start, end);
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      switch (tag) {
        case 10:
          this.noteSession();
          break;
        case 16:
          reader.varint();
          this.expectedRevisionLow = reader.low;
          this.expectedRevisionHigh = reader.high;
          break;
        case 24:
          this.sendEndMarkers = reader.bool();
          break;
        case 32:
          this.dropBuffered = reader.bool();
          break;
        case 40:
          this.noteQuery();
          break;
        case 42: {
          const outer = reader.open();
          while (reader.position < reader.end) this.noteQuery();
          reader.close(outer);
          break;
        }
        default:
          reader.skip(tag);
      }
    }
    return this.finish() && this.session(true) && this.checkUpdate();
  }

  /** GetSessionRequest and DeleteSessionRequest. */
  key(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    const reader = this.begin(bytes, start, end);
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) {
        this.nameLength = reader.length();
        this.nameStart = reader.position;
        reader.position += this.nameLength;
      } else if (tag === 16) {
        reader.varint();
        this.seidLow = reader.low;
        this.seidHigh = reader.high;
      } else reader.skip(tag);
    }
    if (!this.finish()) return false;
    if (this.nameLength > 0 || (this.seidLow | this.seidHigh) !== 0) return true;
    return this.refusal.set('invalid_argument', 'name', 'must be given, or the seid');
  }

  /** ListSessionsRequest. */
  list(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    const reader = this.begin(bytes, start, end);
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 8) this.pageSize = reader.varint() >>> 0;
      else if (tag === 18) {
        this.pageTokenLength = reader.length();
        this.pageTokenStart = reader.position;
        reader.position += this.pageTokenLength;
      } else if (tag === 26) {
        this.ownerLength = reader.length();
        this.ownerStart = reader.position;
        reader.position += this.ownerLength;
      } else reader.skip(tag);
    }
    return this.finish();
  }

  private begin(bytes: Uint8Array, start: number, end: number): ProtobufReader {
    this.bytes = bytes;
    this.refusal.clear();
    this.nameLength = 0;
    this.seidLow = 0;
    this.seidHigh = 0;
    this.expectedRevisionLow = 0;
    this.expectedRevisionHigh = 0;
    this.sendEndMarkers = false;
    this.dropBuffered = false;
    this.queryUrrCount = 0;
    this.pageSize = 0;
    this.pageTokenLength = 0;
    this.ownerLength = 0;
    this.sessionStart = -1;
    this.reader.reset(bytes, start, end);
    return this.reader;
  }

  private finish(): boolean {
    if (this.refusal.refused) return false;
    if (!this.reader.failed) return true;
    return this.refusal.set('invalid_argument', '', 'the request is not a valid protobuf message');
  }

  private noteSession(): void {
    const reader = this.reader;
    const length = reader.length();
    if (this.sessionStart >= 0) {
      this.refusal.set('invalid_argument', 'session', TWICE);
      reader.fail();
      return;
    }
    this.sessionStart = reader.position;
    this.sessionEnd = reader.position + length;
    reader.position += length;
  }

  private noteQuery(): void {
    const id = this.reader.varint();
    if (this.reader.failed) return;
    this.queryUrrIds[this.queryUrrCount++] = id;
    if (this.queryUrrCount <= QUERY_URRS_MAX) return;
    const message = `must be at most ${QUERY_URRS_MAX}`;
    this.refusal.set('resource_exhausted', 'query_urr_ids', message);
    this.reader.fail();
  }

  private session(update: boolean): boolean {
    if (this.sessionStart < 0) {
      return this.refusal.set('invalid_argument', 'session', 'must be given');
    }
    if (!this.sessions.decode(this.bytes, this.sessionStart, this.sessionEnd)) return false;
    const named = update && (this.sessions.seidLow | this.sessions.seidHigh) !== 0;
    return this.validator.validate(this.record.words, 0, named);
  }

  /** The SEID is an input here: it may name the session. */
  private checkUpdate(): boolean {
    const words = this.record.words;
    this.seidLow = this.sessions.seidLow;
    this.seidHigh = this.sessions.seidHigh;
    words[layout.HEADER_SEID_LOW] = this.seidLow;
    words[layout.HEADER_SEID_HIGH] = this.seidHigh;
    return true;
  }
}

export const OPERATION_NONE = 0;
export const OPERATION_CREATE = 1;
export const OPERATION_UPDATE = 2;
export const OPERATION_DELETE = 3;

/** Walks a SessionBatch; each operation's request lies at bytes[start…end). */
export class BatchReader {
  batchIdLow = 0;
  batchIdHigh = 0;
  brief = false;
  count = 0;
  bytes: Uint8Array = EMPTY;
  /** OPERATION_… of each operation; OPERATION_NONE: none of the oneof, or malformed. */
  readonly kinds = new Uint8Array(BATCH_OPERATIONS_MAX);
  readonly starts = new Uint32Array(BATCH_OPERATIONS_MAX);
  readonly ends = new Uint32Array(BATCH_OPERATIONS_MAX);
  private readonly reader = new ProtobufReader();
  private readonly inner = new ProtobufReader();

  constructor(readonly refusal: Refusal) {}

  /** False: the batch as a whole can't be read; see `refusal`. */
  read(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    const reader = this.reader;
    this.bytes = bytes;
    this.refusal.clear();
    this.batchIdLow = 0;
    this.batchIdHigh = 0;
    this.brief = false;
    this.count = 0;
    reader.reset(bytes, start, end);
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 8) {
        reader.varint();
        this.batchIdLow = reader.low;
        this.batchIdHigh = reader.high;
      } else if (tag === 18) this.note();
      else if (tag === 24) this.brief = reader.bool();
      else reader.skip(tag);
    }
    if (this.refusal.refused) return false;
    if (!reader.failed) return true;
    return this.refusal.set('invalid_argument', '', 'the batch is not a valid protobuf message');
  }

  private note(): void {
    const reader = this.reader;
    const length = reader.length();
    const index = this.count;
    if (index >= BATCH_OPERATIONS_MAX) {
      const message = `must be at most ${BATCH_OPERATIONS_MAX}`;
      this.refusal.set('resource_exhausted', 'operations', message);
      reader.fail();
      return;
    }
    this.count = index + 1;
    this.noteOperation(index, reader.position, reader.position + length);
    reader.position += length;
  }

  private noteOperation(index: number, start: number, end: number): void {
    const inner = this.inner;
    this.kinds[index] = OPERATION_NONE;
    inner.reset(this.bytes, start, end);
    for (let tag = inner.tag(); tag !== 0; tag = inner.tag()) {
      if (tag !== 10 && tag !== 18 && tag !== 26) {
        inner.skip(tag);
        continue;
      }
      const length = inner.length();
      this.kinds[index] = tag >>> 3;
      this.starts[index] = inner.position;
      this.ends[index] = inner.position + length;
      inner.position += length;
    }
    if (inner.failed) this.kinds[index] = OPERATION_NONE;
  }
}
