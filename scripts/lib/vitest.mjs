// vitest: runs one project with its own output and counts from its JSON report.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './process.mjs';
import { say } from './progress.mjs';

/** @returns {Promise<{passed: number, failed: number}>} a file that cannot load counts as one failure */
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
  const broken = report.testResults.filter(
    (file) =>
      file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const failed = report.numFailedTests + broken;
  // Unhandled errors, or no test at all, fail the run without failing a test.
  const unexplained = failed === 0 && (code !== 0 || report.numPassedTests === 0) ? 1 : 0;
  return { passed: report.numPassedTests, failed: failed + unexplained };
}
