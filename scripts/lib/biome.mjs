// biome: formatter and linter of TypeScript, JavaScript and JSON; warnings are errors.
import { join } from 'node:path';
import { root, run } from './process.mjs';

/** @returns {Promise<boolean>} whether nothing is left to complain of */
export async function biome({ write }) {
  const program = join(root, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
  const args = write ? ['check', '--write', '.'] : ['check', '--error-on-warnings', '.'];
  return (await run(process.execPath, [program, ...args])).code === 0;
}
