// npm run lint: biome, the TypeScript compiler, clang-format, clang-tidy. Changes nothing.
import { biome } from './lib/biome.mjs';
import { clangFormat, clangTidy } from './lib/clang.mjs';
import { configureNative } from './lib/native.mjs';
import { main, StepError, say } from './lib/progress.mjs';
import { Results } from './lib/results.mjs';
import { setUp } from './lib/setup.mjs';
import { buildTypeScript } from './lib/typescript.mjs';

/** Whether the work ends with a yes; a step that fails says why, and is a no. */
async function holds(work) {
  try {
    return (await work()) ?? true;
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    say(error.message);
    return false;
  }
}

await main(async () => {
  await setUp(['build', 'test', 'lint']);
  const results = new Results();
  const check = async (title, work) => results.check(title, await holds(work));
  await check('biome (npm run format mends most)', () => biome({ write: false }));
  await check('TypeScript types', buildTypeScript);
  await check('clang-format (npm run format mends it)', () => clangFormat({ write: false }));
  await check('clang-tidy', async () => {
    return clangTidy(await configureNative('lint', { refresh: true }));
  });
  return results.close();
});
