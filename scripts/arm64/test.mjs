// npm run test:arm64: the cryptography's tiers for Armv8, built here and run under qemu-user.
// The last line is "N passed, N failed".
import { guardEmulatedSecrets, guardKernels } from '../guards.mjs';
import { runEmulatedTests } from '../lib/native-tests.mjs';
import { main } from '../lib/progress.mjs';
import { Results } from '../lib/results.mjs';
import { setUp } from '../lib/setup.mjs';

await main(async () => {
  await setUp(['build', 'arm64']);
  const results = new Results();
  results.add('tests on emulated processors', await runEmulatedTests());
  const kernels = await guardKernels('arm64', 'armv8', 'aarch64-linux-gnu-nm');
  results.add('kernels', kernels);
  results.add('secrets', await guardEmulatedSecrets());
  return results.close();
});
