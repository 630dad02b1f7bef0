import type { Command } from 'commander';
import { runSelfTest, type SelfTestReport } from '../../tools/crypto/self-test.js';
import { ToolError } from '../../tools/tool-error.js';
import { printJson, printLine, table } from '../print.js';

export function addSelfTestCommand(crypto: Command): void {
  crypto
    .command('selftest')
    .description('try every algorithm, mode and tier against known answers')
    .addHelpText(
      'after',
      `
The same test as at the start of a node, which refuses to start when it fails, and as in
"sluice doctor". A tier is a set of kernels for a kind of processor; those that this processor
cannot run are left out. The one in use is the best, unless SLUICE_CRYPTO_TIER names another.

With --json: {"tier", "passed", "results": [{"algorithm", "mode", "by", "holds"}]}.

Exit codes: 0 all answers hold, 1 at least one does not, 2 wrong usage.

Examples:
  sluice crypto selftest
  sluice crypto selftest --json | jq -e .passed`,
    )
    .action((_: unknown, own: Command) => {
      const { report, failure } = runSelfTest();
      if (own.optsWithGlobals<{ json?: boolean }>().json === true) {
        printJson({ tier: report.tier, passed: failure === undefined, results: report.results });
      } else printLine(selfTestText(report));
      if (failure !== undefined) throw new ToolError(failure);
    });
}

function selfTestText({ tier, results }: SelfTestReport): string {
  const rows = results.map(({ algorithm, mode, by, holds }) => [
    algorithm,
    mode,
    by,
    holds ? 'ok' : 'FAILED',
  ]);
  return `${table(['algorithm', 'mode', 'by', 'result'], rows)}\n\ntier in use: ${tier}`;
}
