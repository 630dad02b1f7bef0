/**
 * Usage of one URR. Volumes are inner octets. A threshold is reported with the packet that
 * reaches it, and its window starts again; a quota covers a packet whole or not at all, is not
 * renewed by a report, and when it is used up nothing passes any more, or by another FAR.
 * Time is measured from the first packet on, and stands still when there is no traffic; what
 * it brings is reported at the next tick of the packet path's timers.
 */
import type { UsageFields } from '../report-fields.js';
import { type Direction, nanosecondsOf, type Urr, type Volume } from './rules.js';

/** What the packet path's timers are exact to. */
const TICK_NS = 2 ** 18;

export function ceilTick(timeNs: number): number {
  return Math.ceil(timeNs / TICK_NS) * TICK_NS;
}

/** A report as the API has it; the model knows no monitoring times, which would part it. */
export interface UsageReport extends Omit<UsageFields, 'part'> {
  readonly session: string;
}

interface Counted {
  uplink: number;
  downlink: number;
}

export class UrrUsage {
  #sequence = 0;
  #bytes: Counted = { uplink: 0, downlink: 0 };
  #packets: Counted = { uplink: 0, downlink: 0 };
  #sinceNs: number;
  /** Bytes against the quota, since it was given. */
  #spent: Counted = { uplink: 0, downlink: 0 };
  #volumeIsUp = false;
  #timeIsUp = false;
  /** Measured since the last report, and against the quota, up to #runningNs if it runs. */
  #measuredNs = 0;
  #quotaNs = 0;
  #runningNs: number | undefined;
  #nextPeriodNs = Infinity;
  /** There were packets, and no inactivity since. */
  #traffic = false;
  #quiet = false;
  #restsNs = Infinity;
  #lastPacketNs: number;
  /** Whether packets are looked for at all. */
  #watchedNs: number;

  constructor(
    readonly session: string,
    /** Its rules, which an update may change. */
    public urr: Urr,
    /** Whether packets pass behind its quota, by the quota FAR. */
    public goesOn: boolean,
    nowNs: number,
  ) {
    this.#sinceNs = nowNs;
    this.#lastPacketNs = nowNs;
    this.#watchedNs = nowNs;
    if (urr.period !== undefined) this.#nextPeriodNs = nowNs + nanosecondsOf(urr.period);
  }

  get isExhausted(): boolean {
    return this.#volumeIsUp || this.#timeIsUp;
  }

  /** An update: what was counted and the numbers go on; a quota that differs starts afresh. */
  goOnUnder(urr: Urr, goesOn: boolean, nowNs: number): void {
    const old = this.urr;
    this.#elapse(nowNs);
    const sameGrant = (urr.quota_grant ?? 0) === (old.quota_grant ?? 0);
    if (!sameGrant || JSON.stringify(urr.volume_quota) !== JSON.stringify(old.volume_quota)) {
      this.#spent = { uplink: 0, downlink: 0 };
      this.#volumeIsUp = false;
    }
    const timed = isTimed(old) && isTimed(urr);
    if (!sameGrant || urr.time_quota !== old.time_quota || !timed) {
      this.#quotaNs = 0;
      this.#timeIsUp = false;
    }
    if (!timed) this.#traffic = this.#quiet = false;
    if (!timed || urr.measure_duration !== true) {
      this.#measuredNs = 0;
      this.#runningNs = undefined;
    }
    if (urr.period === undefined) this.#nextPeriodNs = Infinity;
    else if (urr.period !== old.period) this.#nextPeriodNs = nowNs + nanosecondsOf(urr.period);
    if (old.inactivity === undefined || !timed) this.#watchedNs = nowNs;
    this.urr = urr;
    this.goesOn = goesOn;
  }

  /** Whether the quotas let the packet through; what to report when they just don't any more. */
  refuses(direction: Direction, bytes: number, nowNs: number): string[] {
    if (this.isExhausted) return [];
    this.#elapse(nowNs);
    const triggers: string[] = [];
    if (!fits(this.urr.volume_quota, this.#spent, direction, bytes)) {
      triggers.push('volume_quota');
      this.#volumeIsUp = true;
    }
    if (this.#quotaLeftNs() <= 0) {
      triggers.push('time_quota');
      this.#timeIsUp = true;
    }
    if (triggers.length > 0) this.#stopClock();
    return triggers;
  }

  /** Returns what is to be reported after the packet. */
  count(direction: Direction, bytes: number, nowNs: number): string[] {
    const triggers: string[] = [];
    this.#bytes[direction] += bytes;
    this.#packets[direction] += 1;
    this.#spent[direction] += bytes;
    if (isTimed(this.urr)) {
      if (!this.#traffic && this.urr.report_start === true) triggers.push('start');
      this.#traffic = true;
      this.#quiet = false;
      this.#lastPacketNs = nowNs;
      if (this.urr.measure_duration === true) this.#runningNs ??= nowNs;
    }
    if (reached(this.urr.volume_threshold, this.#bytes)) triggers.push('volume_threshold');
    if (!this.#volumeIsUp && reached(this.urr.volume_quota, this.#spent)) {
      this.#volumeIsUp = true;
      this.#stopClock();
      triggers.push('volume_quota');
    }
    return triggers;
  }

  /** When time alone brings something; Infinity: never. */
  dueNs(): number {
    const { time_threshold: threshold } = this.urr;
    const due = [this.#nextPeriodNs, this.#restsNs, this.timeQuotaEndsNs()];
    if (this.#runningNs !== undefined && threshold !== undefined) {
      due.push(this.#runningNs + Math.max(0, nanosecondsOf(threshold) - this.#measuredNs));
    }
    return Math.min(...due);
  }

  timeQuotaEndsNs(): number {
    if (this.#runningNs === undefined || this.#timeIsUp) return Infinity;
    return this.#runningNs + Math.max(0, this.#quotaLeftNs());
  }

  /** What time has brought, as triggers of a report. */
  due(nowNs: number, inactive: () => void): string[] {
    const triggers = this.#dueByTime(nowNs);
    if (this.#restsNs > nowNs) return triggers;
    if (this.#traffic && this.urr.report_stop === true) triggers.push('stop');
    this.#restsNs = Infinity;
    this.#traffic = false;
    this.#quiet = true;
    this.#runningNs = undefined;
    inactive();
    return triggers;
  }

  #dueByTime(nowNs: number): string[] {
    const triggers: string[] = [];
    this.#elapse(nowNs);
    if (this.#nextPeriodNs <= nowNs) {
      triggers.push('periodic');
      // The phase is that of creation, and periods that were missed are one report.
      const period = nanosecondsOf(this.urr.period!);
      while (this.#nextPeriodNs <= nowNs) this.#nextPeriodNs += period;
    }
    if (this.#runningNs === undefined) return triggers;
    const { time_threshold: threshold } = this.urr;
    if (threshold !== undefined && this.#measuredNs >= nanosecondsOf(threshold)) {
      triggers.push('time_threshold');
    }
    if (!this.#timeIsUp && this.#quotaLeftNs() <= 0) {
      this.#timeIsUp = true;
      this.#stopClock();
      triggers.push('time_quota');
    }
    return triggers;
  }

  /** From when on an inactivity may be found; undefined: none is to be told. */
  inactiveFromNs(): number | undefined {
    if (this.urr.inactivity === undefined || this.#quiet) return undefined;
    return Math.max(this.#lastPacketNs, this.#watchedNs) + nanosecondsOf(this.urr.inactivity);
  }

  get hasTraffic(): boolean {
    return this.#traffic;
  }

  /** Says when the packet path finds the inactivity, which it alone knows. */
  restAt(timeNs: number): void {
    this.#restsNs = timeNs;
  }

  report(triggers: readonly string[], nowNs: number): UsageReport {
    this.#elapse(nowNs);
    const told = this.urr.measure_volume === true;
    const report: UsageReport = {
      session: this.session,
      urr: this.urr.id,
      sequence: this.#sequence++,
      triggers,
      uplink_bytes: told ? this.#bytes.uplink : 0,
      downlink_bytes: told ? this.#bytes.downlink : 0,
      uplink_packets: told ? this.#packets.uplink : 0,
      downlink_packets: told ? this.#packets.downlink : 0,
      start_ns: this.#sinceNs,
      end_ns: nowNs,
      duration_ns: this.urr.measure_duration === true ? this.#measuredNs : nowNs - this.#sinceNs,
    };
    this.#bytes = { uplink: 0, downlink: 0 };
    this.#packets = { uplink: 0, downlink: 0 };
    this.#measuredNs = 0;
    this.#sinceNs = nowNs;
    return report;
  }

  #quotaLeftNs(): number {
    const { time_quota: quota } = this.urr;
    return quota === undefined ? Infinity : nanosecondsOf(quota) - this.#quotaNs;
  }

  #elapse(nowNs: number): void {
    if (this.#runningNs === undefined) return;
    this.#measuredNs += nowNs - this.#runningNs;
    this.#quotaNs += nowNs - this.#runningNs;
    this.#runningNs = nowNs;
  }

  /** A used-up quota lets nothing pass, so that no time is measured either. */
  #stopClock(): void {
    if (!this.goesOn) this.#runningNs = undefined;
  }
}

/** Whether anything about it has to do with time. */
function isTimed(urr: Urr): boolean {
  return (
    urr.measure_duration === true ||
    urr.report_start === true ||
    urr.report_stop === true ||
    [urr.period, urr.inactivity].some((time) => time !== undefined)
  );
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
