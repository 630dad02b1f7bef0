/**
 * Why rules were refused, as PFCP says it: a cause, the type of the IE at fault, and for
 * cause 73 the rule. Filled in place and used again; the first refusal stays.
 * Source: TS 29.244 clauses 8.2.1, 8.2.22 and 8.2.80. Pure; any thread.
 */
import type { Refusal } from '../../base/errors.js';
import * as Cause from '../codec/cause.js';
import * as Ie from '../codec/ie.js';

export class RuleRefusal {
  /** 0: nothing was refused. */
  cause = 0;
  /** 0: no IE is at fault. */
  offendingIe = 0;
  /** 0 PDR, 1 FAR, 2 QER, 3 URR, 4 BAR (the tables of a record); -1: no rule is at fault. */
  ruleType = -1;
  ruleId = 0;
  /** For logs. */
  message = '';

  get refused(): boolean {
    return this.cause !== 0;
  }

  clear(): void {
    this.cause = 0;
    this.offendingIe = 0;
    this.ruleType = -1;
    this.ruleId = 0;
  }

  /** Always false, so that callers can `return refusal.set(…)`. */
  set(cause: number, offendingIe: number, message: string, ruleType = -1, ruleId = 0): false {
    if (this.cause !== 0) return false;
    this.cause = cause;
    this.offendingIe = offendingIe;
    this.message = message;
    this.ruleType = ruleType;
    this.ruleId = ruleId >>> 0;
    return false;
  }

  /**
   * Takes over what the model or the engine refused, whose fields are paths of the API.
   * @param idOf  the ID of the rule at a position of a table.
   */
  take(
    code: Refusal['code'],
    field: string,
    message: string,
    cause: number,
    idOf: (table: number, index: number) => number,
  ): false {
    const rule = RULE_PATH.exec(field);
    const table = rule === null ? -1 : TABLES.indexOf(rule[1]!);
    const suffix = rule === null ? field : rule[3]!;
    const id = rule === null ? 0 : idOf(table, Number(rule[2]));
    return this.set(causeOf(code, suffix, cause), ieOf(table, suffix), message, table, id);
  }
}

const TABLES = ['pdrs', 'fars', 'qers', 'urrs', 'bars'];
const RULE_PATH = /^session\.(pdrs|fars|qers|urrs|bars)\[(\d+)\](.*)$/;

/** Ends of paths, the most particular first, and the IE that carries the field. */
const FIELDS: readonly [RegExp, number][] = [
  [/^session\.pdrs$/, Ie.CreatePdr],
  [/^session\.fars$/, Ie.CreateFar],
  [/^\.far_id|^\.quota_far_id/, Ie.FarId],
  [/^\.qer_ids/, Ie.QerId],
  [/^\.linked_urr_ids/, Ie.LinkedUrrId],
  [/^\.urr_ids/, Ie.UrrId],
  [/bar_id/, Ie.BarId],
  [/outer_header_creation/, Ie.OuterHeaderCreation],
  [/outer_header_removal/, Ie.OuterHeaderRemoval],
  [/destination_interface/, Ie.DestinationInterface],
  [/source_interface/, Ie.SourceInterface],
  [/network_instance|protection_id/, Ie.NetworkInstance],
  [/local_f_teid/, Ie.FTeid],
  [/ue_address/, Ie.UeIpAddress],
  [/sdf_filters/, Ie.SdfFilter],
  [/framed_routes/, Ie.FramedRoute],
  [/dscp/, Ie.TransportLevelMarking],
  [/duplicates/, Ie.DuplicatingParameters],
  [/mbr/, Ie.Mbr],
  [/gbr/, Ie.Gbr],
  [/\.qfi/, Ie.Qfi],
  [/\.ppi/, Ie.PagingPolicyIndicator],
  [/shared_bucket/, Ie.QerCorrelationId],
  [/volume_threshold/, Ie.VolumeThreshold],
  [/volume_quota/, Ie.VolumeQuota],
  [/time_threshold/, Ie.TimeThreshold],
  [/time_quota/, Ie.TimeQuota],
  [/period/, Ie.MeasurementPeriod],
  [/inactivity/, Ie.InactivityDetectionTime],
  [/report_st/, Ie.ReportingTriggers],
  [/notification_delay/, Ie.DownlinkDataNotificationDelay],
  [/pdn_type/, Ie.PdnType],
  [/dnn/, Ie.ApnDnn],
];
const ID_IES = [Ie.PdrId, Ie.FarId, Ie.QerId, Ie.UrrId, Ie.BarId];
const GROUP_IES = [Ie.CreatePdr, Ie.CreateFar, Ie.CreateQer, Ie.CreateUrr, Ie.CreateBar];

function ieOf(table: number, suffix: string): number {
  if (suffix === '.id') return ID_IES[table] ?? 0;
  for (const [pattern, ie] of FIELDS) if (pattern.test(suffix)) return ie;
  return GROUP_IES[table] ?? 0;
}

/** A rule that can't be is a failure of that rule; what lacks its key lacks a conditional IE. */
function causeOf(code: Refusal['code'], suffix: string, cause: number): number {
  if (code === 'already_exists' && suffix.startsWith('.pdi.local_f_teid')) {
    return Cause.InvalidFTeidAllocationOption;
  }
  if (code === 'invalid_argument' || code === 'already_exists') {
    const absent = suffix === '.pdi.local_f_teid' || suffix === '.pdi.ue_address';
    if (code === 'invalid_argument' && absent) return Cause.ConditionalIeMissing;
    return Cause.RuleFailure;
  }
  // No port carries the instance, or no pool has addresses for it: so is the rule.
  return code === 'failed_precondition' ? Cause.RuleFailure : cause;
}
