// TypeScript: src, test and bench → dist/, incrementally; the compiler is the type check too.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './process.mjs';
import { begin, StepError } from './progress.mjs';

const compilerPath = join(root, 'node_modules', 'typescript', 'bin', 'tsc');

/** Compiles; says so only when it takes long enough to be noticed, or fails. */
export async function buildTypeScript() {
  // The compiler trusts its notes: without the products they would make it emit nothing.
  if (!existsSync(join(root, 'dist'))) {
    rmSync(join(root, '.cache', 'tsc.tsbuildinfo'), { force: true });
  }
  let task;
  const noticed = setTimeout(() => {
    task = begin('TypeScript');
  }, 1000);
  const { code, output } = await run(process.execPath, [compilerPath, '-p', '.'], {
    onLine: () => {},
  });
  clearTimeout(noticed);
  if (code !== 0) {
    (task ?? begin('TypeScript')).failed();
    throw new StepError(`TypeScript does not compile:\n${output}`);
  }
  task?.done();
}
