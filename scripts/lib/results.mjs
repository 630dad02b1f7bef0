// Counts of passed and failed checks, and the closing line that a machine can read.
import { say } from './progress.mjs';

const failureMark = '✗ failed: ';

/** The name of the failed check that a closing list's line tells of, or undefined for other lines. */
export function failureOf(line) {
  return line.startsWith(failureMark) ? line.slice(failureMark.length) : undefined;
}

/** Adds up counts and names what failed. */
export class Results {
  passed = 0;
  failed = 0;
  failures = [];

  /** Adds the counts of one suite and says them; what failed is named again at the end. */
  add(title, { passed, failed, failures = [] }) {
    this.passed += passed;
    this.failed += failed;
    if (failed > 0) this.failures.push(...(failures.length > 0 ? failures : [title]));
    say(`${failed === 0 ? '✓' : '✗'} ${title}: ${passed} passed, ${failed} failed`);
  }

  /** Adds one check that either holds or does not. */
  check(title, holds) {
    this.add(title, { passed: holds ? 1 : 0, failed: holds ? 0 : 1 });
  }

  /** Prints what failed and the closing line, last of all, and gives the exit code. */
  close() {
    for (const failure of this.failures) say(`${failureMark}${failure}`);
    process.stdout.write(`${this.passed} passed, ${this.failed} failed\n`);
    return this.failed === 0 && this.passed > 0 ? 0 : 1;
  }
}
