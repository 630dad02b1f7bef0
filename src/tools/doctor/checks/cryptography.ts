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
      mendOf(report),
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

/** A tier that was asked for is not to be had, or nothing is there to be loaded. */
function mendOf(report: string): string {
  const forced = /SLUICE_(?:CRYPTO|PATH)_TIER(?= is )/.exec(report)?.[0];
  return forced === undefined ? 'npm run build' : `unset ${forced}`;
}
