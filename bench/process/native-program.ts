/**
 * Runs a native bench program and passes on the JSON lines that it prints. The program gets a
 * session of its own, a core of its own, and precedence over other groups of processes where
 * that is allowed: otherwise automatic grouping halves what it gets on a busy machine.
 */
import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import type { BenchResult, Report } from '../report/report.js';

/** Cores for a load and for what it loads: the last for the load, the others for the node. */
export function coreSplit(): { load: string; node: string } {
  const cores = availableParallelism();
  if (cores < 2) return { load: '0', node: '0' };
  return { load: String(cores - 1), node: cores === 2 ? '0' : `0-${cores - 2}` };
}

/** Gives the session of a process that was started with `detached` precedence; best effort. */
export function prefer(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    writeFileSync(`/proc/${pid}/autogroup`, '-20');
  } catch {
    // Not root, or no automatic grouping: the figures are what they are.
  }
}

/**
 * @param cores  cores to run on, as taskset takes them, or undefined: the program pins itself
 * @throws when the program fails, with what it said
 */
export async function runNativeBench(
  program: string,
  args: readonly string[],
  cores: string | undefined,
  report: Report,
): Promise<void> {
  const [command, commandArgs] =
    cores === undefined ? [program, [...args]] : ['taskset', ['-c', cores, program, ...args]];
  const child = spawn(command, commandArgs, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  prefer(child.pid);
  const stop = () => child.kill();
  process.once('exit', stop);
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4000);
  });
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const result = parseResult(line);
    if (result !== undefined) report(result);
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(signal === null ? (code ?? 1) : 1));
  });
  const code = await ended;
  process.removeListener('exit', stop);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: exit code ${code}\n${errors}`);
}

/** The result in a line; undefined for a line that is something else, such as the machine. */
export function parseResult(line: string): BenchResult | undefined {
  if (!line.startsWith('{"name"')) return undefined;
  const { name, value, unit, min, max, runs } = JSON.parse(line) as BenchResult;
  if (![value, min, max, runs].every(Number.isFinite)) throw new Error(`not a result: ${line}`);
  return { name, value, unit, min, max, runs };
}

/** Frequency of the time-stamp counter as the native bench measures it; null if it cannot. */
export function tscFrequency(program: string): number | null {
  const args = ['--json', '--quick', '--runs', '1', '--only', 'pool/'];
  const { stdout } = spawnSync(program, args, { encoding: 'utf8', timeout: 30_000 });
  const hz = /"tscHz":(\d+)/.exec(stdout ?? '')?.[1];
  return hz === undefined ? null : Number(hz);
}
