/** Protobuf FARs into the FAR table of a record. Pure; any thread. */
import type { RecordBuffer } from '../record.js';
import * as layout from '../record-layout.js';
import {
  ADDRESS_BAD,
  ADDRESS_READ,
  BAD_IPV4,
  BAD_IPV6,
  type DecodeContext,
} from './decode-context.js';

const enum FarTag {
  Id = 8,
  Forward = 18,
  Drop = 26,
  Buffer = 34,
  Duplicate = 42,
}

export function decodeFar(context: DecodeContext, index: number, start: number, end: number): void {
  const { reader, record } = context;
  const { words } = record;
  const at = record.farsAt + index * layout.FAR_WORDS;
  let duplicate = 0;
  let duplicates = 0;
  reader.reset(reader.bytes, start, end);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case FarTag.Id:
        words[at] = reader.varint();
        break;
      case FarTag.Forward:
        chooseAction(record, at, index, layout.ACTION_FORWARD);
        decodeForward(context, at, index, -1);
        break;
      case FarTag.Drop: {
        chooseAction(record, at, index, layout.ACTION_DROP);
        const length = reader.length();
        reader.position += length;
        break;
      }
      case FarTag.Buffer:
        chooseAction(record, at, index, layout.ACTION_BUFFER);
        decodeBuffer(context, at, index);
        break;
      case FarTag.Duplicate:
        if (duplicate === 0) {
          const count = context.count(tag, start, end);
          if (count > 255) {
            const message = 'must be at most 255';
            context.refuse(layout.TABLE_FAR, index, '.duplicates', message);
            break;
          }
          duplicate = record.allocate(count * layout.FAR_WORDS);
          words[at + layout.FAR_DUPLICATES] = duplicate;
          words[at + layout.FAR_UDP_PORT] = words[at + layout.FAR_UDP_PORT]! | (count << 24);
          if (record.overflowed) return;
        }
        words[duplicate + duplicates * layout.FAR_WORDS + layout.FAR_ACTION] =
          layout.ACTION_FORWARD;
        decodeForward(context, duplicate + duplicates * layout.FAR_WORDS, index, duplicates);
        duplicates++;
        break;
      default:
        reader.skip(tag);
    }
  }
}

/** The last action of the oneof counts: another kind forgets what came before. */
function chooseAction(record: RecordBuffer, at: number, index: number, action: number): void {
  const words = record.words;
  if ((words[at + layout.FAR_ACTION]! & 255) === action) return;
  const duplicates = words[at + layout.FAR_UDP_PORT]! & 0xff000000;
  words.fill(0, at + layout.FAR_ACTION, at + layout.FAR_DUPLICATES);
  words[at + layout.FAR_PROTECTION] = 0;
  words[at + layout.FAR_ACTION] = action;
  words[at + layout.FAR_UDP_PORT] = duplicates;
  record.references.barIds[index] = 0;
}

const enum ForwardTag {
  Interface = 8,
  Instance = 18,
  OuterHeader = 26,
  Dscp = 32,
  Protection = 40,
}

function decodeForward(context: DecodeContext, at: number, index: number, duplicate: number): void {
  const { reader, record } = context;
  const { words } = record;
  const outer = reader.open();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    const action = words[at + layout.FAR_ACTION]!;
    switch (tag) {
      case ForwardTag.Interface:
        words[at + layout.FAR_ACTION] = (action & ~0xff00) | (context.byte() << 8);
        break;
      case ForwardTag.Instance:
        words[at + layout.FAR_INSTANCE] = context.text();
        break;
      case ForwardTag.OuterHeader:
        decodeOuterHeader(context, at, index, duplicate);
        break;
      case ForwardTag.Dscp:
        words[at + layout.FAR_ACTION] =
          (action & 0xffffff) | (layout.FAR_DSCP << 16) | (context.byte() << 24);
        break;
      case ForwardTag.Protection: {
        const forward = duplicate < 0 ? '.forward' : `.duplicates[${duplicate}]`;
        const suffix = `${forward}.protection_id`;
        words[at + layout.FAR_PROTECTION] = context.protection(layout.TABLE_FAR, index, suffix);
        break;
      }
      default:
        reader.skip(tag);
    }
  }
  reader.close(outer);
}

const enum OuterHeaderTag {
  Teid = 8,
  Ipv4 = 18,
  Ipv6 = 26,
  UdpPort = 32,
}

function decodeOuterHeader(
  context: DecodeContext,
  at: number,
  index: number,
  duplicate: number,
): void {
  const { reader, record } = context;
  const { words } = record;
  let flags = ((words[at + layout.FAR_ACTION]! >>> 16) & 255) | layout.FAR_OUTER_HEADER;
  const outer = reader.open();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case OuterHeaderTag.Teid:
        words[at + layout.FAR_TEID] = reader.varint();
        break;
      case OuterHeaderTag.Ipv4: {
        const found = context.ipv4();
        if (found === ADDRESS_BAD) refuseOuter(context, index, duplicate, 'ipv4', BAD_IPV4);
        flags =
          found === ADDRESS_READ ? flags | layout.FAR_OUTER_IPV4 : flags & ~layout.FAR_OUTER_IPV4;
        words[at + layout.FAR_IPV4] = context.ip.ipv4;
        break;
      }
      case OuterHeaderTag.Ipv6: {
        const found = context.ipv6(at + layout.FAR_IPV6);
        if (found === ADDRESS_BAD) refuseOuter(context, index, duplicate, 'ipv6', BAD_IPV6);
        flags =
          found === ADDRESS_READ ? flags | layout.FAR_OUTER_IPV6 : flags & ~layout.FAR_OUTER_IPV6;
        break;
      }
      case OuterHeaderTag.UdpPort: {
        const port = reader.varint();
        if (port < 0 || port > 0xffff) {
          refuseOuter(context, index, duplicate, 'udp_port', 'must be from 0 to 65535');
        }
        words[at + layout.FAR_UDP_PORT] = (words[at + layout.FAR_UDP_PORT]! & ~0xffff) | port;
        break;
      }
      default:
        reader.skip(tag);
    }
  }
  reader.close(outer);
  words[at + layout.FAR_ACTION] = (words[at + layout.FAR_ACTION]! & ~0xff0000) | (flags << 16);
}

function refuseOuter(
  context: DecodeContext,
  index: number,
  duplicate: number,
  field: string,
  message: string,
): void {
  const forward = duplicate < 0 ? '.forward' : `.duplicates[${duplicate}]`;
  const suffix = `${forward}.outer_header_creation.${field}`;
  context.refuse(layout.TABLE_FAR, index, suffix, message);
}

function decodeBuffer(context: DecodeContext, at: number, index: number): void {
  const { reader, record } = context;
  const outer = reader.open();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 8) {
      const notify = reader.bool() ? layout.FAR_NOTIFY << 16 : 0;
      const word = record.words[at + layout.FAR_ACTION]! & ~(layout.FAR_NOTIFY << 16);
      record.words[at + layout.FAR_ACTION] = word | notify;
    } else if (tag === 16) record.references.barIds[index] = reader.varint();
    else reader.skip(tag);
  }
  reader.close(outer);
}
