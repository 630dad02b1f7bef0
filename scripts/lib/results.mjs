// Counts of passed and failed checks, and the closing line that a machine can read.
import { say } from './progress.mjs';

/** Adds up counts and names what failed. */
export class Results {
  passed = 0;
  failed = 0;

  /** Adds the counts of one suite and says them. */
  add(title, { passed, failed }) {
    this.passed += passed;
    this.failed += failed;
    say(`${failed === 0 ? '✓' : '✗'} ${title}: ${passed} passed, ${failed} failed`);
  }

  /** Adds one check that either holds or does not. */
  check(title, holds) {
    this.add(title, { passed: holds ? 1 : 0, failed: holds ? 0 : 1 });
  }

  /** Prints the closing line, last of all, and gives the exit code. */
  close() {
    process.stdout.write(`${this.passed} passed, ${this.failed} failed\n`);
    return this.failed === 0 && this.passed > 0 ? 0 : 1;
  }
}
