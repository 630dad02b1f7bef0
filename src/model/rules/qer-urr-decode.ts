/** Protobuf QERs, URRs and BARs into the tables of a record. Pure; any thread. */
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

const enum UrrTag {
  Id = 8,
  Volume = 16,
  Duration = 24,
  BeforePolicing = 32,
  VolumeThreshold = 42,
  VolumeQuota = 50,
  TimeThreshold = 58,
  TimeQuota = 66,
  Period = 74,
  Inactivity = 82,
  Linked = 88,
  LinkedPacked = 90,
  QuotaFar = 96,
  ReportStart = 104,
  ReportStop = 112,
  QuotaGrant = 120,
}

const DURATION_FIELDS = ['.time_threshold', '.time_quota', '.period', '.inactivity'];

export function decodeUrr(context: DecodeContext, index: number, start: number, end: number): void {
  const { reader, record } = context;
  const { words, references } = record;
  const at = record.urrsAt + index * layout.URR_WORDS;
  references.linkedFirst[index] = references.urrs;
  reader.reset(reader.bytes, start, end);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case UrrTag.Id:
        words[at] = reader.varint();
        break;
      case UrrTag.Volume:
      case UrrTag.Duration:
      case UrrTag.BeforePolicing:
        decodeFlag(context, at, layout.URR_VOLUME << ((tag >>> 3) - 2));
        break;
      case UrrTag.VolumeThreshold:
        decodeVolume(context, at, layout.URR_THRESHOLD_TOTAL, layout.URR_HAS_THRESHOLD_TOTAL);
        break;
      case UrrTag.VolumeQuota:
        decodeVolume(context, at, layout.URR_QUOTA_TOTAL, layout.URR_HAS_QUOTA_TOTAL);
        break;
      case UrrTag.TimeThreshold:
      case UrrTag.TimeQuota:
      case UrrTag.Period:
      case UrrTag.Inactivity: {
        const which = (tag >>> 3) - 7;
        const ms = context.durationMs(layout.TABLE_URR, index, DURATION_FIELDS[which]!);
        words[at + layout.URR_TIME_THRESHOLD_MS + which] = ms;
        words[at + layout.URR_FLAGS] =
          words[at + layout.URR_FLAGS]! | (layout.URR_HAS_TIME_THRESHOLD << which);
        break;
      }
      case UrrTag.Linked:
      case UrrTag.LinkedPacked:
        references.urrs = context.ruleIds(tag, references.urrIds, references.urrs);
        break;
      case UrrTag.QuotaFar:
        references.quotaFarIds[index] = reader.varint();
        break;
      case UrrTag.ReportStart:
      case UrrTag.ReportStop:
        decodeFlag(context, at, layout.URR_REPORT_START << ((tag >>> 3) - 13));
        break;
      case UrrTag.QuotaGrant:
        decodeGrant(context, index, at);
        break;
      default:
        reader.skip(tag);
    }
  }
  references.linkedCount[index] = references.urrs - references.linkedFirst[index]!;
}

function decodeFlag(context: DecodeContext, at: number, flag: number): void {
  const words = context.record.words;
  const flags = words[at + layout.URR_FLAGS]!;
  words[at + layout.URR_FLAGS] = context.reader.bool() ? flags | flag : flags & ~flag;
}

function decodeGrant(context: DecodeContext, index: number, at: number): void {
  const grant = context.reader.varint();
  if (grant < 0 || grant > layout.URR_QUOTA_GRANT_MAX) {
    const message = `must be from 0 to ${layout.URR_QUOTA_GRANT_MAX}`;
    context.refuse(layout.TABLE_URR, index, '.quota_grant', message);
  }
  context.record.words[at + layout.URR_QUOTA_FAR] = grant << layout.URR_QUOTA_GRANT_SHIFT;
}

function decodeVolume(context: DecodeContext, at: number, words: number, flag: number): void {
  const reader = context.reader;
  const target = context.record.words;
  const outer = reader.open();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    const which = (tag >>> 3) - 1;
    if ((tag & 7) !== 0 || which > 2) {
      reader.skip(tag);
      continue;
    }
    reader.varint();
    target[at + words + which * 2] = reader.low;
    target[at + words + which * 2 + 1] = reader.high;
    target[at + layout.URR_FLAGS] = target[at + layout.URR_FLAGS]! | (flag << which);
  }
  reader.close(outer);
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
