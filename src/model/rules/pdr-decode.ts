/** Protobuf PDRs into the PDR and filter tables of a record. Pure; any thread. */
import * as layout from '../record-layout.js';
import { ADDRESS_BAD, BAD_IPV4, BAD_IPV6, type DecodeContext } from './decode-context.js';
import { beginRoutes, decodeFilter, decodeRoute } from './filter-decode.js';

const AUTO = 'auto';

const enum PdrTag {
  Id = 8,
  Precedence = 16,
  Pdi = 26,
  Removal = 32,
  FarId = 40,
  QerIds = 48,
  QerIdsPacked = 50,
  UrrIds = 56,
  UrrIdsPacked = 58,
}

const enum PdiTag {
  Source = 8,
  Instance = 18,
  FTeid = 26,
  UeAddress = 34,
  Filter = 42,
  Qfis = 48,
  QfisPacked = 50,
  Route = 58,
  Protection = 64,
}

/** SDF filters of the PDR bytes[start…end). */
export function countFilters(context: DecodeContext, start: number, end: number): number {
  const scanner = context.scanner;
  let filters = 0;
  scanner.reset(context.reader.bytes, start, end);
  for (let tag = scanner.tag(); tag !== 0; tag = scanner.tag()) {
    if (tag !== PdrTag.Pdi) {
      scanner.skip(tag);
      continue;
    }
    const outer = scanner.open();
    for (let inner = scanner.tag(); inner !== 0; inner = scanner.tag()) {
      if (inner === PdiTag.Filter) filters++;
      scanner.skip(inner);
    }
    scanner.close(outer);
  }
  return filters;
}

export function decodePdr(
  context: DecodeContext,
  index: number,
  start: number,
  end: number,
  filters: number,
): void {
  const { reader, record } = context;
  const { words, references } = record;
  const at = layout.HEADER_WORDS + index * layout.PDR_WORDS;
  references.qerFirst[index] = references.qers;
  references.urrFirst[index] = references.urrs;
  let pdis = 0;
  reader.reset(reader.bytes, start, end);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case PdrTag.Id: {
        const id = reader.varint();
        // 0 is no ID either, so validate.ts has one message for both.
        words[at] = (words[at]! & ~0xffff) | (id >= 0 && id <= 0xffff ? id : 0);
        break;
      }
      case PdrTag.Precedence:
        words[at + layout.PDR_PRECEDENCE] = reader.varint();
        break;
      case PdrTag.Pdi:
        if (pdis++ > 0) context.refuse(layout.TABLE_PDR, index, '.pdi', 'must be given once');
        else decodePdi(context, index, at, filters);
        break;
      case PdrTag.Removal:
        words[at] = (words[at]! & 0xffffff) | (context.byte() << 24);
        break;
      case PdrTag.FarId:
        references.farIds[index] = reader.varint();
        break;
      case PdrTag.QerIds:
      case PdrTag.QerIdsPacked:
        references.qers = context.ruleIds(tag, references.qerIds, references.qers);
        break;
      case PdrTag.UrrIds:
      case PdrTag.UrrIdsPacked:
        references.urrs = context.ruleIds(tag, references.urrIds, references.urrs);
        break;
      default:
        reader.skip(tag);
    }
  }
  references.qerCount[index] = references.qers - references.qerFirst[index]!;
  references.urrCount[index] = references.urrs - references.urrFirst[index]!;
}

function decodePdi(context: DecodeContext, index: number, at: number, filters: number): void {
  const { reader, record } = context;
  const { words } = record;
  const outer = reader.open();
  const start = reader.position;
  const first = context.filters;
  let filter = first;
  let routes = 0;
  words[at + layout.PDR_FILTERS] = filter | (filters << 16);
  context.filters += filters;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case PdiTag.Source:
        words[at] = (words[at]! & ~0xff0000) | (context.byte() << 16);
        break;
      case PdiTag.Instance:
        words[at + layout.PDR_INSTANCE] = context.text();
        break;
      case PdiTag.FTeid:
        decodeFTeid(context, index, at);
        break;
      case PdiTag.UeAddress:
        decodeUeAddress(context, index, at);
        break;
      case PdiTag.Filter:
        decodeFilter(context, index, filter, filter - first);
        filter++;
        break;
      case PdiTag.Qfis:
        decodeQfi(context, index, at);
        break;
      case PdiTag.QfisPacked: {
        const list = reader.open();
        while (reader.position < reader.end) decodeQfi(context, index, at);
        reader.close(list);
        break;
      }
      case PdiTag.Route:
        if (routes === 0) beginRoutes(context, index, at, tag, start);
        decodeRoute(context, index, at, routes++);
        break;
      case PdiTag.Protection: {
        const number = context.protection(layout.TABLE_PDR, index, '.pdi.protection_id');
        const word = words[at + layout.PDR_FRAMED_ROUTES]! & 0xffff;
        words[at + layout.PDR_FRAMED_ROUTES] = word | (number << 16);
        break;
      }
      default:
        reader.skip(tag);
    }
  }
  reader.close(outer);
}

function decodeQfi(context: DecodeContext, index: number, at: number): void {
  const qfi = context.reader.varint();
  if (context.reader.failed) return;
  if (qfi < 1 || qfi > 63) {
    context.refuse(layout.TABLE_PDR, index, '.pdi.qfis', 'must be from 1 to 63 each');
    return;
  }
  const word = at + (qfi < 32 ? layout.PDR_QFIS_LOW : layout.PDR_QFIS_HIGH);
  context.record.words[word] = context.record.words[word]! | (1 << (qfi & 31));
}

/** Addresses are the client's only if the TEID is; else they are outputs, passed over. */
function decodeFTeid(context: DecodeContext, index: number, at: number): void {
  const { reader, record } = context;
  const { words } = record;
  let ipv4 = -1;
  let ipv6 = -1;
  let choice = layout.F_TEID_PRESENT;
  const outer = reader.open();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case 8:
        words[at + layout.PDR_TEID] = reader.varint();
        choice = layout.F_TEID_PRESENT;
        break;
      case 16: {
        const id = reader.varint();
        if (id < 0 || id > 255) {
          const suffix = '.pdi.local_f_teid.choose_id';
          context.refuse(layout.TABLE_PDR, index, suffix, 'must be from 0 to 255');
        }
        choice = layout.F_TEID_PRESENT | layout.F_TEID_CHOSEN_HERE | (id << 8);
        break;
      }
      case 26:
        ipv4 = reader.position;
        reader.skip(tag);
        break;
      case 34:
        ipv6 = reader.position;
        reader.skip(tag);
        break;
      default:
        reader.skip(tag);
    }
  }
  const behind = reader.position;
  if ((choice & layout.F_TEID_CHOSEN_HERE) !== 0) words[at + layout.PDR_TEID] = 0;
  else if (!reader.failed) choice |= decodeLocalAddresses(context, index, at, ipv4, ipv6);
  if (!reader.failed) reader.position = behind;
  reader.close(outer);
  words[at + layout.PDR_F_TEID] = choice;
}

/** Texts whose lengths stand at these positions, -1: absent; returns F_TEID_… bits. */
function decodeLocalAddresses(
  context: DecodeContext,
  index: number,
  at: number,
  ipv4: number,
  ipv6: number,
): number {
  let flags = 0;
  if (ipv4 >= 0) {
    context.reader.position = ipv4;
    const found = context.ipv4();
    if (found === ADDRESS_BAD) {
      context.refuse(layout.TABLE_PDR, index, '.pdi.local_f_teid.ipv4', BAD_IPV4);
      return 0;
    }
    context.record.words[at + layout.PDR_LOCAL_IPV4] = context.ip.ipv4;
    flags |= found * layout.F_TEID_IPV4;
  }
  if (ipv6 >= 0) {
    context.reader.position = ipv6;
    const found = context.ipv6(at + layout.PDR_LOCAL_IPV6);
    if (found === ADDRESS_BAD) {
      context.refuse(layout.TABLE_PDR, index, '.pdi.local_f_teid.ipv6', BAD_IPV6);
      return 0;
    }
    flags |= found * layout.F_TEID_IPV6;
  }
  return flags;
}

function isAuto(bytes: Uint8Array, start: number, length: number): boolean {
  if (length !== AUTO.length) return false;
  for (let at = 0; at < length; at++) {
    if (bytes[start + at] !== AUTO.charCodeAt(at)) return false;
  }
  return true;
}

function decodeUeAddress(context: DecodeContext, index: number, at: number): void {
  const { reader, record } = context;
  const outer = reader.open();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag !== 10 && tag !== 18) {
      reader.skip(tag);
      continue;
    }
    const length = reader.length();
    const start = reader.position;
    const auto = isAuto(reader.bytes, start, length);
    if (length === 0) continue;
    reader.position = start + length;
    const lists = record.words[at + layout.PDR_LISTS]!;
    if (tag === 10) {
      const flags = auto ? layout.PDR_UE_IPV4 | layout.PDR_UE_IPV4_AUTO : layout.PDR_UE_IPV4;
      if (!nameIpv4(context, index, start, length, auto)) continue;
      record.words[at + layout.PDR_LISTS] = lists | (flags << 16);
    } else {
      const flags = auto ? layout.PDR_UE_IPV6 | layout.PDR_UE_IPV6_AUTO : layout.PDR_UE_IPV6;
      if (!namePrefix(context, index, start, length, auto)) continue;
      record.words[at + layout.PDR_LISTS] = lists | (flags << 16);
    }
  }
  reader.close(outer);
}

function nameIpv4(
  context: DecodeContext,
  index: number,
  start: number,
  length: number,
  auto: boolean,
): boolean {
  const suffix = '.pdi.ue_address.ipv4';
  const end = start + length;
  if (!auto && context.ip.readIpv4(context.reader.bytes, start, end) !== end) {
    return context.refuse(layout.TABLE_PDR, index, suffix, `${BAD_IPV4}, or "auto"`);
  }
  const address = auto ? 0 : context.ip.ipv4;
  if (!auto && address === 0) {
    return context.refuse(layout.TABLE_PDR, index, suffix, 'must not be 0.0.0.0');
  }
  if (context.record.nameUeIpv4(address)) return true;
  const message = 'must be the same in all PDRs: a session has one UE IPv4 address';
  return context.refuse(layout.TABLE_PDR, index, suffix, message);
}

function namePrefix(
  context: DecodeContext,
  index: number,
  start: number,
  length: number,
  auto: boolean,
): boolean {
  const suffix = '.pdi.ue_address.ipv6_prefix';
  const { ip, record } = context;
  const bytes = context.reader.bytes;
  const end = start + length;
  let high = 0;
  let low = 0;
  if (!auto) {
    const slash = ip.readIpv6(bytes, start, end);
    const wide = slash + 3 === end && bytes[slash] === 0x2f;
    if (!wide || bytes[slash + 1] !== 0x36 || bytes[slash + 2] !== 0x34) {
      const message = 'must be an IPv6 /64 such as 2001:db8:0:1::/64, or "auto"';
      return context.refuse(layout.TABLE_PDR, index, suffix, message);
    }
    high = ip.ipv6[0]!;
    low = ip.ipv6[1]!;
    if ((high | low) === 0) {
      return context.refuse(layout.TABLE_PDR, index, suffix, 'must not be ::/64');
    }
  }
  if (record.nameUePrefix(high, low)) return true;
  const message = 'must be the same in all PDRs: a session has one UE IPv6 prefix';
  return context.refuse(layout.TABLE_PDR, index, suffix, message);
}
