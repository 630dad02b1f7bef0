/**
 * This folder: URRs, from protobuf to the record and back, and their checks. Here: protobuf
 * URRs into the table of a record. Pure; any thread.
 */
import * as layout from '../../record-layout.js';
import type { DecodeContext } from '../decode-context.js';
import { decodeMonitor, decodeVolume } from './monitor-decode.js';

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
  QuotaHolding = 130,
  QuotaValidity = 138,
  DroppedDownlink = 146,
  Monitor = 154,
  EndMarker = 160,
  Envelope = 168,
  InstantStart = 176,
  Paused = 184,
  CountPackets = 192,
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
        decodeMore(context, index, at, tag);
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

/** What few URRs have, mostly the words of urr_more in native/session/record.h. */
function decodeMore(context: DecodeContext, index: number, at: number, tag: number): void {
  const { words } = context.record;
  switch (tag) {
    case UrrTag.EndMarker:
    case UrrTag.Envelope:
    case UrrTag.InstantStart:
    case UrrTag.Paused:
    case UrrTag.CountPackets:
      decodeFlag(context, at, layout.URR_REPORT_END_MARKER << ((tag >>> 3) - 20));
      return;
    case UrrTag.QuotaHolding:
    case UrrTag.QuotaValidity:
      decodeQuotaTime(context, index, tag === UrrTag.QuotaValidity ? 1 : 0);
      break;
    case UrrTag.DroppedDownlink:
      decodeDropped(context, index * layout.URR_MORE_WORDS);
      break;
    case UrrTag.Monitor:
      decodeMonitor(context, index);
      return;
    default:
      context.reader.skip(tag);
      return;
  }
  words[at + layout.URR_FLAGS]! |= layout.URR_MORE;
}

/** @param which  0: the holding time, 1: the validity time. */
function decodeQuotaTime(context: DecodeContext, index: number, which: number): void {
  const { more } = context.record.references;
  const to = index * layout.URR_MORE_WORDS;
  const field = which === 0 ? '.quota_holding_time' : '.quota_validity_time';
  const ms = context.durationMs(layout.TABLE_URR, index, field);
  more[to + layout.URR_MORE_QUOTA_HOLDING_MS + which] = ms;
  more[to + layout.URR_MORE_FLAGS]! |= layout.URR_MORE_HAS_QUOTA_HOLDING << which;
}

function decodeDropped(context: DecodeContext, to: number): void {
  const { reader } = context;
  const { more } = context.record.references;
  const outer = reader.open();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    const which = (tag >>> 3) - 1;
    if ((tag & 7) !== 0 || which > 1) {
      reader.skip(tag);
      continue;
    }
    reader.varint();
    more[to + layout.URR_MORE_DROPPED_PACKETS + which * 2] = reader.low;
    more[to + layout.URR_MORE_DROPPED_PACKETS + which * 2 + 1] = reader.high;
    more[to + layout.URR_MORE_FLAGS]! |= layout.URR_MORE_HAS_DROPPED_PACKETS << which;
  }
  reader.close(outer);
}
