/** A short run of the simulation; `npm run n4:simulate` is as long as you like. */
import { expect, it } from 'vitest';
import { simulate } from './simulation.js';

it('serves every request once, and loses and doubles no session', async () => {
  const seed = Date.now() % 1_000_000_000;
  const outcome = await simulate(seed, 6000);
  expect(outcome, `seed ${seed}`).toMatchObject({ steps: 6000 });
  expect(outcome.requests, `seed ${seed}`).toBeGreaterThan(1000);
});

it('is the same run for the same seed', async () => {
  expect(await simulate(7, 1500)).toEqual(await simulate(7, 1500));
});
