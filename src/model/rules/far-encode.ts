/** FARs of a record into protobuf. Pure; any thread. */
import type { ProtobufWriter } from '../protobuf.js';
import { encodeIpv4, encodeIpv6, encodeRef } from '../protobuf-values.js';
import * as layout from '../record-layout.js';

/** The FAR at words[at…]; `bars`: where the BAR table is. */
export function encodeFar(
  writer: ProtobufWriter,
  field: number,
  words: Uint32Array,
  base: number,
  at: number,
  bars: number,
): void {
  const action = words[at + layout.FAR_ACTION]! & 255;
  const duplicates = words[at + layout.FAR_UDP_PORT]! >>> 24;
  const first = base + words[at + layout.FAR_DUPLICATES]!;
  const mark = writer.size;
  for (let position = duplicates - 1; position >= 0; position--) {
    encodeForward(writer, 5, words, base, first + position * layout.FAR_WORDS);
  }
  writer.reserve(0);
  if (action === layout.ACTION_BUFFER) encodeBuffer(writer, 4, words, at, bars);
  else if (action === layout.ACTION_DROP) writer.close(3, writer.size);
  else if (action === layout.ACTION_FORWARD) encodeForward(writer, 2, words, base, at);
  writer.uint32(1, words[at]!);
  writer.close(field, mark);
}

function encodeForward(
  writer: ProtobufWriter,
  field: number,
  words: Uint32Array,
  base: number,
  at: number,
): void {
  const action = words[at + layout.FAR_ACTION]!;
  const flags = action >>> 16;
  const mark = writer.size;
  writer.reserve(0);
  writer.uint32(5, words[at + layout.FAR_PROTECTION]!);
  if ((flags & layout.FAR_DSCP) !== 0) writer.presentUint32(4, action >>> 24);
  if ((flags & layout.FAR_OUTER_HEADER) !== 0) encodeOuterHeader(writer, 3, words, at, flags);
  encodeRef(writer, 2, words, base, words[at + layout.FAR_INSTANCE]!);
  writer.uint32(1, (action >>> 8) & 255);
  writer.close(field, mark);
}

function encodeOuterHeader(
  writer: ProtobufWriter,
  field: number,
  words: Uint32Array,
  at: number,
  flags: number,
): void {
  const mark = writer.size;
  writer.uint32(4, words[at + layout.FAR_UDP_PORT]! & 0xffff);
  if ((flags & layout.FAR_OUTER_IPV6) !== 0) encodeIpv6(writer, 3, words, at + layout.FAR_IPV6);
  if ((flags & layout.FAR_OUTER_IPV4) !== 0) encodeIpv4(writer, 2, words[at + layout.FAR_IPV4]!);
  writer.uint32(1, words[at + layout.FAR_TEID]!);
  writer.close(field, mark);
}

function encodeBuffer(
  writer: ProtobufWriter,
  field: number,
  words: Uint32Array,
  at: number,
  bars: number,
): void {
  const mark = writer.size;
  const bar = (words[at + layout.FAR_UDP_PORT]! >>> 16) & 255;
  if (bar !== 0) writer.uint32(2, words[bars + (bar - 1) * layout.BAR_WORDS]!);
  writer.uint32(1, (words[at + layout.FAR_ACTION]! >>> 20) & 1);
  writer.close(field, mark);
}
