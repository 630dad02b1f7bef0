// The native unit tests, plain or under a sanitizer: build, run, count.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
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
  const resultsPath = join(folder, 'results.json');
  rmSync(resultsPath, { force: true });
  const task = begin(`native tests (${kind})`);
  const program = join(folder, 'sluice_tests');
  const args = ['--gtest_brief=1', '--gtest_color=no', `--gtest_output=json:${resultsPath}`];
  const { code, output } = await run(...withFixedLayout(kind, program, args), {
    onLine: () => {},
    env: sanitizerEnvironment,
    cwd: folder,
  });
  const counts = readCounts(resultsPath, code);
  if (counts.failed > 0) {
    task.failed();
    say(output);
  } else {
    task.done();
  }
  return counts;
}

/** ThreadSanitizer needs an address space that the kernel does not shuffle as far as newer ones do. */
function withFixedLayout(kind, program, args) {
  const setarch = kind === 'tsan' ? findProgram('setarch') : undefined;
  return setarch ? [setarch, ['-R', program, ...args]] : [program, args];
}

function readCounts(resultsPath, code) {
  if (!existsSync(resultsPath)) return { passed: 0, failed: 1 };
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
  return { passed, failed: failed + unexplained, failures };
}
