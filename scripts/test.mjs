// npm test: set-up, build, native unit tests, vitest, and end-to-end tests when we are root.
// `--unit` leaves the end-to-end tests out. The last line is "N passed, N failed".
import { existsSync } from 'node:fs';
import { runNativeTests } from './lib/native-tests.mjs';
import { findProgram, run } from './lib/process.mjs';
import { main, say } from './lib/progress.mjs';
import { Results } from './lib/results.mjs';
import { buildProduct, setUp } from './lib/setup.mjs';
import { runVitest } from './lib/vitest.mjs';

/** Why the end-to-end tests cannot run here, or undefined. */
async function endToEndObstacle() {
  if (process.argv.includes('--unit')) return '--unit was given';
  const how = 'run `sudo npm test` on a machine that allows network namespaces and TUN';
  if (process.getuid?.() !== 0) return `not root; ${how}`;
  if (!existsSync('/dev/net/tun')) return `no /dev/net/tun; ${how}`;
  const unshare = findProgram('unshare');
  const { code } = await run(unshare ?? 'unshare', ['-n', 'true'], { onLine: () => {} });
  return code === 0 ? undefined : `network namespaces are not allowed here; ${how}`;
}

await main(async () => {
  await setUp(['build', 'test']);
  await buildProduct();
  const results = new Results();
  results.add('native unit tests', await runNativeTests('test'));
  results.add('unit, tidy and contract tests', await runVitest('unit'));
  const obstacle = await endToEndObstacle();
  if (obstacle === undefined) results.add('end-to-end tests', await runVitest('e2e'));
  else say(`- end-to-end tests skipped: ${obstacle}`);
  return results.close();
});
