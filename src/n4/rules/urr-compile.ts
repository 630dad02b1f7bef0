/**
 * URRs of a shadow into the URR table of a record, and the hidden URR that watches for a
 * session without traffic. Source: TS 29.244 clauses 7.5.2.4, 5.2.2.2. Pure.
 */
import * as layout from '../../model/record-layout.js';
import { DURATION_DAYS_MAX } from '../../model/rules/decode-context.js';
import * as Cause from '../codec/cause.js';
import * as Ie from '../codec/ie.js';
import { findIe, flagsAt } from './ie-tree.js';
import type { RuleContext } from './rule-context.js';

/**
 * The URR of a session's inactivity timer. URR IDs of the upper half are those of predefined
 * URRs, which there are none of: an SMF can't have it.
 */
export const INACTIVITY_URR_ID = 0xffff_ffff;
const SECONDS_MAX = DURATION_DAYS_MAX * 86_400;

const DURAT = 1;
const VOLUM = 2;

/** Reporting Triggers, the first octet in the lowest bits. */
const Trigger = {
  Perio: 1 << 0,
  Volth: 1 << 1,
  Timth: 1 << 2,
  Start: 1 << 4,
  Stopt: 1 << 5,
  Liusa: 1 << 7,
  Volqu: 1 << 8,
  Timqu: 1 << 9,
  Eveth: 1 << 12,
  Evequ: 1 << 13,
} as const;

export function compileUrr(context: RuleContext, index: number, ie: number): void {
  const { tree, record } = context;
  const { words, references } = record;
  const at = record.urrsAt + index * layout.URR_WORDS;
  const idAt = findIe(tree, ie, Ie.UrrId);
  const methodAt = findIe(tree, ie, Ie.MeasurementMethod);
  const triggersAt = findIe(tree, ie, Ie.ReportingTriggers);
  references.linkedFirst[index] = references.urrs;
  references.linkedCount[index] = 0;
  if (idAt < 0) {
    context.missing(Ie.UrrId);
    return;
  }
  const id = context.number(idAt, 4);
  words[at] = id;
  context.ruleId = id;
  if (id === INACTIVITY_URR_ID) {
    context.fail(Ie.UrrId, 'the ID is that of a predefined URR');
    return;
  }
  if (methodAt < 0) context.missing(Ie.MeasurementMethod);
  else if (triggersAt < 0) context.missing(Ie.ReportingTriggers);
  else {
    const method = flagsAt(tree, methodAt, 1);
    const triggers = flagsAt(tree, triggersAt, 3);
    if ((method & (DURAT | VOLUM)) === 0 || (triggers & (Trigger.Eveth | Trigger.Evequ)) !== 0) {
      const offending = (method & (DURAT | VOLUM)) === 0 ? methodAt : triggersAt;
      const message = 'only volume and duration are measured';
      context.refuse(Cause.ServiceNotSupported, tree.ieType[offending]!, message);
      return;
    }
    words[at + layout.URR_FLAGS] =
      ((method & VOLUM) !== 0 ? layout.URR_VOLUME : 0) |
      ((method & DURAT) !== 0 ? layout.URR_DURATION : 0) |
      ((triggers & Trigger.Start) !== 0 ? layout.URR_REPORT_START : 0) |
      ((triggers & Trigger.Stopt) !== 0 ? layout.URR_REPORT_STOP : 0);
    limits(context, index, at, ie, triggers);
  }
}

function limits(
  context: RuleContext,
  index: number,
  at: number,
  ie: number,
  triggers: number,
): void {
  const { tree, record } = context;
  const { words, references } = record;
  for (let i = ie + 1, end = tree.ieEnd[ie]!; i < end; i = tree.ieEnd[i]!) {
    switch (tree.ieType[i]) {
      case Ie.MeasurementPeriod:
        if ((triggers & Trigger.Perio) !== 0)
          time(context, at, i, layout.URR_PERIOD_MS, layout.URR_HAS_PERIOD);
        break;
      case Ie.VolumeThreshold:
        if ((triggers & Trigger.Volth) !== 0)
          volumes(context, at, i, layout.URR_THRESHOLD_TOTAL, layout.URR_HAS_THRESHOLD_TOTAL);
        break;
      case Ie.VolumeQuota:
        volumes(context, at, i, layout.URR_QUOTA_TOTAL, layout.URR_HAS_QUOTA_TOTAL);
        break;
      case Ie.TimeThreshold:
        if ((triggers & Trigger.Timth) !== 0)
          time(context, at, i, layout.URR_TIME_THRESHOLD_MS, layout.URR_HAS_TIME_THRESHOLD);
        break;
      case Ie.TimeQuota:
        time(context, at, i, layout.URR_TIME_QUOTA_MS, layout.URR_HAS_TIME_QUOTA);
        break;
      case Ie.InactivityDetectionTime:
        time(context, at, i, layout.URR_INACTIVITY_MS, layout.URR_HAS_INACTIVITY);
        break;
      case Ie.LinkedUrrId:
        if ((triggers & Trigger.Liusa) !== 0) linked(context, index, i);
        break;
      case Ie.FarId:
        references.quotaFarIds[index] = context.number(i, 4);
        break;
      case Ie.MeasurementInformation:
        if ((flagsAt(tree, i, 1) & 1) !== 0)
          words[at + layout.URR_FLAGS]! |= layout.URR_BEFORE_POLICING;
        break;
    }
  }
  // What has a limit is measured, whatever the method says.
  const flags = words[at + layout.URR_FLAGS]!;
  if ((flags & VOLUME_LIMITS) !== 0) words[at + layout.URR_FLAGS]! |= layout.URR_VOLUME;
  if ((flags & TIME_LIMITS) !== 0) words[at + layout.URR_FLAGS]! |= layout.URR_DURATION;
  if ((triggers & Trigger.Perio) !== 0 && (flags & layout.URR_HAS_PERIOD) === 0) {
    const message = 'PERIO needs a measurement period';
    context.refuse(Cause.ConditionalIeMissing, Ie.MeasurementPeriod, message);
  }
}

const VOLUME_LIMITS = (layout.URR_HAS_THRESHOLD_TOTAL | layout.URR_HAS_QUOTA_TOTAL) * 7;
const TIME_LIMITS = layout.URR_HAS_TIME_THRESHOLD | layout.URR_HAS_TIME_QUOTA;

/** Seconds; 0 is none, but for a quota. */
function time(context: RuleContext, at: number, ie: number, word: number, flag: number): void {
  const { words } = context.record;
  const seconds = context.number(ie, 4);
  if (seconds === 0 && flag !== layout.URR_HAS_TIME_QUOTA) return;
  words[at + word] = Math.min(seconds, SECONDS_MAX) * 1000;
  words[at + layout.URR_FLAGS]! |= flag;
}

/** Total, uplink, downlink, those of them that are there; a threshold of 0 is none. */
function volumes(context: RuleContext, at: number, ie: number, word: number, flag: number): void {
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

function linked(context: RuleContext, index: number, ie: number): void {
  const { references } = context.record;
  if (references.urrs === references.urrIds.length) {
    context.refuse(Cause.NoResources, Ie.LinkedUrrId, 'there are too many references');
    return;
  }
  references.urrIds[references.urrs++] = context.number(ie, 4);
  references.linkedCount[index]!++;
}

/** The hidden URR at `index`: it measures nothing and tells when no packet came for a while. */
export function compileInactivity(context: RuleContext, index: number, seconds: number): void {
  const { record } = context;
  const at = record.urrsAt + index * layout.URR_WORDS;
  record.words[at] = INACTIVITY_URR_ID;
  record.words[at + layout.URR_INACTIVITY_MS] = Math.min(seconds, SECONDS_MAX) * 1000;
  record.words[at + layout.URR_FLAGS] = layout.URR_HAS_INACTIVITY;
  record.references.linkedFirst[index] = record.references.urrs;
  record.references.linkedCount[index] = 0;
}

/**
 * Numbers of quota grants: what the version before had, and one more where the request gives
 * a new quota, whose size may be the old one.
 * @param renewed  IDs of URRs that get one, `count` of them.
 */
export function carryGrants(
  context: RuleContext,
  old: Uint32Array,
  oldUrrsAt: number,
  oldUrrs: number,
  renewed: Uint32Array,
  count: number,
): void {
  const { words, urrsAt, urrs } = context.record;
  for (let urr = 0, at = urrsAt; urr < urrs; urr++, at += layout.URR_WORDS) {
    const id = words[at]!;
    let grant = 0;
    for (let i = 0, from = oldUrrsAt; i < oldUrrs; i++, from += layout.URR_WORDS) {
      if (old[from] !== id) continue;
      grant = old[from + layout.URR_QUOTA_FAR]! >>> layout.URR_QUOTA_GRANT_SHIFT;
      break;
    }
    for (let i = 0; i < count; i++) if (renewed[i] === id) grant++;
    words[at + layout.URR_QUOTA_FAR]! |=
      (grant & layout.URR_QUOTA_GRANT_MAX) << layout.URR_QUOTA_GRANT_SHIFT;
  }
}
