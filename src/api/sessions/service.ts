/**
 * sluice.v1.SessionService: from the bytes of a call to the engine and back. Unary calls are
 * here, the streams in session-stream.ts and report-stream.ts, the bytes in
 * src/model. Threads: the control thread; decoder and encoder are shared by all calls, since
 * each is used within one turn only.
 */
import type {
  handleUnaryCall,
  ServerDuplexStream,
  ServerUnaryCall,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { Refusal, SluiceError } from '../../base/errors.js';
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX } from '../../base/limits.js';
import type { Log } from '../../base/log.js';
import type { Metrics } from '../../base/metrics.js';
import { joinWords } from '../../base/units.js';
import { RecordBuffer } from '../../model/record.js';
import {
  BatchReader,
  OPERATION_CREATE,
  OPERATION_DELETE,
  OPERATION_UPDATE,
  RequestDecoder,
} from '../../model/request-decode.js';
import type { ModelLimits } from '../../model/session-decode.js';
import { AdvertisedAddresses, type AdvertisingPort } from '../../session/advertised-addresses.js';
import type { OperationBatch, SessionEngine } from '../../session/engine.js';
import type { OwnerOf } from '../identity.js';
import { caughtToServiceError } from '../status.js';
import { AnswerEncoder, type WorkerOf } from './answer-encode.js';
import { addOperation, OperationCounter, type OperationReader } from './operations.js';
import { ReportStream } from './report-stream.js';
import { SessionStream } from './session-stream.js';

/** Clients take 4 MB by default: pages stay below it. */
const PAGE_BYTES_MAX = 3 * 1024 * 1024;

export interface SessionServiceOptions {
  readonly engine: SessionEngine;
  readonly limits: ModelLimits;
  readonly ownerOf: OwnerOf;
  readonly workerOf: WorkerOf;
  /** Those that advertise other addresses than they have. */
  readonly ports: readonly AdvertisingPort[];
  /** Aborts when the server drains: streams end then. */
  readonly closing: AbortSignal;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** What the calls of one server share. */
export interface SessionServiceParts extends SessionServiceOptions, OperationReader {
  readonly batches: BatchReader;
  readonly encoder: AnswerEncoder;
  readonly counter: OperationCounter;
}

type RawCall = ServerUnaryCall<Buffer, Buffer>;
type RawStream = ServerDuplexStream<Buffer, Buffer>;

export function sessionService(options: SessionServiceOptions): UntypedServiceImplementation {
  const refusal = new Refusal();
  const addresses = new AdvertisedAddresses(options.ports);
  const parts: SessionServiceParts = {
    ...options,
    addresses,
    decoder: new RequestDecoder(new RecordBuffer(), refusal, options.limits),
    batches: new BatchReader(refusal),
    encoder: new AnswerEncoder(options.workerOf, addresses),
    counter: new OperationCounter(options.metrics),
  };
  const { encoder } = parts;
  const stream = (open: (call: RawStream, owner: string) => void) => (call: RawStream) => {
    try {
      open(call, options.ownerOf(call));
    } catch (error) {
      call.emit('error', caughtToServiceError(error, options.log));
    }
  };
  return {
    CreateSession: operation(parts, OPERATION_CREATE, (batch) => encoder.session(batch.record(0))),
    UpdateSession: operation(parts, OPERATION_UPDATE, (batch) =>
      encoder.updateResponse(batch.record(0), batch.usage(0)),
    ),
    DeleteSession: operation(parts, OPERATION_DELETE, (batch) =>
      encoder.deleteResponse(batch.usage(0)),
    ),
    GetSession: reading(parts, getSession),
    ListSessions: reading(parts, listSessions),
    StreamSessions: stream((call, owner) => new SessionStream(call, owner, parts)),
    WatchReports: stream((call, owner) => new ReportStream(call, owner, parts)),
  };
}

/** A call that is one operation of the engine; `encode` runs when it was done. */
function operation(
  parts: SessionServiceParts,
  kind: number,
  encode: (batch: OperationBatch) => Buffer,
): handleUnaryCall<Buffer, Buffer> {
  const { engine, counter, log } = parts;
  return (call, callback) => {
    const finish = (batch: OperationBatch): void => {
      const error = batch.error(0);
      counter.count(kind, error);
      // Nobody waits for the answer of a call that was cancelled or came too late.
      if (call.cancelled) return;
      if (error === undefined) callback(null, encode(batch));
      else callback(caughtToServiceError(error, log));
    };
    try {
      const batch = engine.openBatch(parts.ownerOf(call), finish);
      addOperation(batch, kind, parts, call.request, 0, call.request.length);
      batch.submit();
    } catch (error) {
      callback(caughtToServiceError(error, log));
    }
  };
}

/** A call that changes nothing and is answered at once. */
function reading(
  parts: SessionServiceParts,
  read: (parts: SessionServiceParts, call: RawCall) => Buffer,
): handleUnaryCall<Buffer, Buffer> {
  return (call, callback) => {
    try {
      callback(null, read(parts, call));
    } catch (error) {
      callback(caughtToServiceError(error, parts.log));
    }
  };
}

function getSession({ engine, decoder, encoder, ownerOf }: SessionServiceParts, call: RawCall) {
  if (!decoder.key(call.request)) throw decoder.refusal.toError();
  const name = textAt(call.request, decoder.nameStart, decoder.nameLength);
  const seid = joinWords(decoder.seidLow, decoder.seidHigh);
  const key = seid === 0n ? { name } : { seid, ...(name !== '' && { name }) };
  const record = engine.get(ownerOf(call), key);
  if (record === undefined) throw new SluiceError('not_found');
  return encoder.session(record);
}

function listSessions({ engine, decoder, encoder }: SessionServiceParts, call: RawCall): Buffer {
  const bytes = call.request;
  if (!decoder.list(bytes)) throw decoder.refusal.toError();
  const owner = textAt(bytes, decoder.ownerStart, decoder.ownerLength);
  const token = textAt(bytes, decoder.pageTokenStart, decoder.pageTokenLength);
  let size = Math.min(decoder.pageSize || PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX);
  for (;;) {
    const page = encoder.list(engine.list(owner, size, token));
    if (page.length <= PAGE_BYTES_MAX || size === 1) return page;
    size = Math.ceil(size / 4);
  }
}

function textAt(bytes: Buffer, start: number, length: number): string {
  return bytes.toString('utf8', start, start + length);
}
