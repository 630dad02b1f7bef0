// npm start: set-up, build what changed, then `sluice serve` with the arguments after `--`.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, runForeground } from './lib/process.mjs';
import { main } from './lib/progress.mjs';
import { buildProduct, setUp } from './lib/setup.mjs';

await main(async () => {
  await setUp(['build']);
  await buildProduct();
  const flags = readFileSync(join(root, 'bin', 'node-flags'), 'utf8')
    .trim()
    .split(' ');
  return runForeground([
    ...flags,
    join(root, 'dist', 'src', 'cli', 'main.js'),
    'serve',
    ...process.argv.slice(2),
  ]);
});
