/**
 * What `sluice crypto` does with files and keys; the commands themselves are in src/cli/crypto.
 * Everything but the reading of files is src/crypto's. One thread, that of the process, and the
 * pool of src/crypto.
 */
import { SluiceError } from '../../base/errors.js';
import { type SelfTestReport, selfTest, selfTestFailure } from '../../crypto/self-test.js';
import { ToolError } from '../tool-error.js';

export type { SelfTestReport };

/**
 * The self test of a start, with a sentence on what does not hold.
 * @throws ToolError when it cannot run
 */
export function runSelfTest(): { report: SelfTestReport; failure: string | undefined } {
  try {
    const report = selfTest();
    return { report, failure: selfTestFailure(report) };
  } catch (error) {
    throw error instanceof SluiceError ? new ToolError(error.message) : error;
  }
}
