/** Gates and token buckets: every bucket of a PDR has to have enough before any pays. */
import { Bucket } from './bucket.js';
import { type Direction, type Pdr, type Qer, qersOf, type Session } from './rules.js';
import type { LivePdr, LiveSession } from './session.js';

export function isGateClosed({ session }: LiveSession, { pdr, direction }: LivePdr): boolean {
  return qersOf(session, pdr).some(
    (qer) =>
      (direction === 'uplink' ? qer.uplink_gate_closed : qer.downlink_gate_closed) === true ||
      mbrOf(qer, direction) === 0,
  );
}

export function isWithinRates(
  live: LiveSession,
  { pdr, direction }: LivePdr,
  bytes: number,
  nowNs: number,
): boolean {
  const names = new Set(qersOf(live.session, pdr).map((qer) => bucketName(qer, direction)));
  const buckets = [...names].flatMap((name) => live.buckets.get(name) ?? []);
  const enough = buckets.map((bucket) => bucket.has(bytes, nowNs));
  if (enough.includes(false)) return false;
  for (const bucket of buckets) bucket.pay(bytes);
  return true;
}

/** A bucket whose rate stays is as full as it was. */
export function bucketsOf(
  session: Session,
  pdrs: readonly { readonly pdr: Pdr; readonly direction: Direction }[],
  before: ReadonlyMap<string, Bucket> | undefined,
  nowNs: number,
): Map<string, Bucket> {
  const buckets = new Map<string, Bucket>();
  for (const { pdr, direction } of pdrs) {
    for (const qer of qersOf(session, pdr)) {
      const rate = mbrOf(qer, direction);
      if (rate === undefined || rate === 0) continue;
      const name = bucketName(qer, direction);
      if (buckets.has(name)) continue;
      const kept = before?.get(name);
      buckets.set(name, kept?.rateKbps === rate ? kept : new Bucket(rate, nowNs));
    }
  }
  return buckets;
}

function mbrOf(qer: Qer, direction: Direction): number | undefined {
  return direction === 'uplink' ? qer.uplink_mbr_kbps : qer.downlink_mbr_kbps;
}

/** QERs that share a bucket have the same name of it. */
function bucketName(qer: Qer, direction: Direction): string {
  return `${direction} ${qer.shared_bucket === undefined ? qer.id : `"${qer.shared_bucket}"`}`;
}
