/** PDRs of a record into protobuf, with the F-TEIDs and UE addresses that were chosen. */
import { ipv6Before } from '../../base/ip-text.js';
import type { ProtobufWriter } from '../protobuf.js';
import { encodeIpv4, encodeIpv6, encodeRef } from '../protobuf-values.js';
import { byteAt, farsAt, filtersAt, pdrsAt, qersAt, urrsAt } from '../record.js';
import * as layout from '../record-layout.js';

/** Reused: the two zero words of a /64 stay zero. */
const prefixWords = new Uint32Array(4);
const ID_BYTES_MAX = 5;

export function encodePdr(
  writer: ProtobufWriter,
  field: number,
  words: Uint32Array,
  base: number,
  index: number,
): void {
  const at = pdrsAt(base) + index * layout.PDR_WORDS;
  const fars = farsAt(words, base);
  const mark = writer.size;
  const list = base + (words[at + layout.PDR_LISTS]! & 0xffff);
  const qers = words[at + layout.PDR_F_TEID]! >>> 24;
  const urrs = words[at + layout.PDR_FILTERS]! >>> 24;
  const far = (words[at + layout.PDR_F_TEID]! >>> 16) & 255;
  writer.reserve((qers + urrs) * ID_BYTES_MAX);
  encodeIds(writer, 7, words, list, qers, urrs, urrsAt(words, base), layout.URR_WORDS);
  encodeIds(writer, 6, words, list, 0, qers, qersAt(words, base), layout.QER_WORDS);
  writer.uint32(5, words[fars + far * layout.FAR_WORDS]!);
  writer.uint32(4, words[at]! >>> 24);
  encodePdi(writer, 3, words, base, at);
  writer.uint32(2, words[at + layout.PDR_PRECEDENCE]!);
  writer.uint32(1, words[at]! & 0xffff);
  writer.close(field, mark);
}

/** Packed IDs of the rules whose indices are `count` bytes behind `skip` at words[list…]. */
export function encodeIds(
  writer: ProtobufWriter,
  field: number,
  words: Uint32Array,
  list: number,
  skip: number,
  count: number,
  table: number,
  stride: number,
): void {
  if (count === 0) return;
  const mark = writer.size;
  for (let position = count - 1; position >= 0; position--) {
    writer.raw(words[table + byteAt(words, list, skip + position) * stride]!);
  }
  writer.close(field, mark);
}

function encodePdi(
  writer: ProtobufWriter,
  field: number,
  words: Uint32Array,
  base: number,
  at: number,
): void {
  const mark = writer.size;
  const lists = words[at + layout.PDR_LISTS]!;
  const filters = words[at + layout.PDR_FILTERS]!;
  const first = filtersAt(words, base) + (filters & 0xffff) * layout.FILTER_WORDS;
  const routes = base + words[at + layout.PDR_ROUTES_TEXT]!;
  writer.reserve(0);
  writer.uint32(8, words[at + layout.PDR_FRAMED_ROUTES]! >>> 16);
  for (let route = (lists >>> 24) - 1; route >= 0; route--) {
    encodeRef(writer, 7, words, base, words[routes + route]!);
  }
  encodeQfis(writer, 6, words[at + layout.PDR_QFIS_LOW]!, words[at + layout.PDR_QFIS_HIGH]!);
  for (let filter = ((filters >>> 16) & 255) - 1; filter >= 0; filter--) {
    encodeFilter(writer, 5, words, base, first + filter * layout.FILTER_WORDS);
  }
  writer.reserve(0);
  encodeUeAddress(writer, 4, words, base, (lists >>> 16) & 255);
  if ((words[at + layout.PDR_F_TEID]! & layout.F_TEID_PRESENT) !== 0) {
    encodeFTeid(writer, 3, words, at);
  }
  encodeRef(writer, 2, words, base, words[at + layout.PDR_INSTANCE]!);
  writer.uint32(1, (words[at]! >>> 16) & 255);
  writer.close(field, mark);
}

function encodeQfis(writer: ProtobufWriter, field: number, low: number, high: number): void {
  if ((low | high) === 0) return;
  const mark = writer.size;
  for (let qfi = 63; qfi > 0; qfi--) {
    if ((((qfi < 32 ? low : high) >>> (qfi & 31)) & 1) !== 0) writer.raw(qfi);
  }
  writer.close(field, mark);
}

function encodeFilter(
  writer: ProtobufWriter,
  field: number,
  words: Uint32Array,
  base: number,
  at: number,
): void {
  const flags = words[at]!;
  const tos = words[at + layout.FILTER_TOS]!;
  const mark = writer.size;
  writer.reserve(0);
  if ((flags & layout.FILTER_HAS_FLOW_LABEL) !== 0) {
    writer.presentUint32(5, words[at + layout.FILTER_FLOW_LABEL]!);
  }
  if ((flags & layout.FILTER_HAS_SPI) !== 0) {
    writer.presentUint32(4, words[at + layout.FILTER_SPI]!);
  }
  if ((flags & layout.FILTER_HAS_TOS_MASK) !== 0) writer.presentUint32(3, (tos >>> 8) & 255);
  if ((flags & layout.FILTER_HAS_TOS) !== 0) writer.presentUint32(2, tos & 255);
  encodeRef(writer, 1, words, base, words[at + layout.FILTER_TEXT]!);
  writer.close(field, mark);
}

/** FTeid of the PDR at words[at…], which has one. */
export function encodeFTeid(
  writer: ProtobufWriter,
  field: number,
  words: Uint32Array,
  at: number,
): void {
  const flags = words[at + layout.PDR_F_TEID]!;
  const chosen = (flags & layout.F_TEID_CHOSEN_HERE) !== 0;
  const teid = words[at + layout.PDR_TEID]!;
  const mark = writer.size;
  if (chosen) writer.uint32(5, teid);
  if ((flags & layout.F_TEID_IPV6) !== 0) encodeIpv6(writer, 4, words, at + layout.PDR_LOCAL_IPV6);
  if ((flags & layout.F_TEID_IPV4) !== 0) encodeIpv4(writer, 3, words[at + layout.PDR_LOCAL_IPV4]!);
  if (!chosen) writer.presentUint32(1, teid);
  else if ((flags & layout.F_TEID_UNSHARED) === 0) writer.presentUint32(2, (flags >>> 8) & 255);
  writer.close(field, mark);
}

/** The session's UE addresses that PDR_UE_… `flags` name; "auto" while they are not chosen. */
export function encodeUeAddress(
  writer: ProtobufWriter,
  field: number,
  words: Uint32Array,
  base: number,
  flags: number,
): void {
  if ((flags & (layout.PDR_UE_IPV4 | layout.PDR_UE_IPV6)) === 0) return;
  const mark = writer.size;
  const ipv4 = words[base + layout.HEADER_UE_IPV4]!;
  const high = words[base + layout.HEADER_UE_PREFIX_HIGH]!;
  const low = words[base + layout.HEADER_UE_PREFIX_LOW]!;
  if ((flags & layout.PDR_UE_IPV6) !== 0) {
    if ((high | low) === 0) writer.text(2, 'auto');
    else encodePrefix(writer, 2, high, low);
  }
  if ((flags & layout.PDR_UE_IPV4) !== 0) {
    if (ipv4 === 0) writer.text(1, 'auto');
    else encodeIpv4(writer, 1, ipv4);
  }
  writer.close(field, mark);
}

function encodePrefix(writer: ProtobufWriter, field: number, high: number, low: number): void {
  const mark = writer.size;
  prefixWords[0] = high;
  prefixWords[1] = low;
  writer.bytes[--writer.position] = 0x34;
  writer.bytes[--writer.position] = 0x36;
  writer.bytes[--writer.position] = 0x2f;
  writer.position = ipv6Before(writer.bytes, writer.position, prefixWords, 0);
  writer.close(field, mark);
}
