import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { ERRORS, SluiceError } from '../base/errors.js';
import type { Log } from '../base/log.js';

/** Trailers are headers: clients bound them, most at 8 KB in all. */
const MESSAGE_CHARACTERS_MAX = 1024;
const TYPE_BAD_REQUEST = 'type.googleapis.com/google.rpc.BadRequest';
const TYPE_RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';
const STATUS_DETAILS_KEY = 'grpc-status-details-bin';
const RETRY_NANOSECONDS = 100_000_000;

/**
 * An error as grpc-js sends it: canonical code, message, and google.rpc.Status with a
 * BadRequest that names the field, or a RetryInfo when the same request may succeed later.
 */
export function toServiceError(error: SluiceError): ServiceError {
  const message = safeMessage(error);
  const metadata = new Metadata();
  const details: Buffer[] = [];
  if (error.field !== '') details.push(any(TYPE_BAD_REQUEST, badRequest(error.field, message)));
  if (error.code === 'unavailable') details.push(any(TYPE_RETRY_INFO, retryInfo()));
  if (details.length > 0) {
    metadata.set(STATUS_DETAILS_KEY, rpcStatus(error.grpcStatus, message, details));
  }
  const text = error.field === '' ? message : `${error.field}: ${message}`;
  return Object.assign(new Error(text), { code: error.grpcStatus, details: text, metadata });
}

/** As {@link toServiceError} of anything caught; a defect of ours is logged, not told. */
export function caughtToServiceError(error: unknown, log: Log): ServiceError {
  const known = SluiceError.of(error);
  if (known.code === 'internal') log.error({ err: known.cause ?? known }, 'a request failed');
  return toServiceError(known);
}

/** "INVALID_ARGUMENT" for 3, as metrics and logs call it. */
export function codeName(code: number): string {
  return status[code] ?? 'UNKNOWN';
}

function safeMessage(error: SluiceError): string {
  // What broke inside is for the log; the caller can do nothing with it.
  const message = error.code === 'internal' ? ERRORS.internal.message : error.message;
  return wellFormed(message.slice(0, MESSAGE_CHARACTERS_MAX));
}

/** Half of a surrogate pair would make the URI encoding of the message throw. */
function wellFormed(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}

function rpcStatus(code: number, message: string, details: readonly Buffer[]): Buffer {
  return Buffer.concat([
    varintField(1, code),
    bytesField(2, Buffer.from(message)),
    ...details.map((detail) => bytesField(3, detail)),
  ]);
}

function badRequest(field: string, description: string): Buffer {
  const path = Buffer.from(wellFormed(field.slice(0, MESSAGE_CHARACTERS_MAX)));
  return bytesField(
    1,
    Buffer.concat([bytesField(1, path), bytesField(2, Buffer.from(description))]),
  );
}

function retryInfo(): Buffer {
  return bytesField(1, varintField(2, RETRY_NANOSECONDS));
}

function any(type: string, value: Buffer): Buffer {
  return Buffer.concat([bytesField(1, Buffer.from(type)), bytesField(2, value)]);
}

function varintField(field: number, value: number): Buffer {
  return Buffer.from([field << 3, ...varint(value)]);
}

function bytesField(field: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...varint(value.length)]), value]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return bytes;
}
