/** `npm run n4:simulate -- [--steps N] [--seed N]`: the simulation, as long as you like. */
import { parseArgs } from 'node:util';
import { simulate } from './simulation.js';
import { Violation } from './smf-model.js';

const { values } = parseArgs({
  options: { steps: { type: 'string', default: '1000000' }, seed: { type: 'string' } },
});
const seed = values.seed === undefined ? Date.now() % 1_000_000_000 : Number(values.seed);
const steps = Number(values.steps);
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(steps) || seed < 0 || steps < 1) {
  process.stderr.write('--seed and --steps take whole numbers\n');
  process.exit(2);
}
process.stdout.write(`seed ${seed}\n`);
const began = performance.now();
try {
  const outcome = await simulate(seed, steps);
  const seconds = (performance.now() - began) / 1000;
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
  process.stdout.write(
    `nothing amiss: ${seconds.toFixed(1)} s, ${Math.round(steps / seconds)} steps/s\n`,
  );
} catch (error) {
  if (!(error instanceof Violation)) throw error;
  process.stdout.write(`${error.message}\n`);
  process.exit(1);
}
