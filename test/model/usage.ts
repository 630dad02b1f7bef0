/**
 * Usage of one URR. Volumes are inner octets. A threshold is reported with the packet that
 * reaches it, and its window starts again; a quota covers a packet whole or not at all, is not
 * renewed by a report, and when it is used up nothing passes any more.
 */
import type { Direction, Urr, Volume } from './rules.js';

/** A report as the API has it. */
export interface UsageReport {
  readonly session: string;
  readonly urr: number;
  readonly sequence: number;
  readonly triggers: readonly string[];
  readonly uplink_bytes: number;
  readonly downlink_bytes: number;
  readonly uplink_packets: number;
  readonly downlink_packets: number;
  readonly start_ns: number;
  readonly end_ns: number;
}

interface Counted {
  uplink: number;
  downlink: number;
}

export class UrrUsage {
  #sequence = 0;
  #bytes: Counted = { uplink: 0, downlink: 0 };
  #packets: Counted = { uplink: 0, downlink: 0 };
  /** Bytes against the quota, since it was given. */
  #spent: Counted = { uplink: 0, downlink: 0 };
  #exhausted = false;

  constructor(
    readonly session: string,
    /** Its rules, which an update may change. */
    public urr: Urr,
    private sinceNs: number,
  ) {}

  /** Bytes that were counted and not reported. */
  get unreported(): Counted {
    return { ...this.#bytes };
  }

  /** An update: what was counted and the numbers go on; a quota that differs starts afresh. */
  goOnUnder(urr: Urr): void {
    if (JSON.stringify(urr.volume_quota) !== JSON.stringify(this.urr.volume_quota)) {
      this.#spent = { uplink: 0, downlink: 0 };
      this.#exhausted = false;
    }
    this.urr = urr;
  }

  /** Whether the quota lets the packet through; a report when it is used up by this. */
  covers(direction: Direction, bytes: number, nowNs: number, reports: UsageReport[]): boolean {
    if (this.#exhausted) return false;
    if (fits(this.urr.volume_quota, this.#spent, direction, bytes)) return true;
    this.#exhausted = true;
    reports.push(this.report(['volume_quota'], nowNs));
    return false;
  }

  count(direction: Direction, bytes: number, nowNs: number, reports: UsageReport[]): void {
    this.#bytes[direction] += bytes;
    this.#packets[direction] += 1;
    this.#spent[direction] += bytes;
    const triggers: string[] = [];
    if (reached(this.urr.volume_threshold, this.#bytes)) triggers.push('volume_threshold');
    if (reached(this.urr.volume_quota, this.#spent)) {
      this.#exhausted = true;
      triggers.push('volume_quota');
    }
    if (triggers.length > 0) reports.push(this.report(triggers, nowNs));
  }

  report(triggers: readonly string[], nowNs: number): UsageReport {
    const report: UsageReport = {
      session: this.session,
      urr: this.urr.id,
      sequence: this.#sequence++,
      triggers,
      uplink_bytes: this.#bytes.uplink,
      downlink_bytes: this.#bytes.downlink,
      uplink_packets: this.#packets.uplink,
      downlink_packets: this.#packets.downlink,
      start_ns: this.sinceNs,
      end_ns: nowNs,
    };
    this.#bytes = { uplink: 0, downlink: 0 };
    this.#packets = { uplink: 0, downlink: 0 };
    this.sinceNs = nowNs;
    return report;
  }
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
