/**
 * Which buckets to move so that the hottest worker has less to do: the fewest that halve what it
 * has more than the coolest. Pure.
 */

/** What is less is left alone: a move costs all workers a moment's rest. */
const GAP_MIN = 0.2;

export interface BucketLoads {
  /** by bucket */
  readonly owners: Uint8Array;
  /** packets of each bucket in the same time; estimates */
  readonly packets: Float64Array;
  /** by worker: share of its time spent on packets, 0 to 1 */
  readonly busy: readonly number[];
}

export interface BucketPlan {
  readonly buckets: Uint8Array;
  readonly from: number;
  readonly to: number;
}

/** Share of time between the hottest worker and the coolest, and which they are. */
export function spreadOf(busy: readonly number[]) {
  let hot = 0;
  let cool = 0;
  for (const [worker, one] of busy.entries()) {
    if (one > busy[hot]!) hot = worker;
    if (one < busy[cool]!) cool = worker;
  }
  const gap = busy.length === 0 ? 0 : busy[hot]! - busy[cool]!;
  return { hot, cool, gap, isUneven: gap >= GAP_MIN };
}

/** undefined: no move makes it better. */
export function planMove({ owners, packets, busy }: BucketLoads): BucketPlan | undefined {
  const { hot, cool, gap, isUneven } = spreadOf(busy);
  if (!isUneven) return undefined;
  const own: number[] = [];
  let total = 0;
  for (const [bucket, count] of packets.entries()) {
    if (owners[bucket] !== hot || count === 0) continue;
    own.push(bucket);
    total += count;
  }
  own.sort((a, b) => packets[b]! - packets[a]! || a - b);
  const shareOf = (bucket: number): number => (busy[hot]! * packets[bucket]!) / total;
  const chosen: number[] = [];
  let left = gap / 2;
  for (const bucket of own) {
    if (shareOf(bucket) > left) continue;
    chosen.push(bucket);
    left -= shareOf(bucket);
  }
  // A bucket larger than half of the gap still helps while it is smaller than the gap.
  const smallest = own.at(-1);
  if (chosen.length === 0 && smallest !== undefined && own.length > 1 && shareOf(smallest) < gap) {
    chosen.push(smallest);
  }
  if (chosen.length === 0) return undefined;
  return { buckets: Uint8Array.from(chosen), from: hot, to: cool };
}
