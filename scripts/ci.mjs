// .ci/run: everything a change must pass, from a fresh clone. Goes on after a failure, so that
// one run tells all; the last line sums what the parts counted.
import { join } from 'node:path';
import { guardInstructions, guardKernels, guardSecrets } from './guards.mjs';
import { runNativeTests } from './lib/native-tests.mjs';
import { findProgram, root, run } from './lib/process.mjs';
import { begin, formatDuration, main, StepError, say } from './lib/progress.mjs';
import { failureOf, Results } from './lib/results.mjs';
import { setUp } from './lib/setup.mjs';

const fuzzSeconds = 60;

/** Runs a command, shows its output, and takes counts and failures from its closing lines. */
async function countsOf(command, args) {
  let last = '';
  const failures = [];
  const { code } = await run(command, args, {
    onLine: (line) => {
      last = line;
      say(line);
      const failure = failureOf(line);
      if (failure !== undefined) failures.push(failure);
    },
  });
  const counts = /^(\d+) passed, (\d+) failed$/.exec(last);
  if (counts === null) return { passed: 0, failed: 1 };
  const [passed, failed] = [Number(counts[1]), Number(counts[2])];
  return { passed, failed: failed === 0 && code !== 0 ? 1 : failed, failures };
}

/** Exit code 0 is one passed check. */
async function exitOf(command, args) {
  const { code } = await run(command, args);
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 };
}

/**
 * Begins the builds that later stages will ask for, with what the processors have left (the
 * end-to-end tests wait most of their time). What fails here fails there again, and is told there.
 */
async function buildAhead() {
  const idle = findProgram('chrt') ? ['chrt', '--idle', '0'] : ['nice', '-n', '19'];
  const [command, ...args] = [...idle, process.execPath, join(root, 'scripts', 'build.mjs')];
  await run(command, [...args, '--sanitizers', '--arm64'], { onLine: () => {} });
}

const stages = (ahead) => [
  ['lint', () => countsOf('npm', ['run', '--silent', 'lint'])],
  ['npm test', () => countsOf('npm', ['--silent', 'test'])],
  ['native tests, ASan + UBSan', () => ahead.then(() => runNativeTests('asan'))],
  ['native tests, TSan', () => runNativeTests('tsan')],
  ['instructions a packet', guardInstructions],
  ['kernels', guardKernels],
  ['secrets', guardSecrets],
  ['Arm64 tiers under emulation', () => countsOf('npm', ['run', '--silent', 'test:arm64'])],
  ['fuzz smoke', () => exitOf(join(root, 'scripts', 'fuzz-smoke.sh'), [String(fuzzSeconds)])],
];

await main(async () => {
  const startedMs = performance.now();
  await setUp(['build', 'test', 'lint', 'fuzz', 'guard', 'arm64']);
  const results = new Results();
  for (const [title, work] of stages(buildAhead())) {
    say(`\n== ${title}`);
    try {
      results.add(title, await work());
    } catch (error) {
      if (!(error instanceof StepError)) begin(title).failed(String(error));
      say(error.message);
      results.add(title, { passed: 0, failed: 1 });
    }
  }
  say(`All stages took ${formatDuration(performance.now() - startedMs)}.`);
  return results.close();
});
