// clang-format and clang-tidy over the native sources.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { root, run } from './process.mjs';
import { begin, say } from './progress.mjs';

const cachePath = join(root, '.cache', 'clang-tidy.json');

/** Paths of the native files with one of these endings, relative to the root. */
function nativeFiles(...endings) {
  return readdirSync(join(root, 'native'), { recursive: true })
    .filter((path) => endings.some((ending) => path.endsWith(ending)))
    .map((path) => join('native', path))
    .sort();
}

/** @returns {Promise<boolean>} whether every native file is formatted (now) */
export async function clangFormat({ write }) {
  const mode = write ? ['-i'] : ['--dry-run', '--Werror'];
  const files = nativeFiles('.h', '.cc');
  const { code, output } = await run('clang-format-19', [...mode, ...files], { onLine: () => {} });
  if (code !== 0) say(output);
  return code === 0;
}

/**
 * Of tests and benches nothing is looked at: most of the time goes into their headers, and two compilers
 * with all warnings, and three sanitizers, have looked at them already.
 */
function isProduct(path) {
  return !path.endsWith('_test.cc') && !path.includes('/native/bench/');
}

/**
 * Checks each source of the product that changed, or whose headers did, since it was last found clean.
 * @param {string} compileCommands folder with compile_commands.json
 * @returns {Promise<boolean>} whether all are clean
 */
export async function clangTidy(compileCommands) {
  const listed = JSON.parse(readFileSync(join(compileCommands, 'compile_commands.json'), 'utf8'));
  const sources = listed
    .map(({ file }) => file)
    .filter(isProduct)
    .sort();
  const common = createHash('sha256');
  for (const path of ['.clang-tidy', ...nativeFiles('.h', '.def')]) {
    common.update(readFileSync(join(root, path)));
  }
  const base = common.digest('hex');
  const known = existsSync(cachePath) ? JSON.parse(readFileSync(cachePath, 'utf8')) : {};
  const digestOf = (path) =>
    createHash('sha256').update(base).update(readFileSync(path)).digest('hex');
  const pending = sources.filter((path) => known[path] !== digestOf(path));
  if (pending.length === 0) return true;
  const task = begin(`clang-tidy, ${pending.length} of ${sources.length} sources`);
  let left = pending.length;
  let clean = true;
  const queue = [...pending];
  const lane = async () => {
    for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
      const digest = digestOf(path);
      const flags = ['-p', compileCommands, '--quiet', '--warnings-as-errors=*'];
      const { code, output } = await run('clang-tidy-19', [...flags, path], { onLine: () => {} });
      if (code === 0) known[path] = digest;
      else say(output);
      clean &&= code === 0;
      left -= 1;
      task.progress(`${left} left`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
  mkdirSync(join(root, '.cache'), { recursive: true });
  writeFileSync(cachePath, JSON.stringify(known));
  if (clean) task.done();
  else task.failed();
  return clean;
}
