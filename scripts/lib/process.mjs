// Child processes of the scripts: run one to its end, with its output kept or passed through.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The repository's root folder. */
export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** Absolute path of a program, also in the folders that only root has in its PATH; or undefined. */
export function findProgram(name) {
  const folders = (process.env.PATH ?? '').split(delimiter).concat('/usr/sbin', '/sbin');
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/**
 * Runs a command to its end.
 * Without `onLine` its output goes to the terminal; with it, each line goes to the callback
 * and the whole is returned for the case that it fails.
 * @returns {Promise<{code: number, output: string}>} 128 + n for a signal n, as a shell says it
 */
export function run(command, args, options = {}) {
  const { onLine, env, cwd = root } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: onLine ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
    });
    let output = '';
    if (onLine) {
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
          output += `${line}\n`;
          onLine(line);
        });
      }
    }
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code: exitCode(code, signal), output }));
  });
}

const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 };

function exitCode(code, signal) {
  return code ?? 128 + (signalNumbers[signal] ?? 0);
}

/** Becomes the given Node program as far as it can be: terminal, signals and exit code are its own. */
export function runForeground(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: 'inherit' });
    // A terminal sends Ctrl-C to the whole group; the program decides when it is done.
    process.on('SIGINT', () => {});
    for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(exitCode(code, signal)));
  });
}
