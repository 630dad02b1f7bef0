/** `npm run model -- [--steps N] [--seed N] [--until STEP]`: the model, as long as you like. */
import { parseArgs } from 'node:util';
import { Mismatch } from './history.js';
import { ModelRun } from './run.js';

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '1000000' },
    seed: { type: 'string' },
    until: { type: 'string' },
  },
});
const seed = values.seed === undefined ? Date.now() % 1_000_000_000 : Number(values.seed);
const steps = Number(values.until ?? values.steps);
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(steps) || seed < 0 || steps < 1) {
  process.stderr.write('--seed, --steps and --until take whole numbers\n');
  process.exit(2);
}
// So that what is in shared memory goes, too.
process.once('SIGINT', () => process.exit(130));
const began = performance.now();
const cpuBefore = process.cpuUsage();
process.stdout.write(`seed ${seed}\n`);
try {
  const counts = await ModelRun.play({ seed, steps });
  const seconds = (performance.now() - began) / 1_000;
  const { dropped, triggers, paths, ...numbers } = counts;
  const cpu = process.cpuUsage(cpuBefore);
  const cpuSeconds = (cpu.user + cpu.system) / 1e6;
  const rate = `${Math.round(counts.steps / seconds)} steps/s`;
  const cpuRate = `${Math.round(counts.steps / cpuSeconds)} for each second of CPU`;
  process.stdout.write(
    `${JSON.stringify({ ...numbers, dropped: sorted(dropped), triggers: sorted(triggers), paths: sorted(paths) })}\n`,
  );
  process.stdout.write(`as the model says: ${seconds.toFixed(1)} s, ${rate}, ${cpuRate}\n`);
} catch (error) {
  if (!(error instanceof Mismatch)) throw error;
  process.stdout.write(`${error.message}\n`);
  process.exit(1);
}

function sorted(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a));
}
