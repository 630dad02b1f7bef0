import fc from 'fast-check';
import { expect, it } from 'vitest';
import { TICK_MS, TimerWheel } from './timer-wheel.js';

const step = fc.record({
  kind: fc.constantFrom('set', 'cancel', 'advance'),
  id: fc.nat(300),
  ms: fc.oneof(fc.nat(50), fc.nat(30_000)),
});

it('expires each timer once, within a tick, in no other case', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const wheel = new TimerWheel();
      const due = new Map<number, number>();
      let now = 0;
      for (const { kind, id, ms } of steps) {
        if (kind === 'set') {
          wheel.set(id, now + ms);
          due.set(id, now + ms);
        } else if (kind === 'cancel') {
          wheel.cancel(id);
          due.delete(id);
        } else {
          now += ms;
          wheel.advance(now, (expired) => {
            expect(due.get(expired)).toBeLessThanOrEqual(now);
            due.delete(expired);
          });
          for (const at of due.values()) expect(at).toBeGreaterThan(now - 2 * TICK_MS);
        }
        expect(wheel.count).toBe(due.size);
        if (due.size > 0) {
          const next = wheel.nextMs();
          expect(next).toBeLessThanOrEqual(Math.min(...due.values()) + 2 * TICK_MS);
        }
      }
    }),
  );
});

it('lets timers set timers while they expire', () => {
  const wheel = new TimerWheel();
  wheel.set(1, 100);
  let rounds = 0;
  for (let now = 0; now <= 1000; now += TICK_MS) {
    wheel.advance(now, (id) => {
      rounds++;
      wheel.set(id, now + 100);
    });
  }
  expect(rounds).toBe(10);
});
