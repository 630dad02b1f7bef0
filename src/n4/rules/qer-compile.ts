/** QERs and BARs of a shadow into a record. Sources: TS 29.244 clauses 7.5.2.5, 7.5.2.6. Pure. */
import * as layout from '../../model/record-layout.js';
import { RATE_KBPS_MAX } from '../../model/rules/qer-check.js';
import * as Ie from '../codec/ie.js';
import { flagsAt } from './ie-tree.js';
import type { RuleContext } from './rule-context.js';

const RATE_OCTETS = 5;
const WORD = 2 ** 32;
/** Downlink Data Notification Delay is counted in these. */
const DELAY_UNIT_MS = 50;
const CORRELATION_DIGITS = 8;
const correlation = new Uint8Array(CORRELATION_DIGITS);

export function compileQer(context: RuleContext, index: number, ie: number): void {
  const { tree, record } = context;
  const { words } = record;
  const at = record.qersAt + index * layout.QER_WORDS;
  let id = -1;
  let gates = -1;
  let flags = 0;
  let qfi = 0;
  for (let i = ie + 1, end = tree.ieEnd[ie]!; i < end; i = tree.ieEnd[i]!) {
    switch (tree.ieType[i]) {
      case Ie.QerId:
        if (id < 0) id = context.number(i, 4);
        context.ruleId = id;
        break;
      case Ie.GateStatus:
        if (gates < 0) gates = context.number(i, 1);
        break;
      case Ie.Mbr:
        flags |= rates(context, at, i, 0);
        break;
      case Ie.Gbr:
        flags |= rates(context, at, i, 2);
        break;
      case Ie.Qfi:
        qfi = context.number(i, 1) & 63;
        break;
      case Ie.Rqi:
        if ((flagsAt(tree, i, 1) & 1) !== 0) flags |= layout.QER_RQI;
        break;
      case Ie.PagingPolicyIndicator:
        words[at + layout.QER_QFI]! |= (context.number(i, 1) & 7) << 8;
        flags |= layout.QER_HAS_PPI;
        break;
      case Ie.QerCorrelationId:
        words[at + layout.QER_SHARED_BUCKET] = bucketName(context, i);
        break;
    }
  }
  // QERs of a whole session have no QFI, which some say with 0.
  if (qfi !== 0) {
    words[at + layout.QER_QFI]! |= qfi;
    flags |= layout.QER_HAS_QFI;
  }
  words[at] = id;
  if (id < 0) context.missing(Ie.QerId);
  else if (gates < 0) context.missing(Ie.GateStatus);
  if ((gates & 0x0c) !== 0) flags |= layout.QER_UPLINK_CLOSED;
  if ((gates & 0x03) !== 0) flags |= layout.QER_DOWNLINK_CLOSED;
  words[at + layout.QER_FLAGS] = flags;
  boundGuaranteed(words, at, flags);
}

/** Uplink and downlink rates in kbit/s; `first` 0: MBR, 2: GBR. Returns QER_… flags. */
function rates(context: RuleContext, at: number, ie: number, first: number): number {
  const { tree, record } = context;
  const start = tree.valueAt[ie]!;
  if (!context.hasOctets(ie, start, 2 * RATE_OCTETS)) return 0;
  let flags = 0;
  for (let way = 0; way < 2; way++) {
    const octets = start + way * RATE_OCTETS;
    const rate = context.numberAt(octets, 1) * WORD + context.numberAt(octets + 1, 4);
    // More than any port carries is no limit.
    if (rate > RATE_KBPS_MAX) continue;
    record.words[at + layout.QER_UPLINK_MBR_LOW + (first + way) * 2] = rate;
    flags |= layout.QER_UPLINK_MBR << (first + way);
  }
  return flags;
}

/** Nothing is guaranteed beyond what is allowed: SMFs leave a GBR where they lower the MBR. */
function boundGuaranteed(words: Uint32Array, at: number, flags: number): void {
  for (let way = 0; way < 2; way++) {
    if ((flags & (layout.QER_UPLINK_MBR << way)) === 0) continue;
    const most = words[at + layout.QER_UPLINK_MBR_LOW + way * 2]!;
    const guaranteed = at + layout.QER_UPLINK_GBR_LOW + way * 2;
    if (words[guaranteed]! > most) words[guaranteed] = most;
  }
}

/** QERs of one correlation ID share a bucket: its name is the ID in hexadecimal digits. */
function bucketName(context: RuleContext, ie: number): number {
  let rest = context.number(ie, 4);
  for (let digit = CORRELATION_DIGITS - 1; digit >= 0; digit--) {
    correlation[digit] = '0123456789abcdef'.charCodeAt(rest & 15);
    rest >>>= 4;
  }
  return context.record.appendText(correlation, 0, CORRELATION_DIGITS);
}

export function compileBar(context: RuleContext, index: number, ie: number): void {
  const { tree, record } = context;
  const { words } = record;
  const at = record.barsAt + index * layout.BAR_WORDS;
  let id = -1;
  for (let i = ie + 1, end = tree.ieEnd[ie]!; i < end; i = tree.ieEnd[i]!) {
    switch (tree.ieType[i]) {
      case Ie.BarId:
        if (id < 0) id = context.number(i, 1);
        context.ruleId = id;
        break;
      case Ie.DownlinkDataNotificationDelay:
        words[at + layout.BAR_NOTIFICATION_DELAY_MS] = context.number(i, 1) * DELAY_UNIT_MS;
        break;
      case Ie.SuggestedBufferingPacketsCount:
        words[at + layout.BAR_PACKET_LIMIT] = context.number(i, 1);
        break;
    }
  }
  words[at] = id;
  if (id < 0) context.missing(Ie.BarId);
}
