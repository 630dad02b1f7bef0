/**
 * Answers of the session service around sessions: results of operations, usage, reports,
 * pages. All write from the end towards the front (see ProtobufWriter), so the elements of a
 * batch or page are added last one first. Usage comes as entries laid out as EventWord in
 * src/datapath/datapath.ts says. Pure; any thread.
 */
import type { ProtobufWriter } from './protobuf.js';
import { encodeIpv4, encodeIpv6, encodeNanoseconds, encodeTimestampMs } from './protobuf-values.js';
import { pdrCount, pdrsAt } from './record.js';
import * as layout from './record-layout.js';
import { encodeFTeid, encodeUeAddress } from './rules/pdr-encode.js';
import { encodeSession } from './session-encode.js';

/** Words of one event, and those that are read here: EVENT_WORDS and EventWord. */
export const EVENT_WORDS = 32;
export const EVENT_KIND = 0;
export const EVENT_ID = 3;
export const EVENT_SEQUENCE = 4;
export const EVENT_TRIGGERS = 5;
export const EVENT_UPLINK_BYTES = 6;
export const EVENT_START_TIME = 14;
export const EVENT_END_TIME = 16;
export const EVENT_DURATION = 18;
export const EVENT_QFI = 21;
/** Of usage, in the same word: UsagePart of the API. */
export const EVENT_PART = 21;
export const EVENT_ADDRESS = 22;
export const KIND_USAGE = 1;
export const KIND_DOWNLINK_DATA = 2;
export const KIND_ERROR_INDICATION = 3;
export const KIND_INACTIVITY = 4;

const TRIGGERS_MAX = 31;

/** One UsageReport: the event at words[at…]. */
export function encodeUsage(
  writer: ProtobufWriter,
  field: number,
  words: Uint32Array,
  at: number,
): void {
  const mark = writer.size;
  writer.reserve(0);
  writer.uint32(11, words[at + EVENT_PART]!);
  encodeTime(writer, 10, words, at + EVENT_END_TIME);
  encodeTime(writer, 9, words, at + EVENT_START_TIME);
  const duration = at + EVENT_DURATION;
  encodeNanoseconds(writer, 8, words[duration]!, words[duration + 1]!);
  for (let count = 3; count >= 0; count--) {
    const from = at + EVENT_UPLINK_BYTES + count * 2;
    writer.uint64(4 + count, words[from]!, words[from + 1]!);
  }
  const triggers = words[at + EVENT_TRIGGERS]!;
  if (triggers >>> 1 !== 0) {
    const list = writer.size;
    for (let trigger = TRIGGERS_MAX; trigger > 0; trigger--) {
      if (((triggers >>> trigger) & 1) !== 0) writer.raw(trigger);
    }
    writer.close(3, list);
  }
  writer.uint32(2, words[at + EVENT_SEQUENCE]!);
  writer.uint32(1, words[at + EVENT_ID]!);
  writer.close(field, mark);
}

/** A Timestamp that is absent when the event has none. */
function encodeTime(writer: ProtobufWriter, field: number, words: Uint32Array, at: number): void {
  if ((words[at]! | words[at + 1]!) === 0) return;
  encodeNanoseconds(writer, field, words[at]!, words[at + 1]!);
}

/** All events of `usage`, a whole number of entries, as repeated UsageReport. */
function encodeUsages(writer: ProtobufWriter, field: number, usage: Uint32Array): void {
  for (let at = usage.length - EVENT_WORDS; at >= 0; at -= EVENT_WORDS) {
    encodeUsage(writer, field, usage, at);
  }
}

/** Field 2 of SessionBatchResult: an operation that was done. */
export function addResult(
  writer: ProtobufWriter,
  words: Uint32Array,
  base: number,
  worker: number,
  brief: boolean,
  usage: Uint32Array,
): void {
  const mark = writer.size;
  if (!brief) {
    encodeSession(writer, words, base, worker);
    writer.close(9, mark);
  }
  encodeUsages(writer, 8, usage);
  writer.reserve(0);
  encodeUeAddress(writer, 7, words, base, words[base + layout.HEADER_FLAGS]! & 3);
  addChosenFTeids(writer, words, base);
  writer.uint64(
    5,
    words[base + layout.HEADER_REVISION_LOW]!,
    words[base + layout.HEADER_REVISION_HIGH]!,
  );
  writer.uint64(4, words[base + layout.HEADER_SEID_LOW]!, words[base + layout.HEADER_SEID_HIGH]!);
  writer.close(2, mark);
}

/** Field 2 of SessionBatchResult: an operation that was refused; `code`: google.rpc.Code. */
export function addFailure(
  writer: ProtobufWriter,
  code: number,
  message: string,
  field: string,
): void {
  const mark = writer.size;
  writer.text(3, field);
  writer.text(2, message);
  writer.reserve(0);
  writer.uint32(1, code);
  writer.close(2, mark);
}

/** Completes a SessionBatchResult whose results were added. */
export function finishBatch(writer: ProtobufWriter, idLow: number, idHigh: number): void {
  writer.reserve(0);
  writer.uint64(1, idLow, idHigh);
}

/** Each F-TEID that was chosen here, once, in the order of the PDRs. */
function addChosenFTeids(writer: ProtobufWriter, words: Uint32Array, base: number): void {
  for (let index = pdrCount(words, base) - 1; index >= 0; index--) {
    const at = pdrsAt(base) + index * layout.PDR_WORDS;
    if (!isFirstChosen(words, pdrsAt(base), at)) continue;
    writer.reserve(0);
    encodeFTeid(writer, 6, words, at);
  }
}

function isFirstChosen(words: Uint32Array, first: number, at: number): boolean {
  const identity = 0xff00 | layout.F_TEID_UNSHARED;
  const flags = words[at + layout.PDR_F_TEID]!;
  if ((flags & layout.F_TEID_CHOSEN_HERE) === 0) return false;
  if ((flags & layout.F_TEID_UNSHARED) !== 0) return true;
  for (let other = first; other < at; other += layout.PDR_WORDS) {
    const known = words[other + layout.PDR_F_TEID]!;
    if ((known & layout.F_TEID_CHOSEN_HERE) === 0) continue;
    if (((known ^ flags) & identity) === 0) return false;
  }
  return true;
}

/** UpdateSessionResponse as a whole. */
export function encodeUpdateResponse(
  writer: ProtobufWriter,
  words: Uint32Array,
  base: number,
  worker: number,
  usage: Uint32Array,
): void {
  encodeUsages(writer, 2, usage);
  const mark = writer.size;
  encodeSession(writer, words, base, worker);
  writer.reserve(0);
  writer.close(1, mark);
}

/** DeleteSessionResponse as a whole. */
export function encodeDeleteResponse(writer: ProtobufWriter, usage: Uint32Array): void {
  encodeUsages(writer, 1, usage);
}

/** Ends a ListSessionsResponse; comes before its sessions, as they are written last first. */
export function beginPage(writer: ProtobufWriter, nextPageToken: string, total: number): void {
  writer.reserve(0);
  writer.uint64(3, (total % 4294967296) | 0, (total / 4294967296) | 0);
  writer.text(2, nextPageToken);
}

/** Field 1 of ListSessionsResponse. */
export function addPageSession(
  writer: ProtobufWriter,
  words: Uint32Array,
  base: number,
  worker: number,
): void {
  const mark = writer.size;
  encodeSession(writer, words, base, worker);
  writer.reserve(0);
  writer.close(1, mark);
}

/** What a Report says beside its event. */
export interface ReportHead {
  readonly cursor: string;
  readonly sessionName: string;
  readonly seidLow: number;
  readonly seidHigh: number;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
}

/** A Report as a whole: the event at words[at…]. */
export function encodeReport(
  writer: ProtobufWriter,
  head: ReportHead,
  words: Uint32Array,
  at: number,
): void {
  writer.reserve(0);
  encodeEvent(writer, words, at);
  encodeTimestampMs(writer, 4, head.timeMs);
  writer.uint64(3, head.seidLow, head.seidHigh);
  writer.text(2, head.sessionName);
  writer.text(1, head.cursor);
}

/** The member of the oneof that the event is; other kinds add nothing. */
function encodeEvent(writer: ProtobufWriter, words: Uint32Array, at: number): void {
  const mark = writer.size;
  const id = words[at + EVENT_ID]!;
  const qfi = words[at + EVENT_QFI]!;
  switch (words[at + EVENT_KIND]!) {
    case KIND_USAGE:
      encodeUsage(writer, 5, words, at);
      return;
    case KIND_DOWNLINK_DATA:
      writer.uint32(2, qfi);
      writer.uint32(1, id);
      writer.close(6, mark);
      return;
    case KIND_ERROR_INDICATION:
      if (qfi === 1) encodeIpv6(writer, 2, words, at + EVENT_ADDRESS);
      else encodeIpv4(writer, 2, words[at + EVENT_ADDRESS]!);
      writer.uint32(1, id);
      writer.close(7, mark);
      return;
    case KIND_INACTIVITY:
      writer.uint32(1, id);
      writer.close(8, mark);
  }
}
