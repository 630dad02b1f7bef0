/** Random URRs: of volume, of time, or both; with thresholds that a few packets reach. */
import type { Random } from './random.js';
import { nanosecondsOf, type Urr, type Volume } from './rules.js';

/** The same for all: what is found when has to be told apart by who was quiet since when. */
const INACTIVITY = '300s';
export const INACTIVITY_NS = nanosecondsOf(INACTIVITY);
const IDS = [1, 2, 3, 4];
const QUOTA_FARS = [1, 2, 4, 6, 9, 10, 11];

export function randomUrrs(random: Random, number: number): Urr[] {
  const all = IDS.map((id) => randomUrr(random, id, id !== 3 || number % 2 === 0));
  const chosen = random.some(all);
  const ids = chosen.map((urr) => urr.id);
  return chosen.map((urr) => {
    const linked = random.once(3) ? random.some(ids.filter((id) => id !== urr.id)) : [];
    return linked.length === 0 ? urr : { ...urr, linked_urr_ids: linked };
  });
}

/** @param counts  whether it measures volume, which no update changes. */
function randomUrr(random: Random, id: number, counts: boolean): Urr {
  const measures = !counts || random.once(3);
  return {
    id,
    ...(counts ? { measure_volume: true } : {}),
    ...(measures ? { measure_duration: true } : {}),
    ...(random.once(5) ? { measure_before_policing: true } : {}),
    ...(counts ? volumeLimits(random) : {}),
    ...(measures ? timeLimits(random) : {}),
    ...(random.once(6) ? { period: random.of(['3s', '10s', '45s']) } : {}),
    ...(random.once(6) ? { report_start: true } : {}),
    ...(random.once(4) ? inactivity(random, measures) : {}),
    ...(random.once(3) ? { quota_far_id: random.of(QUOTA_FARS) } : {}),
  };
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
  return { inactivity: INACTIVITY, ...stop };
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

/** A new grant: of another size, or the same once more. */
export function renewed(random: Random, urr: Urr): Urr {
  if (urr.measure_volume !== true || random.once(2)) {
    return { ...urr, quota_grant: ((urr.quota_grant ?? 0) + 1) % 1_000 };
  }
  return { ...urr, volume_quota: { total_bytes: random.of([1_000, 30_000, 500_000]) } };
}
