/** Checks of URRs. Pure; any thread. */
import { urrMoreAt } from '../../record.js';
import * as layout from '../../record-layout.js';
import type { CheckContext } from '../check-context.js';

const VOLUME_FIELDS = ['total_bytes', 'uplink_bytes', 'downlink_bytes'];
const TIME_FIELDS = ['.time_threshold', '.time_quota', '.period', '.inactivity'];
const VOLUME_THRESHOLDS = layout.URR_HAS_THRESHOLD_TOTAL * 7;
const VOLUME_QUOTAS = layout.URR_HAS_QUOTA_TOTAL * 7;
const TIME_QUOTA = 1;
const REPORTS = [
  [layout.URR_REPORT_START, '.report_start'],
  [layout.URR_REPORT_STOP, '.report_stop'],
  [layout.URR_REPORT_ENVELOPE, '.report_envelope'],
] as const;
const MORE_TIMES = [
  [layout.URR_MORE_HAS_QUOTA_HOLDING, '.quota_holding_time', layout.URR_MORE_QUOTA_HOLDING_MS],
  [layout.URR_MORE_HAS_QUOTA_VALIDITY, '.quota_validity_time', layout.URR_MORE_QUOTA_VALIDITY_MS],
] as const;

function refuseUrr(context: CheckContext, index: number, suffix: string, message: string): false {
  return context.refuse(layout.TABLE_URR, index, suffix, message);
}

export function checkUrr(context: CheckContext, index: number): boolean {
  const at = context.urrsAt + index * layout.URR_WORDS;
  const flags = context.words[at + layout.URR_FLAGS]!;
  return (
    checkVolumes(context, index, at, flags, '') &&
    checkTimes(context, index, at, flags, '') &&
    checkTraffic(context, index, flags) &&
    ((flags & layout.URR_MORE) === 0 || checkMore(context, index, at, flags))
  );
}

/**
 * Limits of a URR at words[at…], or of one of its monitoring times, whose flags are `limits` then.
 */
function checkVolumes(
  context: CheckContext,
  index: number,
  at: number,
  flags: number,
  prefix: string,
  limits = flags,
): boolean {
  const words = context.words;
  if ((flags & layout.URR_VOLUME) === 0 && (limits & (VOLUME_THRESHOLDS | VOLUME_QUOTAS)) !== 0) {
    const field = (limits & VOLUME_THRESHOLDS) !== 0 ? '.volume_threshold' : '.volume_quota';
    return refuseUrr(context, index, prefix + field, 'must come with measure_volume');
  }
  for (let which = 0; which < VOLUME_FIELDS.length; which++) {
    const present = (limits & (layout.URR_HAS_THRESHOLD_TOTAL << which)) !== 0;
    const from = at + layout.URR_THRESHOLD_TOTAL + which * 2;
    if (!present || (words[from]! | words[from + 1]!) !== 0) continue;
    const suffix = `${prefix}.volume_threshold.${VOLUME_FIELDS[which]}`;
    return refuseUrr(context, index, suffix, 'must not be 0');
  }
  return true;
}

function checkTimes(
  context: CheckContext,
  index: number,
  at: number,
  flags: number,
  prefix: string,
  limits = flags,
): boolean {
  const timed = layout.URR_HAS_TIME_THRESHOLD | layout.URR_HAS_TIME_QUOTA;
  if ((flags & layout.URR_DURATION) === 0 && (limits & timed) !== 0) {
    const which = (limits & layout.URR_HAS_TIME_THRESHOLD) !== 0 ? 0 : TIME_QUOTA;
    const message = 'must come with measure_duration';
    return refuseUrr(context, index, prefix + TIME_FIELDS[which]!, message);
  }
  for (let which = 0; which < TIME_FIELDS.length; which++) {
    if ((limits & (layout.URR_HAS_TIME_THRESHOLD << which)) === 0 || which === TIME_QUOTA) continue;
    if (context.words[at + layout.URR_TIME_THRESHOLD_MS + which] !== 0) continue;
    return refuseUrr(context, index, prefix + TIME_FIELDS[which]!, 'must be longer than 0');
  }
  return true;
}

function checkTraffic(context: CheckContext, index: number, flags: number): boolean {
  for (const [flag, field] of REPORTS) {
    if ((flags & flag) === 0) continue;
    if ((flags & (layout.URR_VOLUME | layout.URR_DURATION)) === 0) {
      const message = 'must come with measure_volume or measure_duration';
      return refuseUrr(context, index, field, message);
    }
    if (flag === layout.URR_REPORT_START || (flags & layout.URR_HAS_INACTIVITY) !== 0) continue;
    const message = 'must come with inactivity: the time without packets that ends traffic';
    return refuseUrr(context, index, field, message);
  }
  if ((flags & layout.URR_INSTANT_START) === 0 || (flags & layout.URR_DURATION) !== 0) return true;
  return refuseUrr(context, index, '.instant_start', 'must come with measure_duration');
}

function checkMore(context: CheckContext, index: number, urr: number, flags: number): boolean {
  const { words, base } = context;
  const at = urrMoreAt(words, base, urr);
  const has = words[at + layout.URR_MORE_FLAGS]!;
  for (const [flag, field, word] of MORE_TIMES) {
    if ((has & flag) === 0 || words[at + word] !== 0) continue;
    return refuseUrr(context, index, field, 'must be longer than 0');
  }
  const quotas = VOLUME_QUOTAS | layout.URR_HAS_TIME_QUOTA;
  const limited = flags | monitorFlags(words, base, at);
  if ((has & layout.URR_MORE_HAS_QUOTA_VALIDITY) !== 0 && (limited & quotas) === 0) {
    const message = 'must come with volume_quota or time_quota';
    return refuseUrr(context, index, '.quota_validity_time', message);
  }
  for (let which = 0; which < 2; which++) {
    const from = at + layout.URR_MORE_DROPPED_PACKETS + which * 2;
    const present = (has & (layout.URR_MORE_HAS_DROPPED_PACKETS << which)) !== 0;
    if (!present || (words[from]! | words[from + 1]!) !== 0) continue;
    const field = `.dropped_downlink_threshold.${which === 0 ? 'packets' : 'bytes'}`;
    return refuseUrr(context, index, field, 'must not be 0');
  }
  return checkMonitors(context, index, at, flags);
}

/** What limits any of the monitoring times has. */
function monitorFlags(words: Uint32Array, base: number, more: number): number {
  const list = words[more + layout.URR_MORE_MONITORS]!;
  let flags = 0;
  for (let position = 0; position < list >>> 16; position++) {
    const at = base + (list & 0xffff) + position * layout.MONITOR_WORDS;
    flags |= words[at + layout.MONITOR_FLAGS]!;
  }
  return flags;
}

function checkMonitors(context: CheckContext, index: number, more: number, flags: number): boolean {
  const { words, base } = context;
  const list = words[more + layout.URR_MORE_MONITORS]!;
  let before = 0;
  for (let position = 0; position < list >>> 16; position++) {
    const at = base + (list & 0xffff) + position * layout.MONITOR_WORDS;
    const prefix = `.monitoring_times[${position}]`;
    const timeS = words[at + layout.MONITOR_TIME_S]!;
    if (timeS <= before) {
      const message = before === 0 ? 'must be given' : 'must be later than the one before';
      return refuseUrr(context, index, `${prefix}.time`, message);
    }
    before = timeS;
    const limits = words[at + layout.MONITOR_FLAGS]!;
    if (!checkVolumes(context, index, at, flags, prefix, limits)) return false;
    if (!checkTimes(context, index, at, flags, prefix, limits)) return false;
  }
  return true;
}
