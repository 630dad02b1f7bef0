import { afterEach, describe, expect, it } from 'vitest';
import { createLog } from '../../base/log.js';
import { Balancer } from './balancer.js';
import type { BucketMove } from './bucket-path.js';

/** Two workers, of which the buckets of one are all that has traffic. */
class FakePath {
  busy = [0.95, 0.1];
  answer: BucketMove = 'done';
  watchers = 0;
  readonly moves: { buckets: number[]; worker: number }[] = [];
  readonly bucketOwners = Uint8Array.from({ length: 256 }, (_, bucket) => bucket % 2);

  statistics = () => ({ workers: this.busy.map((busy) => ({ busy })) });
  moveBuckets = (buckets: Uint8Array, worker: number): BucketMove => {
    this.moves.push({ buckets: [...buckets], worker });
    if (this.answer === 'done') for (const bucket of buckets) this.bucketOwners[bucket] = worker;
    return this.answer;
  };
  watchBuckets = () => {
    this.watchers++;
    const packets = new Float64Array(256);
    for (let bucket = 0; bucket < 256; bucket += 2) packets[bucket] = 10;
    return { take: () => packets, close: () => this.watchers-- };
  };
}

const path = new FakePath();
const balancer = new Balancer({
  path,
  traffic: path,
  log: createLog({ level: 'silent' }),
});
const look = (times: number) => {
  for (let i = 0; i < times; i++) balancer.look();
};

afterEach(() => {
  balancer.stop();
  Object.assign(path, { busy: [0.1, 0.1], answer: 'done' });
  look(5);
  path.moves.length = 0;
  path.busy = [0.95, 0.1];
});

describe('the balancer', () => {
  it('moves nothing on the first sign', () => {
    look(2);
    expect(path.moves).toEqual([]);
    path.busy = [0.5, 0.1];
    look(1);
    path.busy = [0.95, 0.1];
    look(2);
    expect(path.moves).toEqual([]);
  });

  it('relieves a worker that stays hot, then waits for what comes of it', () => {
    look(3);
    expect(path.moves).toHaveLength(1);
    expect(path.moves[0]!.worker).toBe(1);
    // A little less than half of 0.85, of 0.95 that 128 buckets share.
    expect(path.moves[0]!.buckets).toHaveLength(57);
    look(3);
    expect(path.moves).toHaveLength(1);
    path.busy = [0.55, 0.5];
    look(10);
    expect(path.moves).toHaveLength(1);
  });

  it('tries again when the packet path could not yet', () => {
    path.answer = 'busy';
    look(4);
    expect(path.moves).toHaveLength(2);
    path.answer = 'done';
    look(1);
    expect(path.moves).toHaveLength(3);
  });

  it('samples only while a worker is hot', () => {
    expect(path.watchers).toBe(0);
    look(1);
    expect(path.watchers).toBe(1);
    path.busy = [0.3, 0.1];
    look(1);
    expect(path.watchers).toBe(0);
  });
});
