/** What a usage event says beside numbers: bits of native/session/usage/event.h. Constant; any thread. */

/** The word of a usage event with its {@link UsagePart}. */
export const USAGE_PART_WORD = 21;

/**
 * The word of a usage event with the number of the query that it answers; the word behind it is
 * 1 when there is such a number. The packet path leaves both 0.
 */
export const QUERY_REFERENCE_WORD = 22;

/**
 * Which part of its URR's usage a report has, as the bits BEF and AFT of Usage Information
 * (TS 29.244 8.2.58). A report with Before comes right before the one with After.
 */
export const enum UsagePart {
  All = 0,
  BeforeMonitoringTime = 1,
  AfterMonitoringTime = 2,
}
/** Bits of EventWord.Triggers: UsageTrigger of the API. */
export const enum UsageTrigger {
  Periodic = 1 << 1,
  VolumeThreshold = 1 << 2,
  TimeThreshold = 1 << 3,
  VolumeQuota = 1 << 4,
  TimeQuota = 1 << 5,
  Immediate = 1 << 6,
  Termination = 1 << 7,
  Start = 1 << 8,
  Stop = 1 << 9,
  Linked = 1 << 10,
  MonitoringTime = 1 << 11,
  QuotaHoldingTime = 1 << 12,
  QuotaValidityTime = 1 << 13,
  DroppedDownlink = 1 << 14,
  EndMarker = 1 << 15,
  EnvelopeClosure = 1 << 16,
  /** Of the control plane: the packet path has it as Immediate. */
  Inactivity = 1 << 17,
}
