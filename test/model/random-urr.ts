/** Random URRs: of volume, of time, or both; with thresholds that a few packets reach. */
import type { Random } from './random.js';
import { type MonitoringTime, nanosecondsOf, type Urr, type Volume } from './rules.js';

/** The same for all: what is found when has to be told apart by who was quiet since when. */
const INACTIVITY = '300s';
export const INACTIVITY_NS = nanosecondsOf(INACTIVITY);
const IDS = [1, 2, 3, 4];
const QUOTA_FARS = [1, 2, 4, 6, 9, 10, 11];

export function randomUrrs(random: Random, number: number, nowNs: number): Urr[] {
  const all = IDS.map((id) => randomUrr(random, id, id !== 3 || number % 2 === 0, nowNs));
  const chosen = random.some(all);
  const ids = chosen.map((urr) => urr.id);
  return chosen.map(withoutLateGrants).map((urr) => {
    const linked = random.once(3) ? random.some(ids.filter((id) => id !== urr.id)) : [];
    return linked.length === 0 ? urr : { ...urr, linked_urr_ids: linked };
  });
}

/** Nobody could say when the silence after a grant of a monitoring time is found (walk.ts). */
function withoutLateGrants(urr: Urr): Urr {
  const { monitoring_times: times, quota_holding_time: holding } = urr;
  if (times === undefined || holding === undefined) return urr;
  const monitoring_times = times.map(({ volume_quota: _, time_quota: __, ...rest }) => rest);
  return { ...urr, monitoring_times };
}

/** @param counts  whether it measures volume, which no update changes. */
function randomUrr(random: Random, id: number, counts: boolean, nowNs: number): Urr {
  const measures = !counts || random.once(3);
  const limits = {
    ...(counts ? volumeLimits(random) : {}),
    ...(measures ? timeLimits(random) : {}),
  };
  const hasQuota = limits.volume_quota !== undefined || limits.time_quota !== undefined;
  return {
    id,
    ...(counts ? { measure_volume: true } : {}),
    ...(measures ? { measure_duration: true } : {}),
    ...(random.once(5) ? { measure_before_policing: true } : {}),
    ...limits,
    ...(hasQuota && random.once(3) ? quotaTimes(random) : {}),
    ...(random.once(6) ? { period: random.of(['3s', '10s', '45s']) } : {}),
    ...(random.once(6) ? { report_start: true } : {}),
    ...(random.once(4) ? inactivity(random, measures) : {}),
    ...(random.once(3) ? { quota_far_id: random.of(QUOTA_FARS) } : {}),
    ...(random.once(3) ? watches(random, counts, measures, nowNs) : {}),
    ...(measures && random.once(6) ? { instant_start: true } : {}),
    ...(random.once(16) ? { paused: true } : {}),
    ...(random.once(6) ? { report_end_marker: true } : {}),
  };
}

function quotaTimes(random: Random): Partial<Urr> {
  return {
    ...(random.once(2) ? { quota_holding_time: INACTIVITY } : {}),
    ...(random.once(2) ? { quota_validity_time: random.of(['1s', '20s', '400s']) } : {}),
  };
}

/** What few URRs ask for. */
function watches(random: Random, counts: boolean, measures: boolean, nowNs: number): Partial<Urr> {
  return {
    ...(random.once(2) ? { dropped_downlink_threshold: randomDropped(random) } : {}),
    ...(random.once(2)
      ? { monitoring_times: randomMonitors(random, counts, measures, nowNs) }
      : {}),
  };
}

function randomDropped(random: Random): NonNullable<Urr['dropped_downlink_threshold']> {
  const packets = random.once(2) ? { packets: random.of([1, 2, 5]) } : {};
  const bytes = random.once(2) ? { bytes: random.of([100, 300, 2_000]) } : {};
  return Object.keys({ ...packets, ...bytes }).length > 0
    ? { ...packets, ...bytes }
    : { packets: 3 };
}

/** Mostly ahead, in ascending order. */
function randomMonitors(
  random: Random,
  counts: boolean,
  measures: boolean,
  nowNs: number,
): MonitoringTime[] {
  const nowS = Math.ceil(nowNs / 1e9);
  const times = random.some([-5, 1, 2, 7, 40, 41, 350]).map((after) => nowS + after);
  return times.map((second) => ({
    time: new Date(second * 1_000).toISOString().replace('.000Z', 'Z'),
    ...(counts && random.once(2) ? volumeLimits(random) : {}),
    ...(measures && random.once(2) ? timeLimits(random) : {}),
  }));
}

function volumeLimits(random: Random): Partial<Urr> {
  const threshold = random.once(2) ? randomVolume(random, [100, 1_000, 1_500, 20_000]) : {};
  const quota = random.once(4) ? randomQuota(random) : {};
  return {
    ...(Object.keys(threshold).length > 0 ? { volume_threshold: threshold } : {}),
    ...(Object.keys(quota).length > 0 ? { volume_quota: quota } : {}),
  };
}

function timeLimits(random: Random): Partial<Urr> {
  return {
    ...(random.once(3) ? { time_threshold: random.of(['2s', '7s', '61s']) } : {}),
    ...(random.once(5) ? { time_quota: random.of(['0s', '0.3s', '5s', '100s']) } : {}),
  };
}

/** Where the duration matters the report says when it was found. */
function inactivity(random: Random, measures: boolean): Partial<Urr> {
  const stop = measures || random.once(2) ? { report_stop: true } : {};
  const envelope = random.once(3) ? { report_envelope: true } : {};
  return { inactivity: INACTIVITY, ...stop, ...envelope };
}

function randomVolume(random: Random, sizes: readonly number[]): Volume {
  const total = random.once(2) ? { total_bytes: random.of(sizes) } : {};
  const up = random.once(3) ? { uplink_bytes: random.of(sizes) } : {};
  const down = random.once(3) ? { downlink_bytes: random.of(sizes) } : {};
  return { ...total, ...up, ...down };
}

/** A quota of nothing is one for both directions. */
function randomQuota(random: Random): Volume {
  return random.once(6) ? { total_bytes: 0 } : randomVolume(random, [1_000, 30_000, 500_000]);
}

/** A pause, the end of one, or a new grant: of another size, or the same once more. */
export function renewed(random: Random, urr: Urr): Urr {
  if (random.once(6)) return { ...urr, paused: urr.paused !== true };
  if (urr.measure_volume !== true || random.once(2)) {
    return { ...urr, quota_grant: ((urr.quota_grant ?? 0) + 1) % 1_000 };
  }
  return { ...urr, volume_quota: { total_bytes: random.of([1_000, 30_000, 500_000]) } };
}
