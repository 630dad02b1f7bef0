/**
 * A real `sluice serve` for benches of the control plane: from dist, in a temporary folder,
 * with memory ports and unix sockets, so that several runs never meet.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { coreSplit, prefer } from './native-program.js';

/** dist/, from where this runs compiled. */
const compiled = fileURLToPath(new URL('../..', import.meta.url));
const readyTimeoutMs = 300_000;
const stopTimeoutMs = 60_000;

/** Folder, configuration and data of a node; outlives the process. */
export class SluiceFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  readonly target = `unix:${join(this.path, 'api.sock')}`;
  readonly httpSocket = join(this.path, 'http.sock');

  /**
   * `n4`, `n3`, `n6` and `workers`: as YAML; by default nothing listens, ports are in memory, and
   * one worker sleeps when it has nothing to do. `ports`: at least N3 and N6.
   */
  constructor(
    sessionsMax: number,
    {
      n4 = '{ listen: [] }',
      durability = 'async',
      ports = 2,
      n3 = '{ name: n3, driver: memory, role: access, addresses: [127.0.0.1] }',
      n6 = '{ name: n6, driver: memory, role: core, networkInstances: [internet], uePools: [10.0.0.0/8] }',
      workers = '{ count: 1, poll: adaptive }',
    } = {},
  ) {
    writeFileSync(
      join(this.path, 'sluice.yaml'),
      `node: { id: bench }
n4: ${n4}
api: { listen: '${this.target}' }
http: { listen: 'unix:${this.httpSocket}' }
store: { kind: embedded, path: ./data, durability: ${durability} }
workers: ${workers}
limits: { sessions: ${sessionsMax} }
ports:
  - ${n3}
  - ${n6}
${Array.from({ length: ports - 2 }, (_, i) => furtherPort(i)).join('')}`,
    );
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

function furtherPort(i: number): string {
  return `  - { name: more${i}, driver: memory, role: core, networkInstances: [more${i}] }\n`;
}

/**
 * "… ms: Scavenge 8.1 (9.9) -> 7.4 (10.1) MB, 1.02 / 0.00 ms …": what a pause took; and "biggest
 * step 2.1 ms" of the marking before it.
 */
const pausePattern = /ms: (?:Scavenge|Mark-Compact)[^,]* MB, (?:pooled: [^,]* MB, )?([\d.]+) \/ /;
const stepPattern = /biggest step ([\d.]+) ms/;

export class SluiceProcess {
  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: SluiceFolder,
    /** From the start of the process to the line that says that it serves. */
    readonly readyMs: number,
    /** Pauses of the garbage collector so far; the list grows. */
    readonly pausesMs: readonly number[],
  ) {}

  /**
   * Starts a node and waits until it is ready. Pauses are known with `--trace-gc`.
   * @param within  a program that starts it, with its first arguments
   */
  static async start(
    folder: SluiceFolder,
    nodeFlags: readonly string[] = [],
    cores = coreSplit().node,
    within: readonly string[] = [],
  ): Promise<SluiceProcess> {
    const startedMs = performance.now();
    const main = join(compiled, 'src', 'cli', 'main.js');
    const flags = readFileSync(join(compiled, '..', 'bin', 'node-flags'), 'utf8')
      .trim()
      .split(' ');
    const command = [process.execPath, ...flags, ...nodeFlags, main, 'serve'];
    const pinned = ['taskset', '-c', cores, ...command, '-c', join(folder.path, 'sluice.yaml')];
    const [program, ...args] = [...within, ...pinned] as [string, ...string[]];
    const child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    prefer(child.pid);
    const stop = () => child.kill('SIGKILL');
    process.once('exit', stop);
    child.once('close', () => process.removeListener('exit', stop));
    let said = '';
    let isReady = false;
    const pausesMs: number[] = [];
    const ready = new Promise<void>((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
          for (const pattern of [pausePattern, stepPattern]) {
            const pause = pattern.exec(line)?.[1];
            if (pause !== undefined && isReady) pausesMs.push(Number(pause));
          }
          said = `${said}${line}\n`.slice(-4000);
          if (!line.startsWith('ready')) return;
          isReady = true;
          resolve();
        });
      }
      child.on('error', reject);
      child.on('close', (code) => reject(new Error(`sluice serve ended (${code}):\n${said}`)));
      setTimeout(() => reject(new Error(`not ready in time:\n${said}`)), readyTimeoutMs).unref();
    });
    try {
      await ready;
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
    return new SluiceProcess(child, folder, performance.now() - startedMs, pausesMs);
  }

  /** Resident anonymous memory in bytes: heap and slabs, not files or shared regions. */
  anonymousBytes(): number {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
    const kilobytes = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1];
    if (kilobytes === undefined) throw new Error('the kernel does not tell RssAnon');
    return Number(kilobytes) * 1024;
  }

  /** Processor time that one scrape takes of the control thread, HTTP and all, in milliseconds. */
  async scrapeMs(): Promise<number> {
    const times = 20;
    const beforeNs = this.#controlThreadNs();
    for (let i = 0; i < times; i += 1) await this.#page();
    return (this.#controlThreadNs() - beforeNs) / 1e6 / times;
  }

  #controlThreadNs(): number {
    const { pid } = this.child;
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]);
  }

  #page(): Promise<string> {
    return new Promise((resolve, reject) => {
      const options = { socketPath: this.folder.httpSocket, path: '/metrics' };
      get(options, (response) => text(response).then(resolve, reject)).on('error', reject);
    });
  }

  /** The value of a metric without labels, from the node's own page. */
  async metric(name: string): Promise<number> {
    return (await this.metrics([name]))[0]!;
  }

  /** Several of them, from one page. */
  async metrics(names: readonly string[]): Promise<number[]> {
    const page = await this.#page();
    return names.map((name) => {
      const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(page)?.[1];
      if (value === undefined) throw new Error(`the node has no metric ${name}`);
      return Number(value);
    });
  }

  /** Ends the node as an operator would, and waits for its end. */
  async stop(): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      if (this.child.exitCode !== null) resolve();
      this.child.once('close', () => resolve());
    });
    this.child.kill('SIGTERM');
    const late = setTimeout(() => this.child.kill('SIGKILL'), stopTimeoutMs);
    await ended;
    clearTimeout(late);
  }
}

/** The load generator beside the native bench. */
export function grpcLoadProgram(): string {
  return join(compiled, '..', 'build-bench', 'sluice_grpc_load');
}
