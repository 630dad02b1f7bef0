// vitest: runs one project with its own output and counts from its JSON report.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root, run } from './process.mjs';
import { say } from './progress.mjs';

/** @returns {Promise<{passed: number, failed: number, failures?: string[]}>} a file that cannot load counts as one failure */
export async function runVitest(project) {
  const reportPath = join(root, '.cache', `vitest-${project}.json`);
  rmSync(reportPath, { force: true });
  say(`· vitest (${project})`);
  const { code } = await run(process.execPath, [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    `--project=${project}`,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${reportPath}`,
  ]);
  if (!existsSync(reportPath)) return { passed: 0, failed: 1 };
  const report = JSON.parse(readFileSync(reportPath, 'utf8'));
  const failures = report.testResults
    .filter((file) => file.status === 'failed')
    .flatMap((file) => failuresIn(file));
  const failed = failures.length;
  // Unhandled errors, or no test at all, fail the run without failing a test.
  const unexplained = failed === 0 && (code !== 0 || report.numPassedTests === 0) ? 1 : 0;
  return { passed: report.numPassedTests, failed: failed + unexplained, failures };
}

/** The failed tests of a file with its path; a file that broke outside its tests is named itself. */
function failuresIn(file) {
  const path = relative(root, file.name);
  const tests = file.assertionResults.filter((test) => test.status === 'failed');
  return tests.length > 0 ? tests.map((test) => `${path} > ${test.fullName}`) : [path];
}
