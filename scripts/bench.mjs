// npm run bench: set-up, build, then bench/run.ts with the arguments after `--`.
import { join } from 'node:path';
import { buildNative } from './lib/native.mjs';
import { root, runForeground } from './lib/process.mjs';
import { main } from './lib/progress.mjs';
import { buildProduct, setUp } from './lib/setup.mjs';

await main(async () => {
  await setUp(['build', 'bench']);
  await buildProduct();
  await buildNative('bench');
  return runForeground([join(root, 'dist', 'bench', 'run.js'), ...process.argv.slice(2)]);
});
