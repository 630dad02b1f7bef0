/** Protobuf QERs and BARs into the tables of a record. Pure; any thread. */
import * as layout from '../record-layout.js';
import type { DecodeContext } from './decode-context.js';

const enum QerTag {
  Id = 8,
  UplinkClosed = 16,
  DownlinkClosed = 24,
  UplinkMbr = 32,
  DownlinkMbr = 40,
  UplinkGbr = 48,
  DownlinkGbr = 56,
  Qfi = 64,
  Rqi = 72,
  Ppi = 80,
  SharedBucket = 90,
}

export function decodeQer(context: DecodeContext, index: number, start: number, end: number): void {
  const { reader, record } = context;
  const { words } = record;
  const at = record.qersAt + index * layout.QER_WORDS;
  let flags = 0;
  reader.reset(reader.bytes, start, end);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case QerTag.Id:
        words[at] = reader.varint();
        break;
      case QerTag.UplinkClosed:
        flags = reader.bool() ? flags | layout.QER_UPLINK_CLOSED : flags & ~1;
        break;
      case QerTag.DownlinkClosed:
        flags = reader.bool() ? flags | layout.QER_DOWNLINK_CLOSED : flags & ~2;
        break;
      case QerTag.UplinkMbr:
      case QerTag.DownlinkMbr:
      case QerTag.UplinkGbr:
      case QerTag.DownlinkGbr: {
        const rate = (tag - QerTag.UplinkMbr) >>> 3;
        reader.varint();
        words[at + layout.QER_UPLINK_MBR_LOW + rate * 2] = reader.low;
        words[at + layout.QER_UPLINK_MBR_HIGH + rate * 2] = reader.high;
        flags |= layout.QER_UPLINK_MBR << rate;
        break;
      }
      case QerTag.Qfi:
        words[at + layout.QER_QFI] = (words[at + layout.QER_QFI]! & ~0xff) | context.byte();
        flags |= layout.QER_HAS_QFI;
        break;
      case QerTag.Rqi:
        flags = reader.bool() ? flags | layout.QER_RQI : flags & ~layout.QER_RQI;
        break;
      case QerTag.Ppi:
        words[at + layout.QER_QFI] = (words[at + layout.QER_QFI]! & 0xff) | (context.byte() << 8);
        flags |= layout.QER_HAS_PPI;
        break;
      case QerTag.SharedBucket:
        words[at + layout.QER_SHARED_BUCKET] = context.text();
        break;
      default:
        reader.skip(tag);
    }
  }
  words[at + layout.QER_FLAGS] = flags;
}

const enum BarTag {
  Id = 8,
  Delay = 18,
  PacketLimit = 24,
}

export function decodeBar(context: DecodeContext, index: number, start: number, end: number): void {
  const { reader, record } = context;
  const { words } = record;
  const at = record.barsAt + index * layout.BAR_WORDS;
  reader.reset(reader.bytes, start, end);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case BarTag.Id:
        words[at] = reader.varint();
        break;
      case BarTag.Delay:
        words[at + layout.BAR_NOTIFICATION_DELAY_MS] = context.durationMs(
          layout.TABLE_BAR,
          index,
          '.notification_delay',
        );
        break;
      case BarTag.PacketLimit:
        words[at + layout.BAR_PACKET_LIMIT] = reader.varint();
        break;
      default:
        reader.skip(tag);
    }
  }
}
