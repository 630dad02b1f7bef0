/** `npm run n4-fuzz -- [--steps N] [--seed N]`: spoilt messages for all of N4, as many as you like. */
import { parseArgs } from 'node:util';
import { FuzzFailure, FuzzRun } from './fuzz.js';

const { values } = parseArgs({
  options: { steps: { type: 'string', default: '100000' }, seed: { type: 'string' } },
});
const seed = values.seed === undefined ? Date.now() % 1_000_000_000 : Number(values.seed);
const steps = Number(values.steps);
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(steps) || seed < 0 || steps < 1) {
  process.stderr.write('--seed and --steps take whole numbers\n');
  process.exit(2);
}
process.stdout.write(`seed ${seed}\n`);
try {
  const { causes, ...counts } = await FuzzRun.play(seed, steps);
  process.stdout.write(`${JSON.stringify({ ...counts, causes: Object.fromEntries(causes) })}\n`);
} catch (error) {
  if (!(error instanceof FuzzFailure)) throw error;
  process.stdout.write(`${error.message}\n`);
  process.exit(1);
}
