/** Checks of QERs. Pure; any thread. */
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
