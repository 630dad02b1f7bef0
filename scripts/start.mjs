// npm start: set-up, build what changed, then `sluice serve` with the arguments after `--`.
import { join } from 'node:path';
import { root, runForeground } from './lib/process.mjs';
import { main } from './lib/progress.mjs';
import { buildProduct, setUp } from './lib/setup.mjs';

await main(async () => {
  await setUp(['build']);
  await buildProduct();
  // A small young generation keeps collection pauses short: what lives long is off the heap.
  return runForeground([
    '--max-semi-space-size=4',
    join(root, 'dist', 'src', 'cli', 'main.js'),
    'serve',
    ...process.argv.slice(2),
  ]);
});
