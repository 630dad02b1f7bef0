/** Protobuf SDF filters and framed routes of a PDR into a record. Pure; any thread. */
import * as layout from '../record-layout.js';
import { FLOW_DESCRIPTION_MAX, maskPrefix } from '../sdf.js';
import type { DecodeContext } from './decode-context.js';

/** Framed routes that one PDR may have. */
export const FRAMED_ROUTES_MAX = 64;
/** Filters before this one that are asked for the same flow description. */
const LOOK_BACK = 8;
/** Bits that a flow description sets. */
const FLOW_FLAGS =
  layout.FILTER_FLOW |
  layout.FILTER_SOURCE_IPV4 |
  layout.FILTER_SOURCE_IPV6 |
  layout.FILTER_DESTINATION_IPV4 |
  layout.FILTER_DESTINATION_IPV6 |
  layout.FILTER_SOURCE_ASSIGNED |
  layout.FILTER_DESTINATION_ASSIGNED |
  layout.FILTER_ANY_PROTOCOL;

const enum FilterTag {
  Flow = 10,
  Tos = 16,
  TosMask = 24,
  Spi = 32,
  FlowLabel = 40,
}

/** Decodes the filter that comes next into entry `filter`, the `position`th of its PDR. */
export function decodeFilter(
  context: DecodeContext,
  pdr: number,
  filter: number,
  position: number,
): void {
  const { reader, record } = context;
  const { words } = record;
  const at = record.filtersAt + filter * layout.FILTER_WORDS;
  let flags = 0;
  let tos = 0;
  let mask = 255;
  const outer = reader.open();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case FilterTag.Flow:
        decodeFlow(context, pdr, filter, position);
        break;
      case FilterTag.Tos:
        tos = octet(context, pdr, position, '.tos');
        flags |= layout.FILTER_HAS_TOS;
        break;
      case FilterTag.TosMask:
        mask = octet(context, pdr, position, '.tos_mask');
        flags |= layout.FILTER_HAS_TOS_MASK;
        break;
      case FilterTag.Spi:
        words[at + layout.FILTER_SPI] = reader.varint();
        flags |= layout.FILTER_HAS_SPI;
        break;
      case FilterTag.FlowLabel:
        words[at + layout.FILTER_FLOW_LABEL] = reader.varint();
        flags |= layout.FILTER_HAS_FLOW_LABEL;
        break;
      default:
        reader.skip(tag);
    }
  }
  reader.close(outer);
  words[at + layout.FILTER_FLAGS] = words[at + layout.FILTER_FLAGS]! | flags;
  const marked = layout.FILTER_HAS_TOS | layout.FILTER_HAS_TOS_MASK;
  if ((flags & marked) !== 0) words[at + layout.FILTER_TOS] = tos | (mask << 8);
}

function refuseFilter(
  context: DecodeContext,
  pdr: number,
  position: number,
  field: string,
  message: string,
): void {
  const suffix = `.pdi.sdf_filters[${position}]${field}`;
  context.refuse(layout.TABLE_PDR, pdr, suffix, message);
}

function octet(context: DecodeContext, pdr: number, position: number, field: string): number {
  const value = context.reader.varint();
  if (value >= 0 && value <= 255) return value;
  refuseFilter(context, pdr, position, field, 'must be from 0 to 255');
  return 0;
}

function decodeFlow(context: DecodeContext, pdr: number, filter: number, position: number): void {
  const { reader, record, flow } = context;
  const { words } = record;
  const length = reader.length();
  const start = reader.position;
  if (length === 0) return;
  const at = record.filtersAt + filter * layout.FILTER_WORDS;
  const text = length > FLOW_DESCRIPTION_MAX ? 0 : record.appendText(reader.bytes, start, length);
  words[at + layout.FILTER_TEXT] = text;
  if (text !== 0 && copyFlow(words, at, Math.min(filter, LOOK_BACK))) {
    reader.position = start + length;
    return;
  }
  if (!flow.parse(reader.bytes, start, start + length)) {
    const message = `must be a flow description; at character ${flow.column} expected ${flow.expected}`;
    refuseFilter(context, pdr, position, '.flow_description', message);
    return;
  }
  words[at] = words[at]! & ~FLOW_FLAGS;
  flow.write(record, at);
  reader.position = start + length;
}

/** Uplink and downlink often have the same text: what it means is copied then. */
function copyFlow(words: Uint32Array, at: number, back: number): boolean {
  const text = words[at + layout.FILTER_TEXT];
  for (let step = 1; step <= back; step++) {
    const from = at - step * layout.FILTER_WORDS;
    if (words[from + layout.FILTER_TEXT] !== text) continue;
    words[at] = (words[at]! & ~FLOW_FLAGS) | (words[from]! & FLOW_FLAGS);
    for (let word = layout.FILTER_PROTOCOL; word <= layout.FILTER_DESTINATION_PORTS; word++) {
      words[at + word] = words[from + word]!;
    }
    return true;
  }
  return false;
}

/** Takes room for all framed routes of the PDI that starts at `start`. */
export function beginRoutes(
  context: DecodeContext,
  pdr: number,
  at: number,
  tag: number,
  start: number,
): void {
  const { reader, record } = context;
  const { words } = record;
  const count = context.count(tag, start, reader.end);
  if (count > FRAMED_ROUTES_MAX) {
    const message = `must be at most ${FRAMED_ROUTES_MAX}`;
    context.refuse(layout.TABLE_PDR, pdr, '.pdi.framed_routes', message);
    return;
  }
  const protection = words[at + layout.PDR_FRAMED_ROUTES]! & ~0xffff;
  words[at + layout.PDR_FRAMED_ROUTES] = protection | record.allocate(count * layout.ROUTE_WORDS);
  words[at + layout.PDR_ROUTES_TEXT] = record.allocate(count);
  words[at + layout.PDR_LISTS] = words[at + layout.PDR_LISTS]! | (count << 24);
}

export function decodeRoute(
  context: DecodeContext,
  pdr: number,
  at: number,
  position: number,
): void {
  const { reader, record, ip } = context;
  const { words } = record;
  const bytes = reader.bytes;
  const length = reader.length();
  const start = reader.position;
  const end = start + length;
  const routes = words[at + layout.PDR_FRAMED_ROUTES]! & 0xffff;
  const route = routes + position * layout.ROUTE_WORDS;
  if (reader.failed || record.overflowed) return;
  let family = 4;
  for (let index = start; index < end; index++) if (bytes[index] === 0x3a) family = 6;
  const slash = family === 4 ? ip.readIpv4(bytes, start, end) : ip.readIpv6(bytes, start, end);
  const widest = family === 4 ? 32 : 128;
  const prefix = slash === end ? widest : prefixLength(bytes, slash, end);
  if (slash < 0 || prefix < 0 || prefix > widest) {
    const suffix = `.pdi.framed_routes[${position}]`;
    const message = 'must be a prefix such as 198.51.100.0/24 or 2001:db8:5::/48';
    context.refuse(layout.TABLE_PDR, pdr, suffix, message);
    return;
  }
  words[route] = family === 6 ? 1 : 0;
  words[route + 1] = prefix;
  words[route + 2] = family === 4 ? ip.ipv4 : ip.ipv6[0]!;
  for (let word = 1; word < 4; word++) words[route + 2 + word] = family === 4 ? 0 : ip.ipv6[word]!;
  maskPrefix(words, route + 2, prefix, family === 4 ? 1 : 4);
  const text = record.appendText(bytes, start, length);
  words[words[at + layout.PDR_ROUTES_TEXT]! + position] = text;
  reader.position = end;
}

/** "/24" at `slash` to the end; -1: nothing of the kind. */
function prefixLength(bytes: Uint8Array, slash: number, end: number): number {
  const digits = end - slash - 1;
  if (slash < 0 || bytes[slash] !== 0x2f || digits < 1 || digits > 3) return -1;
  let length = 0;
  for (let at = slash + 1; at < end; at++) {
    const digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return digits > 1 && bytes[slash + 1] === 0x30 ? -1 : length;
}
