import type { Refusal } from '../../base/errors.js';
import { ProtobufReader } from '../../model/protobuf.js';

/** Sessions that one watcher may name. */
const NAMES_MAX = 10_000;
const TEXT_BYTES_MAX = 1024;
/** Of every cursor: which store's, and the number of the report. */
const CURSOR_FORM = /^[0-9a-f]+\.\d+$/;
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
  if (reader.failed) {
    refusal.set('invalid_argument', '', 'the request is not a valid protobuf message');
    return undefined;
  }
  // One of another store is a cursor, too; what is none was never given out.
  for (const [field, value] of Object.entries({ cursor, acknowledge })) {
    if (value === '' || CURSOR_FORM.test(value)) continue;
    refusal.set('invalid_argument', field, 'must be the cursor of a report, or empty');
    return undefined;
  }
  return { cursor, acknowledge, names };
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
