/** QERs, URRs and BARs of a record into protobuf. Pure; any thread. */
import type { ProtobufWriter } from '../protobuf.js';
import { encodeDurationMs, encodeRef } from '../protobuf-values.js';
import * as layout from '../record-layout.js';
import { encodeIds } from './pdr-encode.js';

/** The QER at words[at…]. */
export function encodeQer(
  writer: ProtobufWriter,
  field: number,
  words: Uint32Array,
  base: number,
  at: number,
): void {
  const flags = words[at + layout.QER_FLAGS]!;
  const marking = words[at + layout.QER_QFI]!;
  const mark = writer.size;
  encodeRef(writer, 11, words, base, words[at + layout.QER_SHARED_BUCKET]!);
  writer.reserve(0);
  if ((flags & layout.QER_HAS_PPI) !== 0) writer.presentUint32(10, (marking >>> 8) & 255);
  writer.uint32(9, (flags & layout.QER_RQI) !== 0 ? 1 : 0);
  if ((flags & layout.QER_HAS_QFI) !== 0) writer.presentUint32(8, marking & 255);
  for (let rate = 3; rate >= 0; rate--) {
    if ((flags & (layout.QER_UPLINK_MBR << rate)) === 0) continue;
    const from = at + layout.QER_UPLINK_MBR_LOW + rate * 2;
    writer.presentUint64(4 + rate, words[from]!, words[from + 1]!);
  }
  writer.uint32(3, (flags & layout.QER_DOWNLINK_CLOSED) !== 0 ? 1 : 0);
  writer.uint32(2, (flags & layout.QER_UPLINK_CLOSED) !== 0 ? 1 : 0);
  writer.uint32(1, words[at]!);
  writer.close(field, mark);
}

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

/** The BAR at words[at…]. */
export function encodeBar(
  writer: ProtobufWriter,
  field: number,
  words: Uint32Array,
  at: number,
): void {
  const delay = words[at + layout.BAR_NOTIFICATION_DELAY_MS]!;
  const mark = writer.size;
  writer.reserve(0);
  writer.uint32(3, words[at + layout.BAR_PACKET_LIMIT]!);
  if (delay !== 0) encodeDurationMs(writer, 2, delay);
  writer.uint32(1, words[at]!);
  writer.close(field, mark);
}
