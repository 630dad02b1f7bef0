/** Checks of QERs and URRs. Pure; any thread. */
import { sameText } from '../record.js';
import * as layout from '../record-layout.js';
import type { CheckContext } from './check-context.js';

/** 400 Gbit/s in kbit/s. */
export const RATE_KBPS_MAX = 400_000_000;
export const BUCKET_NAME_MAX = 128;
const QFI_MAX = 63;
const PPI_MAX = 7;
const RATE_FIELDS = [
  '.uplink_mbr_kbps',
  '.downlink_mbr_kbps',
  '.uplink_gbr_kbps',
  '.downlink_gbr_kbps',
];
const MBR_FLAGS = layout.QER_UPLINK_MBR | layout.QER_DOWNLINK_MBR;

function refuseQer(context: CheckContext, index: number, suffix: string, message: string): false {
  return context.refuse(layout.TABLE_QER, index, suffix, message);
}

export function checkQer(context: CheckContext, index: number): boolean {
  const words = context.words;
  const at = context.qersAt + index * layout.QER_WORDS;
  const flags = words[at + layout.QER_FLAGS]!;
  const qfi = words[at + layout.QER_QFI]! & 255;
  const ppi = (words[at + layout.QER_QFI]! >>> 8) & 255;
  if ((flags & layout.QER_HAS_QFI) !== 0 && (qfi === 0 || qfi > QFI_MAX)) {
    return refuseQer(context, index, '.qfi', `must be from 1 to ${QFI_MAX}`);
  }
  if ((flags & layout.QER_HAS_PPI) !== 0 && ppi > PPI_MAX) {
    return refuseQer(context, index, '.ppi', `must be from 0 to ${PPI_MAX}`);
  }
  const bucket = words[at + layout.QER_SHARED_BUCKET]!;
  return (
    checkRates(context, index, at, flags) &&
    context.text(bucket, BUCKET_NAME_MAX, layout.TABLE_QER, index, '.shared_bucket') &&
    (bucket === 0 || checkBucket(context, index, at))
  );
}

function checkRates(context: CheckContext, index: number, at: number, flags: number): boolean {
  const words = context.words;
  for (let rate = 0; rate < 4; rate++) {
    if ((flags & (layout.QER_UPLINK_MBR << rate)) === 0) continue;
    const low = words[at + layout.QER_UPLINK_MBR_LOW + rate * 2]!;
    const high = words[at + layout.QER_UPLINK_MBR_HIGH + rate * 2]!;
    if (high !== 0 || low > RATE_KBPS_MAX) {
      const message = `must be at most ${RATE_KBPS_MAX} kbit/s (400 Gbit/s)`;
      return refuseQer(context, index, RATE_FIELDS[rate]!, message);
    }
    const limited = rate >= 2 && (flags & (layout.QER_UPLINK_MBR << (rate - 2))) !== 0;
    if (limited && low > words[at + layout.QER_UPLINK_MBR_LOW + (rate - 2) * 2]!) {
      return refuseQer(context, index, RATE_FIELDS[rate]!, 'must not be above the MBR');
    }
  }
  return true;
}

/** The first QER of the session that names the bucket sets the rates of all. */
function checkBucket(context: CheckContext, index: number, at: number): boolean {
  const { words, base } = context;
  const bucket = words[at + layout.QER_SHARED_BUCKET]!;
  for (let other = 0; other < index; other++) {
    const from = context.qersAt + other * layout.QER_WORDS;
    const ref = words[from + layout.QER_SHARED_BUCKET]!;
    if (ref !== bucket && !sameText(words, base, ref, words, base, bucket)) continue;
    let same =
      ((words[from + layout.QER_FLAGS]! ^ words[at + layout.QER_FLAGS]!) & MBR_FLAGS) === 0;
    for (let word = layout.QER_UPLINK_MBR_LOW; word <= layout.QER_DOWNLINK_MBR_HIGH; word++) {
      same = same && words[from + word] === words[at + word];
    }
    const message = 'must name QERs with the same MBRs: they share one bucket';
    return same || refuseQer(context, index, '.shared_bucket', message);
  }
  return true;
}

const VOLUME_FIELDS = ['total_bytes', 'uplink_bytes', 'downlink_bytes'];
const TIME_FIELDS = ['.time_threshold', '.time_quota', '.period', '.inactivity'];
const VOLUME_THRESHOLDS = layout.URR_HAS_THRESHOLD_TOTAL * 7;
const VOLUME_QUOTAS = layout.URR_HAS_QUOTA_TOTAL * 7;
const TIME_QUOTA = 1;

function refuseUrr(context: CheckContext, index: number, suffix: string, message: string): false {
  return context.refuse(layout.TABLE_URR, index, suffix, message);
}

export function checkUrr(context: CheckContext, index: number): boolean {
  const words = context.words;
  const at = context.urrsAt + index * layout.URR_WORDS;
  const flags = words[at + layout.URR_FLAGS]!;
  if ((flags & layout.URR_VOLUME) === 0 && (flags & (VOLUME_THRESHOLDS | VOLUME_QUOTAS)) !== 0) {
    const field = (flags & VOLUME_THRESHOLDS) !== 0 ? '.volume_threshold' : '.volume_quota';
    return refuseUrr(context, index, field, 'must come with measure_volume');
  }
  for (let which = 0; which < VOLUME_FIELDS.length; which++) {
    const present = (flags & (layout.URR_HAS_THRESHOLD_TOTAL << which)) !== 0;
    const from = at + layout.URR_THRESHOLD_TOTAL + which * 2;
    if (!present || (words[from]! | words[from + 1]!) !== 0) continue;
    const suffix = `.volume_threshold.${VOLUME_FIELDS[which]}`;
    return refuseUrr(context, index, suffix, 'must not be 0');
  }
  return checkTimes(context, index, at, flags);
}

function checkTimes(context: CheckContext, index: number, at: number, flags: number): boolean {
  const timed = layout.URR_HAS_TIME_THRESHOLD | layout.URR_HAS_TIME_QUOTA;
  if ((flags & layout.URR_DURATION) === 0 && (flags & timed) !== 0) {
    const which = (flags & layout.URR_HAS_TIME_THRESHOLD) !== 0 ? 0 : TIME_QUOTA;
    return refuseUrr(context, index, TIME_FIELDS[which]!, 'must come with measure_duration');
  }
  for (let which = 0; which < TIME_FIELDS.length; which++) {
    const present = (flags & (layout.URR_HAS_TIME_THRESHOLD << which)) !== 0;
    const ms = context.words[at + layout.URR_TIME_THRESHOLD_MS + which]!;
    if (present && ms === 0 && which !== TIME_QUOTA) {
      return refuseUrr(context, index, TIME_FIELDS[which]!, 'must be longer than 0');
    }
  }
  return checkTraffic(context, index, flags);
}

function checkTraffic(context: CheckContext, index: number, flags: number): boolean {
  const told = flags & (layout.URR_REPORT_START | layout.URR_REPORT_STOP);
  if (told === 0) return true;
  if ((flags & (layout.URR_VOLUME | layout.URR_DURATION)) === 0) {
    const field = (told & layout.URR_REPORT_START) !== 0 ? '.report_start' : '.report_stop';
    const message = 'must come with measure_volume or measure_duration';
    return refuseUrr(context, index, field, message);
  }
  if ((told & layout.URR_REPORT_STOP) === 0 || (flags & layout.URR_HAS_INACTIVITY) !== 0) {
    return true;
  }
  const message = 'must come with inactivity: the time without packets that ends traffic';
  return refuseUrr(context, index, '.report_stop', message);
}
