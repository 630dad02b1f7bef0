import type { Refusal } from '../../base/errors.js';
import { ProtobufReader } from '../../model/protobuf.js';

/** Sessions that one watcher may name. */
const NAMES_MAX = 10_000;
const TEXT_BYTES_MAX = 1024;
/** Tags of WatchReportsRequest: number << 3 | wire type. */
const CURSOR = 10;
const ACKNOWLEDGE = 18;
const NAMES = 26;

/** A WatchReportsRequest. */
export interface WatchRequest {
  readonly cursor: string;
  readonly acknowledge: string;
  readonly names: readonly string[];
}

/** undefined: see `refusal`. */
export function decodeWatch(bytes: Buffer, refusal: Refusal): WatchRequest | undefined {
  const reader = new ProtobufReader();
  const names: string[] = [];
  let cursor = '';
  let acknowledge = '';
  refusal.clear();
  reader.reset(bytes, 0, bytes.length);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === CURSOR) cursor = text(reader, bytes);
    else if (tag === ACKNOWLEDGE) acknowledge = text(reader, bytes);
    else if (tag === NAMES) names.push(text(reader, bytes));
    else reader.skip(tag);
    if (names.length > NAMES_MAX) {
      refusal.set('invalid_argument', 'names', `must be at most ${NAMES_MAX}`);
      return undefined;
    }
  }
  if (!reader.failed) return { cursor, acknowledge, names };
  refusal.set('invalid_argument', '', 'the request is not a valid protobuf message');
  return undefined;
}

/** The text that comes next; one that no name or cursor can be fails the message. */
function text(reader: ProtobufReader, bytes: Buffer): string {
  const length = reader.length();
  if (length > TEXT_BYTES_MAX) reader.fail();
  if (reader.failed) return '';
  const start = reader.position;
  reader.position = start + length;
  return bytes.toString('utf8', start, start + length);
}
