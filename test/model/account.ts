/**
 * The URRs of a session together: a packet is counted by all that its PDR names or by none,
 * a URR that reports brings those linked to it, and a quota without a FAR wins.
 */
import { type Far, farOf, type Pdr, type Session, type Urr } from './rules.js';
import type { LivePdr, LiveSession } from './session.js';
import { ceilTick, UrrUsage, type UsageReport } from './usage.js';

/** Whether a packet goes on, perhaps by a quota's FAR; or why not. */
export type Spent = { readonly far?: Far; readonly turns?: boolean } | string;

export function usageOf(
  session: Session,
  before: ReadonlyMap<number, UrrUsage> | undefined,
  nowNs: number,
): Map<number, UrrUsage> {
  const usage = new Map<number, UrrUsage>();
  for (const urr of session.urrs) {
    const goesOn = quotaFarOf(session, urr) !== undefined;
    const kept = before?.get(urr.id);
    kept?.goOnUnder(urr, goesOn, nowNs);
    usage.set(urr.id, kept ?? new UrrUsage(session.name, urr, goesOn, nowNs));
  }
  return usage;
}

/** A FAR that drops is the same as none; so is one of a URR that no PDR names. */
function quotaFarOf(session: Session, urr: Urr): Far | undefined {
  const { quota_far_id: id = 0 } = urr;
  if (id === 0 || !session.pdrs.some((pdr) => pdr.urr_ids?.includes(urr.id))) return undefined;
  const far = farOf(session, id);
  return far.drop === undefined ? far : undefined;
}

/** The URRs that count before policing, or the others. */
export function countPacket(
  live: LiveSession,
  { pdr, direction }: LivePdr,
  first: boolean,
  bytes: number,
  nowNs: number,
  reports: UsageReport[],
): Spent {
  const counting = urrsOf(live, pdr, first);
  const causes = new Set<UrrUsage>();
  const tell = (usage: UrrUsage, triggers: readonly string[]) => {
    if (triggers.length === 0) return;
    causes.add(usage);
    reports.push(...usage.report(triggers, nowNs));
  };
  for (const usage of counting) tell(usage, usage.refuses(direction, bytes, nowNs));
  const exhausted = counting.filter((usage) => usage.isExhausted);
  const fars = exhausted.map((usage) => quotaFarOf(live.session, usage.urr));
  const passes = !fars.includes(undefined);
  if (passes) {
    for (const usage of counting) tell(usage, usage.count(direction, bytes, nowNs));
  }
  reportLinked(live, causes, nowNs, reports);
  if (!passes) return 'quota_exhausted';
  return fars[0] === undefined ? {} : { far: fars[0] };
}

export function urrsOf(live: LiveSession, pdr: Pdr, first: boolean): UrrUsage[] {
  const ids = new Set(pdr.urr_ids ?? []);
  return [...live.usage.values()].filter(
    ({ urr }) =>
      ids.has(urr.id) && urr.paused !== true && (urr.measure_before_policing === true) === first,
  );
}

/** After reports for some cause: those linked to them report too, through chains, each once. */
export function reportLinked(
  live: LiveSession,
  causes: Set<UrrUsage>,
  nowNs: number,
  reports: UsageReport[],
): void {
  // A set is gone through in the order in which it grows, growth included.
  for (const cause of causes) {
    for (const usage of live.usage.values()) {
      const linked = usage.urr.linked_urr_ids?.includes(cause.urr.id) === true;
      if (!linked || causes.has(usage)) continue;
      causes.add(usage);
      reports.push(...usage.report(['linked'], nowNs));
    }
  }
}

/** URRs of a session report for one cause, and those linked to them. */
export function reportAll(
  live: LiveSession,
  usages: readonly UrrUsage[],
  trigger: string,
  nowNs: number,
  reports: UsageReport[],
): void {
  for (const usage of usages) reports.push(...usage.report([trigger], nowNs));
  reportLinked(live, new Set(usages), nowNs, reports);
}

/** A packet towards the UE that the PDR's rules discarded. */
export function countDropped(
  live: LiveSession,
  pdr: Pdr,
  bytes: number,
  nowNs: number,
  reports: UsageReport[],
): void {
  const named = [...live.usage.values()].filter(({ urr }) => pdr.urr_ids?.includes(urr.id));
  const told = named.filter((usage) => usage.countDropped(bytes));
  reportAll(live, told, 'dropped_downlink', nowNs, reports);
}

/** What time has brought to a session by now. */
export function reportDue(
  live: LiveSession,
  nowNs: number,
  reports: UsageReport[],
  inactive: (usage: UrrUsage) => void,
): void {
  const causes = new Set<UrrUsage>();
  for (const usage of live.usage.values()) {
    const triggers = usage.due(
      nowNs,
      () => inactive(usage),
      (report) => reports.push(report),
    );
    if (triggers.length === 0) continue;
    causes.add(usage);
    reports.push(...usage.report(triggers, nowNs));
  }
  reportLinked(live, causes, nowNs, reports);
}

export function nextDueNs(live: LiveSession): number {
  let next = Infinity;
  for (const usage of live.usage.values()) next = Math.min(next, usage.dueNs());
  return ceilTick(next);
}
