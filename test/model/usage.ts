/**
 * Usage of one URR. Volumes are inner octets. A threshold is reported with the packet that
 * reaches it, and its window starts again; a quota covers a packet whole or not at all, is not
 * renewed by a report, and when it is used up nothing passes any more, or by another FAR.
 * Time is measured from the first packet on, and stands still when there is no traffic; what
 * it brings is reported at the next tick of the packet path's timers. At a monitoring time what
 * was counted is set aside for the next report, which is two then.
 */
import type { UsageFields } from '../report-fields.js';
import { type Counted, grants, Limits } from './limits.js';
import { type Direction, type MonitoringTime, nanosecondsOf, type Urr } from './rules.js';
import {
  hasMonitors,
  isTimed,
  isWatched,
  looksForInactivity,
  startsAtOnce,
  timeOf,
  waitsForPackets,
} from './urr-rules.js';

/** What the packet path's timers are exact to. */
const TICK_NS = 2 ** 18;

export function ceilTick(timeNs: number): number {
  return Math.ceil(timeNs / TICK_NS) * TICK_NS;
}

/** A report as the API has it. */
export interface UsageReport extends UsageFields {
  readonly session: string;
}

/** Usage from one moment to another. */
interface Part {
  readonly sinceNs: number;
  readonly untilNs: number;
  readonly bytes: Counted;
  readonly packets: Counted;
  readonly measuredNs: number;
}

export class UrrUsage {
  #sequence = 0;
  #bytes: Counted = { uplink: 0, downlink: 0 };
  #packets: Counted = { uplink: 0, downlink: 0 };
  #sinceNs: number;
  readonly #limits: Limits;
  /** Measured since the last report, up to #runningNs if it runs. */
  #measuredNs = 0;
  #runningNs: number | undefined;
  #nextPeriodNs = Infinity;
  /** Set aside at a monitoring time; and whether it was reported since, but not the rest. */
  #before: Part | undefined;
  #isAfter = false;
  /** Monitoring times that have passed. */
  #passed = 0;
  /** Discarded downlink since it was last reported. */
  #dropped = { packets: 0, bytes: 0 };
  /** There were packets, and no inactivity since. */
  #traffic = false;
  #quiet = false;
  #restsNs = Infinity;
  /** The quota holding time was told, and no packet came since. */
  #held = false;
  #heldNs = Infinity;
  #lastPacketNs: number;
  /** Whether packets are looked for at all. */
  #watchedNs: number;
  #grantedNs: number;

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
    this.#grantedNs = nowNs;
    this.#limits = new Limits(urr, nowNs);
    if (urr.period !== undefined) this.#nextPeriodNs = nowNs + nanosecondsOf(urr.period);
    if (startsAtOnce(urr)) this.#runningNs = nowNs;
    // Those that had passed when the URR came just set their limits.
    for (let at = this.#nextMonitor(); at !== undefined && timeOf(at) <= nowNs; ) {
      this.#takeLimits(at, nowNs);
      at = this.#nextMonitor();
    }
  }

  #takeLimits(monitor: MonitoringTime, nowNs: number): void {
    this.#passed++;
    // The quota holding time counts from a grant on.
    if (!this.#limits.take(monitor, this.urr, nowNs)) return;
    this.#grantedNs = nowNs;
    this.#held = false;
  }

  get isExhausted(): boolean {
    return this.#limits.isExhausted;
  }
  get isPaused(): boolean {
    return this.urr.paused === true;
  }

  /** An update: what was counted and the numbers go on; a quota that differs starts afresh. */
  goOnUnder(urr: Urr, goesOn: boolean, nowNs: number): void {
    const old = this.urr;
    this.#elapse(nowNs);
    const timed = isTimed(old) && isTimed(urr);
    if (!timed) this.#traffic = this.#quiet = false;
    if (!timed || urr.measure_duration !== true) {
      this.#measuredNs = 0;
      this.#runningNs = undefined;
    }
    this.#limits.update(old, urr, this.#bytes, this.#measuredNs, timed, nowNs);
    this.#passMonitorsOf(old, urr);
    const granted = grants(old, urr);
    if (granted.volume || granted.time) {
      this.#held = false;
    }
    if (granted.volume || granted.time || !waitsForPackets(old)) this.#grantedNs = nowNs;
    if (urr.period === undefined) this.#nextPeriodNs = Infinity;
    else if (urr.period !== old.period) this.#nextPeriodNs = nowNs + nanosecondsOf(urr.period);
    // What is looked for from now on counts from now.
    const anew = !looksForInactivity(old) && looksForInactivity(urr);
    if (!timed || anew || !isWatched(old)) this.#watchedNs = nowNs;
    if (urr.dropped_downlink_threshold === undefined) this.#dropped = { packets: 0, bytes: 0 };
    this.urr = urr;
    this.goesOn = goesOn;
    if (startsAtOnce(urr) && !(timed && startsAtOnce(old))) this.#runningNs ??= nowNs;
    if (this.isPaused || (this.isExhausted && !goesOn)) this.#runningNs = undefined;
  }

  /** One that has passed has passed; without any, what was set aside is counted with the rest. */
  #passMonitorsOf(old: Urr, urr: Urr): void {
    const last = old.monitoring_times?.[this.#passed - 1];
    const all = urr.monitoring_times ?? [];
    this.#passed = last === undefined ? 0 : all.filter((one) => timeOf(one) <= timeOf(last)).length;
    if (all.length > 0 || !hasMonitors(old)) return;
    const before = this.#before;
    if (before !== undefined) {
      this.#bytes = sum(before.bytes, this.#bytes);
      this.#packets = sum(before.packets, this.#packets);
      if (urr.measure_duration === true) this.#measuredNs += before.measuredNs;
      this.#sinceNs = before.sinceNs;
    }
    this.#before = undefined;
    this.#isAfter = false;
    this.#limits.forgetMonitors(urr, this.#bytes, this.#measuredNs);
  }

  /** Whether the quotas let the packet through; what to report when they just don't any more. */
  refuses(direction: Direction, bytes: number, nowNs: number): string[] {
    if (this.isExhausted) return [];
    this.#elapse(nowNs);
    const triggers: string[] = [];
    if (!this.#limits.covers(direction, bytes)) {
      triggers.push('volume_quota');
      this.#limits.useUpVolume();
    }
    if (this.#limits.quotaLeftNs <= 0) {
      triggers.push('time_quota');
      this.#limits.useUpTime();
    }
    if (triggers.length > 0) this.#stopClock();
    return triggers;
  }

  /** Returns what is to be reported after the packet. */
  count(direction: Direction, bytes: number, nowNs: number): string[] {
    const triggers: string[] = [];
    this.#bytes[direction] += bytes;
    this.#packets[direction] += 1;
    this.#limits.spend(direction, bytes);
    if (isTimed(this.urr)) {
      if (!this.#traffic && this.urr.report_start === true) triggers.push('start');
      this.#traffic = true;
      this.#quiet = false;
      this.#held = false;
      this.#lastPacketNs = nowNs;
      if (this.urr.measure_duration === true) this.#runningNs ??= nowNs;
    }
    if (this.#limits.isThresholdReached) triggers.push('volume_threshold');
    if (this.#limits.isQuotaReached) {
      this.#limits.useUpVolume();
      this.#stopClock();
      triggers.push('volume_quota');
    }
    return triggers;
  }

  /** A packet towards the UE that its rules discarded. True: there have been so many now. */
  countDropped(bytes: number): boolean {
    const { dropped_downlink_threshold: threshold } = this.urr;
    if (threshold === undefined || this.isPaused) return false;
    this.#dropped.packets += 1;
    this.#dropped.bytes += bytes;
    const { packets = Infinity, bytes: most = Infinity } = threshold;
    if (this.#dropped.packets < packets && this.#dropped.bytes < most) return false;
    this.#dropped = { packets: 0, bytes: 0 };
    return true;
  }

  /** When time alone brings something; Infinity: never. */
  dueNs(): number {
    const due = [this.#nextPeriodNs, this.#restsNs, this.#heldNs, this.timeQuotaEndsNs()];
    if (this.#runningNs !== undefined) due.push(this.#runningNs + this.#limits.thresholdLeftNs);
    const monitor = this.#nextMonitor();
    if (monitor !== undefined) due.push(timeOf(monitor));
    return Math.min(...due, this.#limits.validUntilNs);
  }

  timeQuotaEndsNs(): number {
    return this.#runningNs === undefined ? Infinity : this.#runningNs + this.#limits.quotaLeftNs;
  }

  /** What time has brought, as triggers of a report; what is told before that goes to `tell`. */
  due(nowNs: number, inactive: () => void, tell: (report: UsageReport) => void): string[] {
    this.#elapse(nowNs);
    this.#passMonitors(nowNs, tell);
    const triggers = [...this.#watchedDue(nowNs), ...this.#dueByTime(nowNs)];
    if (this.#restsNs > nowNs) return triggers;
    if (this.#traffic && this.urr.report_stop === true) triggers.push('stop');
    if (this.#traffic && this.urr.report_envelope === true) triggers.push('envelope_closure');
    this.#restsNs = Infinity;
    this.#traffic = false;
    this.#quiet = true;
    this.#runningNs = undefined;
    inactive();
    return triggers;
  }

  /** Those that have come at once are one cut, at the first of them. */
  #passMonitors(nowNs: number, tell: (report: UsageReport) => void): void {
    let cut = false;
    for (let at = this.#nextMonitor(); at !== undefined && timeOf(at) <= nowNs; ) {
      if (!cut) {
        for (const report of this.#tellBefore()) tell(report);
        const untilNs = Math.max(timeOf(at), this.#sinceNs);
        this.#before = this.#takePart(untilNs);
        this.#isAfter = false;
      }
      cut = true;
      this.#takeLimits(at, nowNs);
      at = this.#nextMonitor();
    }
  }

  #nextMonitor(): MonitoringTime | undefined {
    return this.urr.monitoring_times?.[this.#passed];
  }

  #watchedDue(nowNs: number): string[] {
    const triggers: string[] = [];
    if (this.#heldNs <= nowNs) {
      this.#heldNs = Infinity;
      if (this.#waitsToBeHeld()) {
        this.#held = true;
        triggers.push('quota_holding_time');
      }
    }
    if (this.#limits.validUntilNs <= nowNs && this.#limits.endValidity()) {
      this.#stopClock();
      triggers.push('quota_validity_time');
    }
    return triggers;
  }

  #dueByTime(nowNs: number): string[] {
    const triggers: string[] = [];
    if (this.#nextPeriodNs <= nowNs) {
      triggers.push('periodic');
      // The phase is that of creation, and periods that were missed are one report.
      const period = nanosecondsOf(this.urr.period!);
      while (this.#nextPeriodNs <= nowNs) this.#nextPeriodNs += period;
    }
    if (this.#runningNs === undefined) return triggers;
    if (this.#limits.thresholdLeftNs <= 0) triggers.push('time_threshold');
    if (this.#limits.quotaLeftNs <= 0) {
      this.#limits.useUpTime();
      this.#stopClock();
      triggers.push('time_quota');
    }
    return triggers;
  }

  /** From when on an inactivity may be found; undefined: none is to be told. */
  inactiveFromNs(): number | undefined {
    const { inactivity } = this.urr;
    if (inactivity === undefined || this.isPaused || this.#quiet) return undefined;
    return Math.max(this.#lastPacketNs, this.#watchedNs) + nanosecondsOf(inactivity);
  }

  /** From when on a quota's holding time may be over; undefined: nobody waits for it. */
  heldFromNs(): number | undefined {
    if (!this.#waitsToBeHeld()) return undefined;
    const fromNs = Math.max(this.#lastPacketNs, this.#watchedNs, this.#grantedNs);
    return fromNs + nanosecondsOf(this.urr.quota_holding_time!);
  }

  #waitsToBeHeld(): boolean {
    const { quota_holding_time: time } = this.urr;
    return time !== undefined && !this.isPaused && !this.#held && !this.isExhausted;
  }

  get hasTraffic(): boolean {
    return this.#traffic;
  }

  /** Say when the packet path finds the time without packets, which it alone knows. */
  restAt(timeNs: number): void {
    this.#restsNs = timeNs;
  }
  holdAt(timeNs: number): void {
    this.#heldNs = timeNs;
  }

  /** Whether a report would say anything. */
  isAny(nowNs: number): boolean {
    this.#elapse(nowNs);
    const packets = this.#packets.uplink + this.#packets.downlink;
    return packets > 0 || this.#measuredNs !== 0 || this.#before !== undefined;
  }

  /** One report, or two: that of before a monitoring time first. */
  report(triggers: readonly string[], nowNs: number): UsageReport[] {
    this.#elapse(nowNs);
    const before = this.#tellBefore();
    const part = this.#isAfter ? 'after_monitoring_time' : '';
    this.#isAfter = false;
    const report = this.#write(triggers, part, this.#takePart(nowNs));
    this.#limits.startWindow();
    return [...before, report];
  }

  #tellBefore(): UsageReport[] {
    const before = this.#before;
    if (before === undefined) return [];
    this.#before = undefined;
    this.#isAfter = true;
    return [this.#write(['monitoring_time'], 'before_monitoring_time', before)];
  }

  #takePart(untilNs: number): Part {
    const part: Part = {
      sinceNs: this.#sinceNs,
      untilNs,
      bytes: this.#bytes,
      packets: this.#packets,
      measuredNs: this.#measuredNs,
    };
    this.#bytes = { uplink: 0, downlink: 0 };
    this.#packets = { uplink: 0, downlink: 0 };
    this.#measuredNs = 0;
    this.#sinceNs = untilNs;
    return part;
  }

  #write(
    triggers: readonly string[],
    part: string,
    { sinceNs, untilNs, bytes, packets, measuredNs }: Part,
  ): UsageReport {
    const told = this.urr.measure_volume === true;
    return {
      session: this.session,
      urr: this.urr.id,
      sequence: this.#sequence++,
      triggers,
      part,
      uplink_bytes: told ? bytes.uplink : 0,
      downlink_bytes: told ? bytes.downlink : 0,
      uplink_packets: told ? packets.uplink : 0,
      downlink_packets: told ? packets.downlink : 0,
      start_ns: sinceNs,
      end_ns: untilNs,
      duration_ns: this.urr.measure_duration === true ? measuredNs : untilNs - sinceNs,
    };
  }

  #elapse(nowNs: number): void {
    if (this.#runningNs === undefined) return;
    this.#measuredNs += nowNs - this.#runningNs;
    this.#limits.spendTime(nowNs - this.#runningNs);
    this.#runningNs = nowNs;
  }

  /** A used-up quota lets nothing pass, so that no time is measured either. */
  #stopClock(): void {
    if (!this.goesOn) this.#runningNs = undefined;
  }
}

function sum(a: Counted, b: Counted): Counted {
  return { uplink: a.uplink + b.uplink, downlink: a.downlink + b.downlink };
}
