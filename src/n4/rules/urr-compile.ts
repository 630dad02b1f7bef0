/**
 * URRs of a shadow into the URR table of a record, and the hidden URR that watches for a
 * session without traffic. Source: TS 29.244 clauses 7.5.2.4, 5.2.2.2. Pure.
 */
import * as layout from '../../model/record-layout.js';
import * as Cause from '../codec/cause.js';
import * as Ie from '../codec/ie.js';
import { findIe, flagsAt } from './ie-tree.js';
import type { RuleContext } from './rule-context.js';
import {
  compileDropped,
  compileEnvelope,
  compileLimit,
  compileMonitors,
  compileQuotaTime,
  compileTime,
  monitorFlags,
  SECONDS_MAX,
  Trigger,
} from './urr-limits.js';

/**
 * The URR of a session's inactivity timer. URR IDs of the upper half are those of predefined
 * URRs, which there are none of: an SMF can't have it.
 */
export const INACTIVITY_URR_ID = 0xffff_ffff;

const DURAT = 1;
const VOLUM = 2;
/** Measurement Information. */
const MBQE = 1;
const INAM = 2;
const ISTM = 8;
const MNOP = 16;

export function isMeasured(method: number): boolean {
  return (method & (DURAT | VOLUM)) !== 0;
}

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
    const events = (triggers & (Trigger.Eveth | Trigger.Evequ)) !== 0;
    if (!isMeasured(method) || events) {
      const type = events ? Ie.ReportingTriggers : Ie.MeasurementMethod;
      context.refuse(Cause.ServiceNotSupported, type, 'only volume and duration are measured');
      return;
    }
    words[at + layout.URR_FLAGS] =
      ((method & VOLUM) !== 0 ? layout.URR_VOLUME : 0) |
      ((method & DURAT) !== 0 ? layout.URR_DURATION : 0) |
      ((triggers & Trigger.Start) !== 0 ? layout.URR_REPORT_START : 0) |
      ((triggers & Trigger.Stopt) !== 0 ? layout.URR_REPORT_STOP : 0) |
      ((triggers & Trigger.Reemr) !== 0 ? layout.URR_REPORT_END_MARKER : 0) |
      ((triggers & Trigger.Upint) !== 0 ? layout.URR_REPORT_INACTIVITY : 0);
    compileLimits(context, index, at, ie, triggers);
    // Monitoring times lie side by side: nothing else may come between them.
    compileMonitors(context, index, ie, triggers);
    completeUrr(context, index, at, ie, triggers);
  }
}

/** IEs of a URR beside its method and triggers, but for monitoring times. */
function compileLimits(
  context: RuleContext,
  index: number,
  at: number,
  ie: number,
  triggers: number,
): void {
  const { tree, record } = context;
  for (let i = ie + 1, end = tree.ieEnd[ie]!; i < end; i = tree.ieEnd[i]!) {
    switch (tree.ieType[i]) {
      case Ie.MeasurementPeriod:
        if ((triggers & Trigger.Perio) !== 0)
          compileTime(context, at, i, layout.URR_PERIOD_MS, layout.URR_HAS_PERIOD);
        break;
      case Ie.VolumeThreshold:
      case Ie.VolumeQuota:
      case Ie.TimeThreshold:
      case Ie.TimeQuota:
        compileLimit(context, at, i, tree.ieType[i]!, triggers);
        break;
      case Ie.InactivityDetectionTime:
        compileTime(context, at, i, layout.URR_INACTIVITY_MS, layout.URR_HAS_INACTIVITY);
        break;
      case Ie.LinkedUrrId:
        if ((triggers & Trigger.Liusa) !== 0) linked(context, index, i);
        break;
      case Ie.FarId:
        record.references.quotaFarIds[index] = context.number(i, 4);
        break;
      case Ie.MeasurementInformation:
        compileInformation(context, at, flagsAt(tree, i, 1));
        break;
      case Ie.QuotaHoldingTime:
      case Ie.QuotaValidityTime:
        compileQuotaTime(context, index, i);
        break;
      case Ie.DroppedDlTrafficThreshold:
        if ((triggers & Trigger.Droth) !== 0) compileDropped(context, index, i);
        break;
      case Ie.TimeQuotaMechanism:
        if ((triggers & Trigger.Envcl) !== 0) compileEnvelope(context, at, i);
        break;
    }
  }
}

function compileInformation(context: RuleContext, at: number, information: number): void {
  const { words } = context.record;
  words[at + layout.URR_FLAGS]! |=
    ((information & MBQE) !== 0 ? layout.URR_BEFORE_POLICING : 0) |
    ((information & INAM) !== 0 ? layout.URR_PAUSED : 0) |
    ((information & ISTM) !== 0 ? layout.URR_INSTANT_START : 0) |
    ((information & MNOP) !== 0 ? layout.URR_COUNT_PACKETS : 0);
}

/** What can only be said once all of the URR is there. */
function completeUrr(
  context: RuleContext,
  index: number,
  at: number,
  ie: number,
  triggers: number,
): void {
  const { words, references } = context.record;
  const more = index * layout.URR_MORE_WORDS;
  const limits = words[at + layout.URR_FLAGS]! | monitorFlags(context, index);
  // What has a limit is measured, whatever the method says.
  if ((limits & VOLUME_LIMITS) !== 0) words[at + layout.URR_FLAGS]! |= layout.URR_VOLUME;
  if ((limits & TIME_LIMITS) !== 0) words[at + layout.URR_FLAGS]! |= layout.URR_DURATION;
  const flags = words[at + layout.URR_FLAGS]!;
  if ((flags & layout.URR_DURATION) === 0) {
    words[at + layout.URR_FLAGS]! &= ~layout.URR_INSTANT_START;
  }
  // The validity of no quota says nothing.
  if ((limits & QUOTAS) === 0) {
    references.more[more + layout.URR_MORE_FLAGS]! &= ~layout.URR_MORE_HAS_QUOTA_VALIDITY;
  }
  if (references.more[more + layout.URR_MORE_FLAGS] !== 0) {
    words[at + layout.URR_FLAGS]! |= layout.URR_MORE;
  }
  if ((triggers & Trigger.Envcl) !== 0) words[at + layout.URR_FLAGS]! |= layout.URR_REPORT_ENVELOPE;
  for (const { trigger, name, needs } of THRESHOLDS) {
    if ((triggers & trigger) === 0 || hasOneOf(context, ie, needs)) continue;
    context.refuse(Cause.ConditionalIeMissing, needs[0]!, `${name} needs a threshold`);
    return;
  }
  if ((triggers & Trigger.Perio) !== 0 && (flags & layout.URR_HAS_PERIOD) === 0) {
    const message = 'PERIO needs a measurement period';
    context.refuse(Cause.ConditionalIeMissing, Ie.MeasurementPeriod, message);
  }
  const silent = (triggers & (Trigger.Stopt | Trigger.Envcl)) !== 0;
  if (silent && (flags & layout.URR_HAS_INACTIVITY) === 0) {
    const message = 'STOPT and ENVCL need an inactivity detection time';
    context.refuse(Cause.ConditionalIeMissing, Ie.InactivityDetectionTime, message);
  }
}

/** Of a threshold that is a trigger, IEs of which there has to be one; 0 in it is none. */
const THRESHOLDS = [
  {
    trigger: Trigger.Volth,
    name: 'VOLTH',
    needs: [Ie.VolumeThreshold, Ie.SubsequentVolumeThreshold, Ie.AdditionalMonitoringTime],
  },
  {
    trigger: Trigger.Timth,
    name: 'TIMTH',
    needs: [Ie.TimeThreshold, Ie.SubsequentTimeThreshold, Ie.AdditionalMonitoringTime],
  },
  { trigger: Trigger.Droth, name: 'DROTH', needs: [Ie.DroppedDlTrafficThreshold] },
];

function hasOneOf({ tree }: RuleContext, ie: number, types: readonly number[]): boolean {
  return types.some((type) => findIe(tree, ie, type) >= 0);
}

const VOLUME_LIMITS = (layout.URR_HAS_THRESHOLD_TOTAL | layout.URR_HAS_QUOTA_TOTAL) * 7;
const TIME_LIMITS = layout.URR_HAS_TIME_THRESHOLD | layout.URR_HAS_TIME_QUOTA;
const QUOTAS = (layout.URR_HAS_QUOTA_TOTAL * 7) | layout.URR_HAS_TIME_QUOTA;

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
