/** URRs of a record into protobuf. Pure; any thread. */
import type { ProtobufWriter } from '../../protobuf.js';
import { encodeDurationMs, encodeTimestampMs } from '../../protobuf-values.js';
import { urrMoreAt } from '../../record.js';
import * as layout from '../../record-layout.js';
import { encodeIds } from '../pdr-encode.js';

/** The URR at words[at…]; `urrs`, `fars`: where the tables are. */
export function encodeUrr(
  writer: ProtobufWriter,
  field: number,
  words: Uint32Array,
  base: number,
  at: number,
  urrs: number,
  fars: number,
): void {
  const flags = words[at + layout.URR_FLAGS]!;
  const quotaFar = words[at + layout.URR_QUOTA_FAR]! & 255;
  const grant = words[at + layout.URR_QUOTA_FAR]! >>> layout.URR_QUOTA_GRANT_SHIFT;
  const linked = words[at + layout.URR_LINKED]!;
  const mark = writer.size;
  for (let flag = 4; flag >= 0; flag--) {
    writer.uint32(20 + flag, (flags & (layout.URR_REPORT_END_MARKER << flag)) !== 0 ? 1 : 0);
  }
  encodeMore(writer, words, base, at);
  writer.reserve((linked >>> 16) * 5);
  writer.uint32(15, grant);
  writer.uint32(14, (flags & layout.URR_REPORT_STOP) !== 0 ? 1 : 0);
  writer.uint32(13, (flags & layout.URR_REPORT_START) !== 0 ? 1 : 0);
  if (quotaFar !== 0) writer.uint32(12, words[fars + (quotaFar - 1) * layout.FAR_WORDS]!);
  const list = base + (linked & 0xffff);
  encodeIds(writer, 11, words, list, 0, linked >>> 16, urrs, layout.URR_WORDS);
  for (let which = 3; which >= 0; which--) {
    if ((flags & (layout.URR_HAS_TIME_THRESHOLD << which)) === 0) continue;
    encodeDurationMs(writer, 7 + which, words[at + layout.URR_TIME_THRESHOLD_MS + which]!);
  }
  encodeVolume(writer, 6, words, at + layout.URR_QUOTA_TOTAL, flags >>> 6);
  encodeVolume(writer, 5, words, at + layout.URR_THRESHOLD_TOTAL, flags >>> 3);
  writer.uint32(4, (flags & layout.URR_BEFORE_POLICING) !== 0 ? 1 : 0);
  writer.uint32(3, (flags & layout.URR_DURATION) !== 0 ? 1 : 0);
  writer.uint32(2, flags & layout.URR_VOLUME);
  writer.uint32(1, words[at]!);
  writer.close(field, mark);
}

/** The low three bits of `flags`: total, uplink, downlink are there. */
function encodeVolume(
  writer: ProtobufWriter,
  field: number,
  words: Uint32Array,
  at: number,
  flags: number,
): void {
  if ((flags & 7) === 0) return;
  const mark = writer.size;
  for (let which = 2; which >= 0; which--) {
    if (((flags >>> which) & 1) === 0) continue;
    writer.presentUint64(1 + which, words[at + which * 2]!, words[at + which * 2 + 1]!);
  }
  writer.close(field, mark);
}

function encodeMore(writer: ProtobufWriter, words: Uint32Array, base: number, urr: number): void {
  const at = urrMoreAt(words, base, urr);
  if (at === 0) return;
  const flags = words[at + layout.URR_MORE_FLAGS]!;
  const monitors = words[at + layout.URR_MORE_MONITORS]!;
  for (let index = (monitors >>> 16) - 1; index >= 0; index--) {
    const monitor = base + (monitors & 0xffff) + index * layout.MONITOR_WORDS;
    encodeMonitor(writer, words, monitor);
  }
  const dropped = flags / layout.URR_MORE_HAS_DROPPED_PACKETS;
  encodeVolume(writer, 18, words, at + layout.URR_MORE_DROPPED_PACKETS, dropped & 3);
  const validity = words[at + layout.URR_MORE_QUOTA_VALIDITY_MS]!;
  if ((flags & layout.URR_MORE_HAS_QUOTA_VALIDITY) !== 0) encodeDurationMs(writer, 17, validity);
  const holding = words[at + layout.URR_MORE_QUOTA_HOLDING_MS]!;
  if ((flags & layout.URR_MORE_HAS_QUOTA_HOLDING) !== 0) encodeDurationMs(writer, 16, holding);
}

/** The monitoring time at words[at…]. */
function encodeMonitor(writer: ProtobufWriter, words: Uint32Array, at: number): void {
  const flags = words[at + layout.MONITOR_FLAGS]!;
  const mark = writer.size;
  writer.reserve(0);
  for (let which = 1; which >= 0; which--) {
    if ((flags & (layout.URR_HAS_TIME_THRESHOLD << which)) === 0) continue;
    encodeDurationMs(writer, 4 + which, words[at + layout.MONITOR_TIME_THRESHOLD_MS + which]!);
  }
  encodeVolume(writer, 3, words, at + layout.MONITOR_QUOTA_TOTAL, flags >>> 6);
  encodeVolume(writer, 2, words, at + layout.MONITOR_THRESHOLD_TOTAL, flags >>> 3);
  encodeTimestampMs(writer, 1, words[at + layout.MONITOR_TIME_S]! * 1000);
  writer.close(19, mark);
}
