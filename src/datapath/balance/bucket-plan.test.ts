import { describe, expect, it } from 'vitest';
import { planMove } from './bucket-plan.js';

const BUCKETS = 256;

/** Worker of each bucket in turn, and packets of some. */
function loads(workers: number, packets: Record<number, number>, busy: number[]) {
  const owners = Uint8Array.from({ length: BUCKETS }, (_, bucket) => bucket % workers);
  const counts = new Float64Array(BUCKETS);
  for (const [bucket, count] of Object.entries(packets)) counts[Number(bucket)] = count;
  return { owners, packets: counts, busy };
}

describe('a plan for buckets', () => {
  it('moves what halves the difference, by the fewest', () => {
    const plan = planMove(loads(2, { 0: 40, 2: 30, 4: 20, 6: 10, 1: 10 }, [1, 0.2]));
    expect(plan).toEqual({ buckets: Uint8Array.of(0), from: 0, to: 1 });
  });

  it('adds smaller ones as far as they fit', () => {
    const plan = planMove(loads(2, { 0: 60, 2: 20, 4: 10, 6: 10 }, [1, 0]));
    expect(plan).toEqual({ buckets: Uint8Array.of(2, 4, 6), from: 0, to: 1 });
  });

  it('moves from the hottest to the coolest of several', () => {
    const plan = planMove(loads(4, { 1: 10, 5: 10, 9: 10, 13: 10, 2: 99 }, [0.5, 0.9, 0.7, 0.3]));
    expect(plan).toMatchObject({ from: 1, to: 3 });
    expect(plan?.buckets).toEqual(Uint8Array.of(1));
  });

  it('moves one that is larger than half of the difference, when it helps', () => {
    const plan = planMove(loads(2, { 0: 50, 2: 50 }, [1, 0.3]));
    expect(plan).toEqual({ buckets: Uint8Array.of(2), from: 0, to: 1 });
  });

  it('leaves alone what no move makes better', () => {
    // One bucket is all that the worker has: the other would be as hot.
    expect(planMove(loads(2, { 0: 100 }, [1, 0]))).toBeUndefined();
    expect(planMove(loads(2, { 0: 50, 2: 50 }, [0.9, 0.8]))).toBeUndefined();
    expect(planMove(loads(2, {}, [1, 0]))).toBeUndefined();
    expect(planMove(loads(1, { 0: 5 }, [1]))).toBeUndefined();
  });
});
