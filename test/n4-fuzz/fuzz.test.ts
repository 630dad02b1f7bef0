import { expect, it } from 'vitest';
import { FuzzRun } from './fuzz.js';

it('spoilt messages are answered once and well, and leave nothing behind', async () => {
  const seed = Number(process.env.SLUICE_N4_SEED ?? Date.now() % 1_000_000_000);
  console.log(`seed ${seed}`);
  const { requests, answers, accepted, causes } = await FuzzRun.play(seed, 1000);
  expect(answers).toBe(requests);
  expect(requests).toBeGreaterThan(500);
  expect(accepted).toBeGreaterThan(20);
  // They get past the reader, and are refused for more than one reason.
  expect(causes.size).toBeGreaterThan(4);
}, 60_000);
