/**
 * The limits of one URR: how much of its thresholds and quotas is used. Those in force are those
 * of its rules, until a monitoring time brings others. A threshold counts from the last report
 * on, also over a monitoring time that leaves it as it is; a quota from its grant on.
 */
import {
  type Direction,
  type MonitoringTime,
  nanosecondsOf,
  type Urr,
  type Volume,
} from './rules.js';

export interface Counted {
  uplink: number;
  downlink: number;
}

export class Limits {
  #threshold: Volume | undefined;
  #thresholdNs: number | undefined;
  #quota: Volume | undefined;
  #quotaNs: number | undefined;
  /** Against the thresholds, and against the quotas. */
  #window: Counted = { uplink: 0, downlink: 0 };
  #windowNs = 0;
  #spent: Counted = { uplink: 0, downlink: 0 };
  #spentNs = 0;
  #validUntilNs = Infinity;
  #volumeIsUp = false;
  #timeIsUp = false;

  constructor(urr: Urr, nowNs: number) {
    this.#threshold = urr.volume_threshold;
    this.#thresholdNs = optionalNs(urr.time_threshold);
    this.#quota = urr.volume_quota;
    this.#quotaNs = optionalNs(urr.time_quota);
    this.#startValidity(urr, nowNs);
  }

  get isExhausted(): boolean {
    return this.#volumeIsUp || this.#timeIsUp;
  }
  get validUntilNs(): number {
    return this.#validUntilNs;
  }
  /** Measured time until the threshold, and until the quota; Infinity: there is none. */
  get thresholdLeftNs(): number {
    return Math.max(0, (this.#thresholdNs ?? Infinity) - this.#windowNs);
  }
  get quotaLeftNs(): number {
    return this.#timeIsUp ? Infinity : Math.max(0, (this.#quotaNs ?? Infinity) - this.#spentNs);
  }
  get isThresholdReached(): boolean {
    return reached(this.#threshold, this.#window);
  }
  get isQuotaReached(): boolean {
    return !this.#volumeIsUp && reached(this.#quota, this.#spent);
  }
  covers(direction: Direction, bytes: number): boolean {
    return fits(this.#quota, this.#spent, direction, bytes);
  }

  spend(direction: Direction, bytes: number): void {
    this.#window[direction] += bytes;
    this.#spent[direction] += bytes;
  }
  spendTime(ns: number): void {
    this.#windowNs += ns;
    this.#spentNs += ns;
  }
  useUpVolume(): void {
    this.#volumeIsUp = true;
  }
  useUpTime(): void {
    this.#timeIsUp = true;
  }
  /** The quota's validity is over. Whether there was anything to use up. */
  endValidity(): boolean {
    this.#validUntilNs = Infinity;
    if (this.isExhausted) return false;
    this.#volumeIsUp = this.#quota !== undefined;
    this.#timeIsUp = this.#quotaNs !== undefined;
    return this.isExhausted;
  }

  /** A report was made: thresholds count anew. */
  startWindow(): void {
    this.#window = { uplink: 0, downlink: 0 };
    this.#windowNs = 0;
  }

  /**
   * A monitoring time: each limit that it has is in force, and begins with nothing used. Whether
   * it grants a quota.
   */
  take(monitor: MonitoringTime, urr: Urr, nowNs: number): boolean {
    if (hasVolume(monitor.volume_threshold)) {
      this.#threshold = monitor.volume_threshold;
      this.#window = { uplink: 0, downlink: 0 };
    }
    if (monitor.time_threshold !== undefined) {
      this.#thresholdNs = nanosecondsOf(monitor.time_threshold);
      this.#windowNs = 0;
    }
    if (hasVolume(monitor.volume_quota)) this.#grantVolume(monitor.volume_quota);
    if (monitor.time_quota !== undefined) this.#grantTime(nanosecondsOf(monitor.time_quota));
    const grants = hasVolume(monitor.volume_quota) || monitor.time_quota !== undefined;
    if (grants) this.#startValidity(urr, nowNs);
    return grants;
  }

  /**
   * An update of the URR. What it doesn't change stays as it is in force.
   * @param since  what was counted since the last report or monitoring time.
   * @param stands  the clock stands over the update: it goes on where it was.
   */
  update(
    old: Urr,
    urr: Urr,
    since: Counted,
    sinceNs: number,
    stands: boolean,
    nowNs: number,
  ): void {
    if (!same(old.volume_threshold, urr.volume_threshold)) {
      this.#threshold = urr.volume_threshold;
      this.#window = { ...since };
    }
    if (old.time_threshold !== urr.time_threshold) {
      this.#thresholdNs = optionalNs(urr.time_threshold);
      this.#windowNs = sinceNs;
    }
    const { volume, time } = grants(old, urr);
    if (volume) this.#grantVolume(urr.volume_quota);
    if (time || !stands) this.#grantTime(optionalNs(urr.time_quota));
    if (volume || time || old.quota_validity_time !== urr.quota_validity_time) {
      this.#startValidity(urr, nowNs);
    }
  }

  /** Back to the rules' own thresholds, of which that much is used. */
  forgetMonitors(urr: Urr, since: Counted, sinceNs: number): void {
    this.#threshold = urr.volume_threshold;
    this.#thresholdNs = optionalNs(urr.time_threshold);
    this.#window = { ...since };
    this.#windowNs = sinceNs;
  }

  #grantVolume(quota: Volume | undefined): void {
    this.#quota = quota;
    this.#spent = { uplink: 0, downlink: 0 };
    this.#volumeIsUp = false;
  }
  #grantTime(ns: number | undefined): void {
    this.#quotaNs = ns;
    this.#spentNs = 0;
    this.#timeIsUp = false;
  }
  #startValidity({ quota_validity_time: validity }: Urr, nowNs: number): void {
    this.#validUntilNs = validity === undefined ? Infinity : nowNs + nanosecondsOf(validity);
  }
}

/** Which quotas an update grants anew: those that differ, or both with another grant. */
export function grants(old: Urr, urr: Urr): { readonly volume: boolean; readonly time: boolean } {
  const another = (urr.quota_grant ?? 0) !== (old.quota_grant ?? 0);
  return {
    volume: another || !same(old.volume_quota, urr.volume_quota),
    time: another || old.time_quota !== urr.time_quota,
  };
}

function optionalNs(span: string | undefined): number | undefined {
  return span === undefined ? undefined : nanosecondsOf(span);
}

function same(a: Volume | undefined, b: Volume | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function hasVolume(volume: Volume | undefined): volume is Volume {
  return volume !== undefined && Object.keys(volume).length > 0;
}

function fits(
  quota: Volume | undefined,
  spent: Counted,
  direction: Direction,
  bytes: number,
): boolean {
  // What is used up in one direction is so for both.
  if (reached(quota, spent)) return false;
  const own = direction === 'uplink' ? quota?.uplink_bytes : quota?.downlink_bytes;
  if (own !== undefined && spent[direction] + bytes > own) return false;
  const total = quota?.total_bytes;
  return total === undefined || spent.uplink + spent.downlink + bytes <= total;
}

function reached(limit: Volume | undefined, counted: Counted): boolean {
  if (limit === undefined) return false;
  const { total_bytes: total, uplink_bytes: uplink, downlink_bytes: downlink } = limit;
  return (
    (total !== undefined && counted.uplink + counted.downlink >= total) ||
    (uplink !== undefined && counted.uplink >= uplink) ||
    (downlink !== undefined && counted.downlink >= downlink)
  );
}
