// The native unit tests, plain, under a sanitizer or on an emulated processor: build, run, count.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { emulator } from '../arm64/emulator.mjs';
import { buildNative } from './native.mjs';
import { findProgram, run } from './process.mjs';
import { begin, say } from './progress.mjs';

const sanitizerEnvironment = {
  ASAN_OPTIONS: 'detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1',
  UBSAN_OPTIONS: 'print_stacktrace=1',
  TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1',
};

/** @returns {Promise<{passed: number, failed: number, failures?: string[]}>} a run that dies counts as one failure */
export async function runNativeTests(kind) {
  const folder = await buildNative(kind);
  const { counts } = await runTests(folder, kind, kind === 'tsan' ? withFixedLayout() : []);
  return counts;
}

/**
 * Processors of Armv8 under qemu-user, and the tiers of cryptography that tests on them must have
 * tried, as names of tests say them: one with the instructions for SM3 and SM4, one without.
 */
const emulated = {
  max: ['portable', 'armv8aes', 'armv8sm4'],
  'cortex-a72': ['portable', 'armv8aes'],
};

/** @returns {Promise<{passed: number, failed: number}>} of the tests of cryptography on each of them */
export async function runEmulatedTests() {
  const folder = await buildNative('arm64');
  const runs = Object.entries(emulated).map(async ([processor, tiers]) => {
    const { counts, names } = await runTests(folder, `arm64, ${processor}`, emulator(processor));
    const tried = new Set(names.flatMap((name) => /\/(\w+)$/.exec(name)?.[1] ?? []));
    const holds = tried.size === tiers.length && tiers.every((tier) => tried.has(tier));
    say(`${holds ? '✓' : '✗'} ${processor} has the tiers ${[...tried].join(', ')}`);
    counts[holds ? 'passed' : 'failed'] += 1;
    return counts;
  });
  const sum = { passed: 0, failed: 0, failures: [] };
  for (const { passed, failed, failures = [] } of await Promise.all(runs)) {
    sum.passed += passed;
    sum.failed += failed;
    sum.failures.push(...failures);
  }
  return sum;
}

/** @param before  the command that runs the program, if it needs one */
async function runTests(folder, title, before) {
  const resultsPath = join(folder, `results-${title.replace(/\W+/g, '-')}.json`);
  rmSync(resultsPath, { force: true });
  const task = begin(`native tests (${title})`);
  const [command, ...args] = [
    ...before,
    join(folder, 'sluice_tests'),
    ...['--gtest_brief=1', '--gtest_color=no', `--gtest_output=json:${resultsPath}`],
  ];
  const { code, output } = await run(command, args, {
    onLine: () => {},
    env: sanitizerEnvironment,
    cwd: folder,
  });
  const results = readResults(resultsPath, code);
  if (results.counts.failed > 0) {
    task.failed();
    say(output);
  } else {
    task.done();
  }
  return results;
}

/** ThreadSanitizer needs an address space that the kernel does not shuffle as far as newer ones do. */
function withFixedLayout() {
  const setarch = findProgram('setarch');
  return setarch ? [setarch, '-R'] : [];
}

function readResults(resultsPath, code) {
  if (!existsSync(resultsPath)) return { counts: { passed: 0, failed: 1 }, names: [] };
  const report = JSON.parse(readFileSync(resultsPath, 'utf8'));
  const failed = report.failures + (report.errors ?? 0);
  const tests = report.testsuites.flatMap((suite) => suite.testsuite);
  const skipped = tests.filter((test) => test.result === 'SKIPPED').length;
  const failures = tests
    .filter((test) => test.failures !== undefined)
    .map((test) => `${test.classname}.${test.name}`);
  const passed = report.tests - failed - (report.disabled ?? 0) - skipped;
  // A leak or a race found at exit fails the run although each test passed; so does an empty run.
  const unexplained = failed === 0 && (code !== 0 || passed === 0) ? 1 : 0;
  const counts = { passed, failed: failed + unexplained, failures };
  return { counts, names: tests.map(({ name }) => name) };
}
