/**
 * What `sluice crypto` does with files and keys; the commands themselves are in src/cli/crypto.
 * Everything but the reading of files is src/crypto's. One thread, that of the process, and the
 * pool of src/crypto.
 */
import { type SelfTestReport, selfTest, selfTestFailure } from '../../crypto/self-test.js';

export type { SelfTestReport };

/** The self test of a start, with a sentence on what does not hold. */
export function runSelfTest(): { report: SelfTestReport; failure: string | undefined } {
  const report = selfTest();
  return { report, failure: selfTestFailure(report) };
}
