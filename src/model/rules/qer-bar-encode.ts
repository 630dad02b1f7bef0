/** QERs and BARs of a record into protobuf. Pure; any thread. */
import type { ProtobufWriter } from '../protobuf.js';
import { encodeDurationMs, encodeRef } from '../protobuf-values.js';
import * as layout from '../record-layout.js';

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
