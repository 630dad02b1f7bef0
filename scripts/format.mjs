// npm run format: rewrites TypeScript, JavaScript, JSON and C++ in the one style.
import { biome } from './lib/biome.mjs';
import { clangFormat } from './lib/clang.mjs';
import { main } from './lib/progress.mjs';
import { setUp } from './lib/setup.mjs';

await main(async () => {
  await setUp(['lint']);
  const formatted = [await biome({ write: true }), await clangFormat({ write: true })];
  return formatted.every(Boolean) ? 0 : 1;
});
