// npm run build: set-up and build. `--native` builds the addon alone (binding.gyp calls it so).
import { buildNative } from './lib/native.mjs';
import { main } from './lib/progress.mjs';
import { buildProduct, setUp } from './lib/setup.mjs';

await main(async () => {
  await setUp(['build']);
  if (process.argv.includes('--native')) await buildNative('addon');
  else await buildProduct();
});
