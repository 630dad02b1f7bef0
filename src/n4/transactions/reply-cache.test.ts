import fc from 'fast-check';
import { expect, it } from 'vitest';
import { REPLY_KEPT_MS, ReplyCache } from './reply-cache.js';

interface Kept {
  readonly atMs: number;
  readonly text: string;
}
const action = fc.record({
  kind: fc.constantFrom('put', 'find'),
  key: fc.nat(40),
  length: fc.nat(900),
  ms: fc.nat(4000),
});

it('gives back what was put in, for as long, or has evicted it for want of room', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 400 }), fc.nat(2 ** 32 - 1), (actions, start) => {
      const cache = new ReplyCache(8192);
      const model = new Map<number, Kept>();
      let now = start;
      let round = 0;
      for (const { kind, key, length, ms } of actions) {
        now += ms;
        // Neighbours in the index, and keys that differ in one word only.
        const words = [key % 5, key >> 3, key] as const;
        if (kind === 'put') {
          const bytes = Buffer.alloc(length, ++round);
          cache.put(...words, now, bytes, 0, length);
          model.set(key, { atMs: now, text: bytes.toString('hex') });
          expect(cache.bytesUsed).toBeLessThanOrEqual(8192);
        }
        const found = cache.find(...words, now);
        const kept = model.get(key);
        if (!found) {
          const young = kept !== undefined && now - kept.atMs <= REPLY_KEPT_MS;
          if (young) expect(cache.evicted).toBeGreaterThan(0);
          model.delete(key);
          continue;
        }
        const { foundAt, foundLength } = cache;
        const text = Buffer.from(cache.bytes.slice(foundAt, foundAt + foundLength)).toString('hex');
        expect(text).toBe(kept?.text);
      }
    }),
  );
});

it('keeps the latest ones when it is full', () => {
  const cache = new ReplyCache(65_536);
  const bytes = new Uint8Array(100);
  for (let key = 0; key < 10_000; key++) cache.put(key * 7919, key, key, 0, bytes, 0, 100);
  expect(cache.count).toBeGreaterThan(300);
  expect(cache.evicted).toBe(10_000 - cache.count);
  for (let key = 10_000 - cache.count; key < 10_000; key++) {
    expect(cache.find(key * 7919, key, key, 1)).toBe(true);
  }
});
