/**
 * Programs that load a node or stand in for its neighbours, on the core that is the load's. Each
 * has precedence over other groups of processes where that is allowed.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { coreSplit, prefer } from './native-program.js';

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** The command line of this build. */
export function sluice(...args: readonly string[]): string[] {
  return [process.execPath, main, ...args];
}

/** @param within  a program that starts it, with its first arguments */
export function startOnLoadCore(
  command: readonly string[],
  within: readonly string[] = [],
): ChildProcessByStdio<null, Readable, Readable> {
  const pinned = [...within, 'taskset', '-c', coreSplit().load, ...command];
  const [program, ...args] = pinned as [string, ...string[]];
  const child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  prefer(child.pid);
  return child;
}

/** Runs it to its end. @return what it wrote. @throws all that it said, when it fails */
export async function runOnLoadCore(
  command: readonly string[],
  within: readonly string[] = [],
): Promise<string> {
  const child = startOnLoadCore(command, within);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if ((await ended) !== 0) throw new Error(`${command.join(' ')}\n${errors}${out}`);
  return out;
}
