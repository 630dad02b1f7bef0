import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUCKETS } from '../../base/limits.js';
import { AddressPool, Claim } from './address-pool.js';
import { Slots } from './slots.js';
import { type TeidKey, TeidPermutation } from './teid.js';
import { TeidRegistry } from './teid-registry.js';

const word = () => fc.integer({ min: 0, max: 0xffff_ffff });

describe('TEID permutation', () => {
  const low = fc.integer({ min: 0, max: 0xff_ffff });
  const bucket = fc.integer({ min: 0, max: BUCKETS - 1 });
  const key = fc
    .tuple(word(), word(), word(), word(), word())
    .map(([a, b, c, d, step]): TeidKey => [a, b, c, d, (step | 1) >>> 0]);

  it('is undone by its inverse, for any key', () => {
    fc.assert(
      fc.property(key, bucket, low, (one, place, plain) => {
        const permutation = new TeidPermutation(one, 13);
        expect(permutation.unpermute(place, permutation.permute(place, plain))).toBe(plain);
      }),
    );
  });

  it('is another one in each bucket, for any key', () => {
    fc.assert(
      fc.property(key, low, (one, plain) => {
        const permutation = new TeidPermutation(one, 13);
        const all = Array.from({ length: BUCKETS }, (_, at) => permutation.permute(at, plain));
        expect(new Set(all).size).toBe(BUCKETS);
      }),
    );
  });

  it('gives what the packet path computes', () => {
    // Worked out from the definition with unbounded integers.
    const M = 0xffffffn;
    const key = [0xdeadbeef, 0x12345678, 0x9abcdef1, 0x0f1e2d3c, 0x2468ace1] as const;
    const k = key.map(BigInt);
    const reference = (place: bigint, plain: bigint) => {
      let x = (plain ^ k[0]! ^ (place * k[4]!)) & M;
      x = (x * (k[1]! | 1n)) & M;
      x ^= x >> 12n;
      x = (x * (k[2]! | 1n)) & M;
      x ^= x >> 12n;
      return (x * (k[3]! | 1n)) & M;
    };
    const permutation = new TeidPermutation(key, 13);
    for (const [place, generation, slot] of [
      [0, 1, 0],
      [255, 2047, 8191],
      [17, 5000, 99],
    ] as const) {
      const plain = ((BigInt(generation) << 13n) | BigInt(slot)) & M;
      const expected = (BigInt(place) << 24n) | reference(BigInt(place), plain);
      expect(BigInt(permutation.teid(place, generation, slot))).toBe(expected);
    }
  });
});

describe('slots', () => {
  it('never has one twice, and uses a freed one last and with a higher generation', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 400 }), (choices) => {
        const slots = new Slots(3);
        const live: number[] = [];
        const generations = new Map<number, number>();
        for (const choice of choices) {
          const bucket = slots.chooseBucket();
          if (choice % 3 === 0 && live.length > 0) {
            slots.free(live.splice(choice % live.length, 1)[0]!);
          } else if (bucket >= 0) {
            const index = slots.take(bucket);
            expect(live).not.toContain(index);
            expect(slots.generation[index]).toBeGreaterThan(generations.get(index) ?? 0);
            generations.set(index, slots.generation[index]!);
            live.push(index);
          }
          expect(slots.live).toBe(live.length);
        }
      }),
    );
  });

  it('fills every bucket to the last slot, and not more', () => {
    const slots = new Slots(4);
    const seen = new Set<number>();
    for (let i = 0; i < 4 * BUCKETS; i++) seen.add(slots.take(slots.chooseBucket()));
    expect(seen.size).toBe(4 * BUCKETS);
    expect(slots.chooseBucket()).toBe(-1);
    slots.free(700);
    expect(slots.take(slots.chooseBucket())).toBe(700);
  });

  it('reuses in the order of freeing', () => {
    const slots = new Slots(4);
    const taken = [0, 1, 2, 3].map(() => slots.take(9));
    slots.free(taken[2]!);
    slots.free(taken[0]!);
    expect([slots.take(9), slots.take(9)]).toEqual([taken[2], taken[0]]);
  });

  it('restores slots among fresh ones without giving them out twice', () => {
    const slots = new Slots(4);
    slots.restoreCeiling(new Uint32Array(BUCKETS).fill(10));
    expect(slots.restore(5, 2, 7)).toBe(true);
    expect(slots.restore(5, 2, 7)).toBe(false);
    expect(slots.restore(5, 4, 7)).toBe(false);
    slots.free(5 * 4 + 2);
    const taken = [0, 1, 2, 3].map(() => slots.take(5));
    expect(new Set(taken).size).toBe(4);
    for (const index of taken) expect(slots.generation[index]).toBe(11);
    expect(slots.room(5)).toBe(0);
  });
});

describe('TEID registry', () => {
  it('counts holders as a map does', () => {
    const teid = fc.integer({ min: 1, max: 3000 }).map((n) => Math.imul(n, 0x10001) >>> 0);
    fc.assert(
      fc.property(fc.array(fc.tuple(teid, fc.boolean()), { maxLength: 4000 }), (steps) => {
        const registry = new TeidRegistry();
        const model = new Map<number, number>();
        for (const [one, add] of steps) {
          if (add) registry.add(one);
          else registry.remove(one);
          const holders = (model.get(one) ?? 0) + (add ? 1 : -1);
          if (holders > 0) model.set(one, holders);
          else model.delete(one);
          expect(registry.size).toBe(model.size);
        }
        for (const [one] of steps) expect(registry.has(one)).toBe(model.has(one));
      }),
      { numRuns: 30 },
    );
  });
});

describe('address pool', () => {
  it('gives every address once, of the bucket first, and none that is reserved', () => {
    const pool = new AddressPool('10.60.0.0/22');
    expect(pool.free).toBe(1024 - 3);
    const seen = new Set<number>();
    for (let i = 0; i < 4; i++) {
      const low = pool.lowAt(pool.take(77));
      expect(low & 0xff).toBe(77);
      seen.add(low);
    }
    expect(pool.hasRoom(77)).toBe(false);
    while (pool.free > 0) {
      const low = pool.lowAt(pool.take(77));
      expect(seen.has(low)).toBe(false);
      seen.add(low);
    }
    expect(pool.take(0)).toBe(-1);
    expect(seen.size).toBe(1021);
    for (const reserved of [0x0a3c0000, 0x0a3c0001, 0x0a3c03ff]) {
      expect(seen.has(reserved)).toBe(false);
      expect(pool.claim(0, reserved)).toBe(Claim.Reserved);
    }
  });

  it('keeps the bucket in the last octet of a /64', () => {
    const pool = new AddressPool('fd00:60::/40');
    const low = pool.lowAt(pool.take(0xab));
    expect(low & 0xff).toBe(0xab);
    expect(pool.high).toBe(0xfd000060);
    expect(low >>> 24).toBe(0);
    expect(pool.claim(0xfd000060, 0)).toBe(Claim.Reserved);
    expect(pool.claim(0xfd000061, 5)).toBe(Claim.Outside);
  });

  it('does not give a freed address again before the others of its bucket', () => {
    const pool = new AddressPool('10.60.0.0/21');
    const first = pool.take(9);
    pool.release(0, pool.lowAt(first));
    const next = Array.from({ length: 8 }, () => pool.take(9));
    expect(next.indexOf(first)).toBe(7);
  });

  it('agrees with a set of addresses under any order of operations', () => {
    const step = fc.tuple(fc.nat(2), fc.nat(255), fc.nat(70));
    fc.assert(
      fc.property(
        fc.constantFrom('10.0.0.64/26', '10.0.0.0/30', 'fd00::/58', '192.168.4.0/23'),
        fc.array(step, { maxLength: 300 }),
        (text, steps) => {
          const pool = new AddressPool(text);
          const total = pool.free;
          const held = new Set<number>();
          for (const [kind, bucket, pick] of steps) {
            if (kind === 0) {
              const offset = pool.take(bucket);
              if (offset < 0) expect(held.size).toBe(total);
              else {
                expect(held.has(pool.lowAt(offset))).toBe(false);
                held.add(pool.lowAt(offset));
              }
            } else if (kind === 1) {
              const low = [...held][pick % Math.max(1, held.size)];
              if (low === undefined) continue;
              pool.release(pool.high, low);
              held.delete(low);
            } else {
              const low = pool.lowAt(pick);
              const claim = pool.claim(pool.high, low);
              if (claim === Claim.Taken) expect(held.has(low)).toBe(true);
              if (claim === Claim.Claimed) {
                expect(held.has(low)).toBe(false);
                held.add(low);
              }
            }
            expect(pool.free).toBe(total - held.size);
          }
        },
      ),
    );
  });

  it.each(['10.0.0.0/31', '10.0.0.0/7', 'fd00::/64', 'f000::/8', 'nonsense'])(
    'refuses %s',
    (text) => {
      expect(() => new AddressPool(text)).toThrow(
        expect.objectContaining({ code: 'invalid_argument', field: 'ports.uePools' }),
      );
    },
  );
});
