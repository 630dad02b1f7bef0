/**
 * A time without packets is found by looking, a while after it began: the packet path alone
 * knows when. That it was in time is checked.
 */

import { nanosecondsOf } from './rules.js';
import type { UpfModel } from './upf-model.js';
import type { UrrUsage, UsageReport } from './usage.js';

/** Packets are looked for eight times in the time without, at ticks of the timers. */
const LOOKS = 8;
const BLUR_NS = 2 ** 20;

/**
 * Tells the model when the inactivities and quota holding times were found that the reports
 * speak of. Returns what is wrong about it.
 */
export function restFrom(model: UpfModel, found: readonly UsageReport[]): string | undefined {
  for (const one of usages(model)) {
    const ofUrr = found.filter(({ session, urr }) => session === one.session && urr === one.urr.id);
    const inactive = one.inactiveFromNs();
    if (inactive !== undefined) {
      const told = ofUrr.find(({ triggers }) =>
        triggers.some((trigger) => trigger === 'stop' || trigger === 'envelope_closure'),
      );
      const atNs = told?.end_ns ?? inactive;
      const wrong = timeliness(one, 'inactivity', inactive, atNs, one.urr.inactivity!);
      if (wrong !== undefined) return wrong;
      one.restAt(atNs);
    }
    const held = one.heldFromNs();
    const told = ofUrr.find(({ triggers }) => triggers.includes('quota_holding_time'));
    // Not when the quota is used up before.
    if (held === undefined || told === undefined) continue;
    const span = one.urr.quota_holding_time!;
    const wrong = timeliness(one, 'quota holding time', held, told.end_ns, span);
    if (wrong !== undefined) return wrong;
    one.holdAt(told.end_ns);
  }
  return undefined;
}

/** Behind a walk: says of what nobody may wait any more. */
export function missedAt(model: UpfModel, nowNs: number): string | undefined {
  for (const one of usages(model)) {
    const from = Math.min(one.inactiveFromNs() ?? Infinity, one.heldFromNs() ?? Infinity);
    const span = nanosecondsOf(one.urr.inactivity ?? one.urr.quota_holding_time ?? '0s');
    if (from + span / LOOKS + BLUR_NS < nowNs) return `${nameOf(one)}: its silence was not found`;
  }
  return undefined;
}

function timeliness(
  one: UrrUsage,
  what: string,
  fromNs: number,
  atNs: number,
  span: string,
): string | undefined {
  const most = fromNs + nanosecondsOf(span) / LOOKS + BLUR_NS;
  if (atNs >= fromNs && atNs <= most) return undefined;
  return `${what} of ${nameOf(one)}: found at ${atNs}, not from ${fromNs} to ${most}`;
}

function* usages(model: UpfModel): Iterable<UrrUsage> {
  for (const { usage } of model.sessions.values()) yield* usage.values();
}

function nameOf({ session, urr }: UrrUsage): string {
  return `URR ${urr.id} of ${session}`;
}
