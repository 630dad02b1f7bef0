/** What the rules of a URR ask for, as far as its usage has to know. */
import type { MonitoringTime, Urr } from './rules.js';

/** Whether anything about it has to do with time. */
export function isTimed(urr: Urr): boolean {
  return (
    urr.measure_duration === true ||
    urr.report_start === true ||
    urr.report_stop === true ||
    urr.report_envelope === true ||
    hasMonitors(urr) ||
    [urr.period, urr.inactivity, urr.quota_holding_time, urr.quota_validity_time].some(
      (time) => time !== undefined,
    )
  );
}

export function looksForInactivity({ inactivity, paused }: Urr): boolean {
  return paused !== true && inactivity !== undefined;
}

export function waitsForPackets({ quota_holding_time: holding, paused }: Urr): boolean {
  return paused !== true && holding !== undefined;
}

export function isWatched(urr: Urr): boolean {
  return looksForInactivity(urr) || waitsForPackets(urr);
}

export function startsAtOnce({ measure_duration, instant_start, paused }: Urr): boolean {
  return measure_duration === true && instant_start === true && paused !== true;
}

export function hasMonitors({ monitoring_times: times }: Urr): boolean {
  return times !== undefined && times.length > 0;
}

export function timeOf({ time }: MonitoringTime): number {
  return Date.parse(time) * 1e6;
}
