/**
 * Thresholds, quotas and times of a URR, and those from its monitoring times on, which lie in
 * a record as those of the URR do. Source: TS 29.244 clauses 5.2.2.2, 7.5.2.4. Pure.
 */
import * as layout from '../../model/record-layout.js';
import { DURATION_DAYS_MAX } from '../../model/rules/decode-context.js';
import * as Ie from '../codec/ie.js';
import { NTP_EPOCH_S } from '../codec/message-writer.js';
import { findIe, flagsAt } from './ie-tree.js';
import type { RuleContext } from './rule-context.js';

/** Longer times are cut: that they never end is as good. */
export const SECONDS_MAX = DURATION_DAYS_MAX * 86_400;

/** Reporting Triggers, the first octet in the lowest bits. */
export const Trigger = {
  Perio: 1 << 0,
  Volth: 1 << 1,
  Timth: 1 << 2,
  Start: 1 << 4,
  Stopt: 1 << 5,
  Droth: 1 << 6,
  Liusa: 1 << 7,
  Envcl: 1 << 10,
  Eveth: 1 << 12,
  Evequ: 1 << 13,
  Reemr: 1 << 16,
  Upint: 1 << 17,
} as const;

const DLPA = 1;
const DLBY = 2;

/**
 * A limit of the URR, or monitoring time, at words[at…]. Thresholds count only where they are
 * a trigger; quotas limit whether or not they are.
 */
export function compileLimit(
  context: RuleContext,
  at: number,
  ie: number,
  type: number,
  triggers: number,
): void {
  const { Volth, Timth } = Trigger;
  switch (type) {
    case Ie.VolumeThreshold:
    case Ie.SubsequentVolumeThreshold:
      if ((triggers & Volth) !== 0)
        compileVolumes(context, at, ie, layout.URR_THRESHOLD_TOTAL, layout.URR_HAS_THRESHOLD_TOTAL);
      break;
    case Ie.VolumeQuota:
    case Ie.SubsequentVolumeQuota:
      compileVolumes(context, at, ie, layout.URR_QUOTA_TOTAL, layout.URR_HAS_QUOTA_TOTAL);
      break;
    case Ie.TimeThreshold:
    case Ie.SubsequentTimeThreshold:
      if ((triggers & Timth) !== 0)
        compileTime(context, at, ie, layout.URR_TIME_THRESHOLD_MS, layout.URR_HAS_TIME_THRESHOLD);
      break;
    case Ie.TimeQuota:
    case Ie.SubsequentTimeQuota:
      compileTime(context, at, ie, layout.URR_TIME_QUOTA_MS, layout.URR_HAS_TIME_QUOTA);
      break;
  }
}

/** Seconds; 0 is none, but for a quota. */
export function compileTime(
  context: RuleContext,
  at: number,
  ie: number,
  word: number,
  flag: number,
): void {
  const { words } = context.record;
  const seconds = context.number(ie, 4);
  if (seconds === 0 && flag !== layout.URR_HAS_TIME_QUOTA) return;
  words[at + word] = Math.min(seconds, SECONDS_MAX) * 1000;
  words[at + layout.URR_FLAGS]! |= flag;
}

/** Total, uplink, downlink, those of them that are there; a threshold of 0 is none. */
function compileVolumes(
  context: RuleContext,
  at: number,
  ie: number,
  word: number,
  flag: number,
): void {
  const { tree, record } = context;
  const { words } = record;
  const present = flagsAt(tree, ie, 1) & 7;
  let from = tree.valueAt[ie]! + 1;
  for (let which = 0; which < 3; which++) {
    if ((present & (1 << which)) === 0) continue;
    if (!context.hasOctets(ie, from, 8)) return;
    const high = context.numberAt(from, 4);
    const low = context.numberAt(from + 4, 4);
    from += 8;
    if ((high | low) === 0 && flag === layout.URR_HAS_THRESHOLD_TOTAL) continue;
    words[at + word + which * 2] = low;
    words[at + word + which * 2 + 1] = high;
    words[at + layout.URR_FLAGS]! |= flag << which;
  }
}

/** Quota Holding Time or Quota Validity Time. There are SMFs that give the latter as a date. */
export function compileQuotaTime(context: RuleContext, index: number, ie: number): void {
  const { more } = context.record.references;
  const to = index * layout.URR_MORE_WORDS;
  const validity = context.tree.ieType[ie] === Ie.QuotaValidityTime;
  const which = validity ? 1 : 0;
  const seconds = Math.min(context.number(ie, 4), SECONDS_MAX);
  if (seconds === 0) return;
  more[to + layout.URR_MORE_QUOTA_HOLDING_MS + which] = seconds * 1000;
  more[to + layout.URR_MORE_FLAGS]! |= layout.URR_MORE_HAS_QUOTA_HOLDING << which;
}

/** Dropped DL Traffic Threshold: packets, bytes, or both; 0 is none. */
export function compileDropped(context: RuleContext, index: number, ie: number): void {
  const { tree, record } = context;
  const { more } = record.references;
  const to = index * layout.URR_MORE_WORDS;
  const flags = flagsAt(tree, ie, 1);
  let from = tree.valueAt[ie]! + 1;
  for (let which = 0; which < 2; which++) {
    if ((flags & (which === 0 ? DLPA : DLBY)) === 0) continue;
    if (!context.hasOctets(ie, from, 8)) return;
    const high = context.numberAt(from, 4);
    const low = context.numberAt(from + 4, 4);
    from += 8;
    if ((high | low) === 0) continue;
    more[to + layout.URR_MORE_DROPPED_PACKETS + which * 2] = low;
    more[to + layout.URR_MORE_DROPPED_PACKETS + which * 2 + 1] = high;
    more[to + layout.URR_MORE_FLAGS]! |= layout.URR_MORE_HAS_DROPPED_PACKETS << which;
  }
}

/** Time Quota Mechanism: without packets for its interval, an envelope is closed. */
export function compileEnvelope(context: RuleContext, at: number, ie: number): void {
  const { tree, record } = context;
  const { words } = record;
  const start = tree.valueAt[ie]! + 1;
  if (!context.hasOctets(ie, start, 4)) return;
  const seconds = Math.min(context.numberAt(start, 4), SECONDS_MAX);
  if (seconds === 0 || (words[at + layout.URR_FLAGS]! & layout.URR_HAS_INACTIVITY) !== 0) return;
  words[at + layout.URR_INACTIVITY_MS] = seconds * 1000;
  words[at + layout.URR_FLAGS]! |= layout.URR_HAS_INACTIVITY;
}

/** Places of the IEs that say a time: the URR itself, or its Additional Monitoring Times. */
const groups: number[] = [];

/** Monitoring Time and Additional Monitoring Time, in the order of their times. */
export function compileMonitors(
  context: RuleContext,
  index: number,
  ie: number,
  triggers: number,
): void {
  const { tree, record } = context;
  if (findIe(tree, ie, Ie.MonitoringTime) < 0) return;
  groups.length = 0;
  groups.push(ie);
  for (let i = ie + 1, end = tree.ieEnd[ie]!; i < end; i = tree.ieEnd[i]!) {
    if (tree.ieType[i] === Ie.AdditionalMonitoringTime) groups.push(i);
  }
  groups.sort((a, b) => timeOf(context, a) - timeOf(context, b));
  let before = 0;
  for (const group of groups) {
    const timeS = timeOf(context, group);
    // The first of two that are the same counts.
    if (timeS === before || timeS === 0) continue;
    before = timeS;
    const at = record.addMonitor(index);
    if (at === 0) {
      context.fail(Ie.AdditionalMonitoringTime, `there are at most ${layout.MONITORS_MAX}`);
      return;
    }
    record.words[at + layout.MONITOR_TIME_S] = timeS;
    for (let i = group + 1, end = tree.ieEnd[group]!; i < end; i = tree.ieEnd[i]!) {
      if (isSubsequent(tree.ieType[i]!)) compileLimit(context, at, i, tree.ieType[i]!, triggers);
    }
  }
}

function isSubsequent(type: number): boolean {
  return (
    type === Ie.SubsequentVolumeThreshold ||
    type === Ie.SubsequentTimeThreshold ||
    type === Ie.SubsequentVolumeQuota ||
    type === Ie.SubsequentTimeQuota
  );
}

/** Seconds since 1970; 0: none is said. */
function timeOf(context: RuleContext, group: number): number {
  const ie = findIe(context.tree, group, Ie.MonitoringTime);
  return ie < 0 ? 0 : (context.number(ie, 4) - NTP_EPOCH_S) >>> 0;
}

/** Flags of all limits that a URR's monitoring times bring. */
export function monitorFlags(context: RuleContext, index: number): number {
  const { words, references } = context.record;
  const list = references.more[index * layout.URR_MORE_WORDS + layout.URR_MORE_MONITORS]!;
  let flags = 0;
  for (let position = 0; position < list >>> 16; position++) {
    const at = (list & 0xffff) + position * layout.MONITOR_WORDS;
    flags |= words[at + layout.MONITOR_FLAGS]!;
  }
  return flags;
}
