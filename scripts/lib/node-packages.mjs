// node_modules: npm ci whenever the lock file is not what is installed.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './process.mjs';
import { begin, StepError } from './progress.mjs';

const stampPath = join(root, 'node_modules', '.sluice-stamp');
const nodeMinimum = [20, 9];

/** Refuses a Node that is too old before anything else fails in a way that hides it. */
export function checkNodeVersion() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > nodeMinimum[0] || (major === nodeMinimum[0] && minor >= nodeMinimum[1])) return;
  throw new StepError(
    `Node ${nodeMinimum.join('.')} or newer is needed; this is ${process.versions.node}.`,
  );
}

/** Installs the locked packages unless they are there. */
export async function ensureNodePackages() {
  const lock = readFileSync(join(root, 'package-lock.json'));
  const stamp = createHash('sha256').update(lock).update(process.arch).digest('hex');
  if (existsSync(stampPath) && readFileSync(stampPath, 'utf8') === stamp) return;
  if (!isInstalled(JSON.parse(lock.toString()))) await npmCi();
  writeFileSync(stampPath, stamp);
}

/** npm notes in a hidden lock file what it installed; packages for other machines are not in it. */
function isInstalled(lock) {
  const hiddenPath = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(hiddenPath)) return false;
  const installed = JSON.parse(readFileSync(hiddenPath, 'utf8')).packages;
  return Object.entries(lock.packages).every(
    ([path, entry]) => path === '' || entry.optional || installed[path]?.version === entry.version,
  );
}

async function npmCi() {
  const task = begin('node packages: npm ci');
  const npm = process.env.npm_execpath;
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const [command, commandArgs] = npm?.endsWith('.js')
    ? [process.execPath, [npm, ...args]]
    : ['npm', args];
  const { code, output } = await run(command, commandArgs, {
    onLine: (line) => task.progress(line),
  });
  if (code !== 0) {
    task.failed();
    throw new StepError(`npm ci failed with exit code ${code}:\n${firstLines(output, 15)}`);
  }
  task.done();
}

/** npm says the reason first and its manual after it. */
function firstLines(text, count) {
  return text.split('\n').slice(0, count).join('\n');
}
