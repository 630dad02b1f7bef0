// npm run build: set-up and build. `--native` builds the addon alone (binding.gyp calls it so),
// `--every-tier` also the addons for other kinds of processors than this one (for packages),
// `--fuzz` the fuzzers, with the tests that share their library; `--sanitizers` both builds of the
// native tests under sanitizers, `--arm64` the cryptography's tests for Armv8.
import { buildNative } from './lib/native.mjs';
import { main } from './lib/progress.mjs';
import { buildProduct, setUp } from './lib/setup.mjs';

await main(async () => {
  const sanitizers = process.argv.includes('--sanitizers');
  const fuzz = sanitizers || process.argv.includes('--fuzz');
  const arm64 = process.argv.includes('--arm64');
  await setUp(['build', ...(fuzz ? ['test', 'fuzz'] : []), ...(arm64 ? ['arm64'] : [])]);
  if (sanitizers) await buildNative('tsan');
  if (fuzz) await buildNative('asan');
  else if (process.argv.includes('--native')) await buildNative('addon');
  else await buildProduct();
  if (arm64) await buildNative('arm64');
  if (process.argv.includes('--every-tier')) await buildNative('everyTier');
});
