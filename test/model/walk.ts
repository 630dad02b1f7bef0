/** Inactivity is found by looking, a while after it began: the packet path alone knows when. */

import { nanosecondsOf } from './rules.js';
import type { UpfModel } from './upf-model.js';
import type { UsageReport } from './usage.js';

/** Packets are looked for eight times in an inactivity time, at ticks of the timers. */
const LOOKS = 8;
const BLUR_NS = 2 ** 20;

/**
 * Tells the model when the inactivities were found that the reports speak of, all that there
 * may be. Returns what is wrong about it.
 */
export function restFrom(model: UpfModel, found: readonly UsageReport[]): string | undefined {
  for (const { session, usage } of model.sessions.values()) {
    for (const one of usage.values()) {
      const from = one.inactiveFromNs();
      if (from === undefined) continue;
      const stop = found.find(
        ({ session: name, urr, triggers }) =>
          name === session.name && urr === one.urr.id && triggers.includes('stop'),
      );
      const tells = one.hasTraffic && one.urr.report_stop === true;
      const name = `inactivity of URR ${one.urr.id} of ${session.name}`;
      if (tells && stop === undefined) return `${name}: not reported`;
      const at = stop?.end_ns ?? from;
      const most = from + nanosecondsOf(one.urr.inactivity!) / LOOKS + BLUR_NS;
      if (at < from || at > most) return `${name}: found at ${at}, not from ${from} to ${most}`;
      one.restAt(at);
    }
  }
  return undefined;
}
