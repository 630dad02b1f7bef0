import { selfTestFailure } from '../../../crypto/self-test.js';
import { type Finding, Findings } from '../finding.js';
import type { Machine } from '../probe.js';

/** The self test that a start does too, and the kernels that this processor gets. */
export function checkCryptography({ probe }: Machine): Finding[] {
  const findings = new Findings('cryptography');
  const report = probe.cryptoSelfTest();
  if (typeof report === 'string') {
    findings.error(
      `the self test cannot run: ${report}`,
      'the node does not start',
      report.includes('SLUICE_CRYPTO_TIER') ? 'unset SLUICE_CRYPTO_TIER' : 'npm run build',
    );
    return findings.all;
  }
  const failure = selfTestFailure(report);
  if (failure === undefined) {
    findings.ok(`${report.results.length} known answers hold; tier ${report.tier}`);
  } else {
    findings.error(
      failure,
      'the node refuses to start; the processor, its memory or this build is broken',
      'npm run build && sluice crypto selftest   # then the same on another machine',
    );
  }
  return findings.all;
}
