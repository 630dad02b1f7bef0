/** Protobuf monitoring times of URRs, and the volumes that both have. Pure; any thread. */
import * as layout from '../../record-layout.js';
import type { DecodeContext } from '../decode-context.js';

const enum MonitorTag {
  Time = 10,
  VolumeThreshold = 18,
  VolumeQuota = 26,
  TimeThreshold = 34,
  TimeQuota = 42,
}

/** Volumes of a URR or of a monitoring time, whose words from URR_FLAGS on are the same. */
export function decodeVolume(
  context: DecodeContext,
  at: number,
  words: number,
  flag: number,
): void {
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

export function decodeMonitor(context: DecodeContext, urr: number): void {
  const { reader, record } = context;
  const { words } = record;
  const list = record.references.more[urr * layout.URR_MORE_WORDS + layout.URR_MORE_MONITORS]!;
  const field = `.monitoring_times[${list >>> 16}]`;
  const at = record.addMonitor(urr);
  if (at === 0) {
    const message = `must be at most ${layout.MONITORS_MAX}`;
    if (!record.overflowed) context.refuse(layout.TABLE_URR, urr, '.monitoring_times', message);
    reader.fail();
    return;
  }
  const outer = reader.open();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case MonitorTag.Time:
        words[at + layout.MONITOR_TIME_S] = decodeTimeS(context, urr, `${field}.time`);
        break;
      case MonitorTag.VolumeThreshold:
        decodeVolume(context, at, layout.MONITOR_THRESHOLD_TOTAL, layout.URR_HAS_THRESHOLD_TOTAL);
        break;
      case MonitorTag.VolumeQuota:
        decodeVolume(context, at, layout.MONITOR_QUOTA_TOTAL, layout.URR_HAS_QUOTA_TOTAL);
        break;
      case MonitorTag.TimeThreshold:
      case MonitorTag.TimeQuota: {
        const which = (tag >>> 3) - 4;
        const suffix = which === 0 ? '.time_threshold' : '.time_quota';
        const ms = context.durationMs(layout.TABLE_URR, urr, field + suffix);
        words[at + layout.MONITOR_TIME_THRESHOLD_MS + which] = ms;
        words[at + layout.MONITOR_FLAGS]! |= layout.URR_HAS_TIME_THRESHOLD << which;
        break;
      }
      default:
        reader.skip(tag);
    }
  }
  reader.close(outer);
}

/** Whole seconds since 1970; validation refuses 0. */
function decodeTimeS(context: DecodeContext, urr: number, suffix: string): number {
  const { reader } = context;
  let seconds = 0;
  let good = true;
  const outer = reader.open();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 8) {
      seconds = reader.varint() >>> 0;
      good = good && reader.high === 0;
    } else if (tag === 16) {
      good = good && reader.varint() === 0 && reader.high === 0;
    } else reader.skip(tag);
  }
  reader.close(outer);
  const message = 'must be whole seconds from 1970 to 2106';
  if (!good) context.refuse(layout.TABLE_URR, urr, suffix, message);
  return seconds;
}
