// clang-format and clang-tidy over the native sources.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { root, run } from './process.mjs';
import { begin, say } from './progress.mjs';

/** What was found clean, by digest. */
const knownPath = join(root, '.cache', 'clang-tidy.json');
const togetherFolder = join(root, '.cache', 'clang-tidy');

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
 * What is looked at in one go: the sources of a folder that are compiled alike, as if they were one.
 * Nearly all the time goes into the standard library's headers, which then are read once.
 * @returns {{ directory: string, flags: string[], sources: string[] }[]}
 */
function groupsOf(listed) {
  const groups = new Map();
  for (const { directory, file, command } of listed.filter(({ file }) => isProduct(file))) {
    const words = command.split(' ').filter((word) => word !== '');
    const flags = words.filter(
      (word, i) => word !== '-c' && word !== '-o' && words[i - 1] !== '-o' && word !== file,
    );
    const key = `${dirname(file)} ${flags.join(' ')}`;
    const group = groups.get(key) ?? { directory, flags, sources: [] };
    group.sources.push(file);
    groups.set(key, group);
  }
  for (const { sources } of groups.values()) sources.sort();
  return [...groups.values()];
}

/**
 * Checks the sources of the product that changed, or whose headers did, since they were last found
 * clean; with them those of their group.
 * @param {string} compileCommands folder with compile_commands.json
 * @returns {Promise<boolean>} whether all are clean
 */
export async function clangTidy(compileCommands) {
  const listed = JSON.parse(readFileSync(join(compileCommands, 'compile_commands.json'), 'utf8'));
  const common = createHash('sha256');
  for (const path of ['.clang-tidy', ...nativeFiles('.h', '.def')]) {
    common.update(readFileSync(join(root, path)));
  }
  const base = common.digest('hex');
  const known = new Set(existsSync(knownPath) ? JSON.parse(readFileSync(knownPath, 'utf8')) : []);
  const groups = groupsOf(listed).map((group) => {
    const digest = createHash('sha256').update(base);
    for (const path of group.sources) digest.update(`${path}\n`).update(readFileSync(path));
    return { ...group, digest: digest.digest('hex') };
  });
  const pending = groups.filter(({ digest }) => !known.has(digest));
  if (pending.length === 0) return true;
  const count = (some) => some.reduce((sum, { sources }) => sum + sources.length, 0);
  const task = begin(`clang-tidy, ${count(pending)} of ${count(groups)} sources`);
  writeTogether(pending);
  let left = count(pending);
  let clean = true;
  // The longest first, so that no lane is left alone with it.
  const queue = [...pending].sort((a, b) => b.sources.length - a.sources.length);
  const lane = async () => {
    for (let group = queue.shift(); group !== undefined; group = queue.shift()) {
      const { code, output } = await tidy(togetherFolder, togetherPath(group.digest));
      if (code === 0) known.add(group.digest);
      else say(output);
      clean &&= code === 0;
      left -= group.sources.length;
      task.progress(`${left} left`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
  const current = groups.map(({ digest }) => digest).filter((digest) => known.has(digest));
  writeFileSync(knownPath, JSON.stringify(current));
  if (clean) task.done();
  else task.failed();
  return clean;
}

/** One source for each group that includes those of the group, and how it is compiled. */
function writeTogether(groups) {
  rmSync(togetherFolder, { recursive: true, force: true });
  mkdirSync(togetherFolder, { recursive: true });
  const commands = groups.map(({ directory, flags, sources, digest }) => {
    const file = togetherPath(digest);
    writeFileSync(file, sources.map(including).join(''));
    return { directory, file, command: [...flags, '-c', file].join(' ') };
  });
  writeFileSync(join(togetherFolder, 'compile_commands.json'), JSON.stringify(commands));
}

const including = (path) => `#include "${path}"  // NOLINT(bugprone-suspicious-include)\n`;

function togetherPath(digest) {
  return join(togetherFolder, `${digest.slice(0, 16)}.cc`);
}

function tidy(compileCommands, path) {
  const flags = ['-p', compileCommands, '--quiet', '--warnings-as-errors=*'];
  return run('clang-tidy-19', [...flags, path], { onLine: () => {} });
}
