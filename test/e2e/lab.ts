/**
 * Three network namespaces joined by veth pairs, and processes in them:
 *   RAN (gNB) --- N3 --- UPF --- N6 --- data network
 * Everything that a lab made is gone after close(), whatever happened in between. Names
 * carry the process number, so that two labs do not meet.
 */
import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
let labs = 0;

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const sluiceCommand = join(root, 'bin', 'sluice');
export const addresses = {
  upfN3: '192.0.2.1',
  gnb: '192.0.2.2',
  upfN3v6: 'fd00:3::1',
  gnbV6: 'fd00:3::2',
  upfN6: '198.51.100.1',
  server: '198.51.100.2',
  upfN6v6: 'fd00:6::1',
  serverV6: 'fd00:6::2',
  benchmarks: '198.18.0.0/15',
  uePool: '10.60.0.0/16',
  uePoolV6: 'fd00:60::/40',
} as const;
export type Place = 'ran' | 'upf' | 'dn';

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process of the lab with all that it printed so far. */
export class LabProcess {
  stdout = '';
  stderr = '';
  /** Files of shared memory that it had when it was killed. */
  readonly memory = new Set<string>();
  readonly finished: Promise<Finished>;

  constructor(readonly child: ChildProcess) {
    child.stdout?.on('data', (text: Buffer) => {
      this.stdout += text.toString();
    });
    child.stderr?.on('data', (text: Buffer) => {
      this.stderr += text.toString();
    });
    this.finished = new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => {
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Waits for text on standard output; rejects with all output when the process ends first. */
  async printed(pattern: RegExp, timeoutMs = 30_000): Promise<RegExpExecArray> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const match = pattern.exec(this.stdout);
      if (match !== null) return match;
      if (!this.running || Date.now() > deadline) {
        throw new Error(`never printed ${pattern}:\n${this.stdout}\n${this.stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<Finished> {
    if (this.running) {
      if (signal === 'SIGKILL') this.noteMemory();
      this.child.kill(signal);
    }
    return this.finished;
  }

  /** A node that is killed leaves its memory to the next one, which the lab may not start. */
  private noteMemory(): void {
    const maps = readFileSync(`/proc/${this.child.pid}/maps`, 'utf8');
    for (const [file] of maps.matchAll(/\/dev\/shm\/sluice-[0-9a-f]+/g)) this.memory.add(file);
  }
}

async function ip(...args: string[]): Promise<void> {
  await run('ip', args);
}

export class Lab {
  readonly folder = mkdtempSync(join(tmpdir(), 'sluice-e2e-'));
  private readonly tag = `${process.pid}x${labs++}`;
  private readonly processes: LabProcess[] = [];

  static async open(): Promise<Lab> {
    const lab = new Lab();
    try {
      await lab.build();
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  namespace(place: Place): string {
    return `slt-${place}-${this.tag}`;
  }

  private async build(): Promise<void> {
    for (const place of ['ran', 'upf', 'dn'] as const) {
      await ip('netns', 'add', this.namespace(place));
      await ip('-n', this.namespace(place), 'link', 'set', 'lo', 'up');
    }
    await this.join('n3', 'ran', 'upf', 1600);
    await this.join('n6', 'dn', 'upf', 1500);
    await this.address('ran', 'n3', addresses.gnb, addresses.gnbV6);
    await this.address('upf', 'n3', addresses.upfN3, addresses.upfN3v6);
    await this.address('upf', 'n6', addresses.upfN6, addresses.upfN6v6);
    await this.address('dn', 'n6', addresses.server, addresses.serverV6);
    // Captures see the datagrams as they are on a wire, not batches of them.
    await ip('-n', this.namespace('upf'), 'link', 'set', 'n3', 'gso_max_segs', '1');
    const dn = this.namespace('dn');
    await ip('-n', dn, 'route', 'add', addresses.uePool, 'via', addresses.upfN6);
    await ip('-n', dn, '-6', 'route', 'add', addresses.uePoolV6, 'via', addresses.upfN6v6);
    // Where a load goes by default: it ends here without an answer that would be counted.
    await ip('-n', this.namespace('upf'), 'route', 'add', 'blackhole', addresses.benchmarks);
    for (const key of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']) {
      await this.run('upf', ['sysctl', '-qw', `${key}=1`]);
    }
  }

  /** A veth pair of one name on both ends. */
  private async join(name: string, a: Place, b: Place, mtu: number): Promise<void> {
    const [left, right] = [this.namespace(a), this.namespace(b)];
    const pair = ['type', 'veth', 'peer', 'name', name, 'netns', right];
    await ip('link', 'add', 'name', name, 'netns', left, ...pair);
    for (const namespace of [left, right]) {
      await ip('-n', namespace, 'link', 'set', name, 'mtu', String(mtu), 'up');
    }
  }

  private async address(place: Place, device: string, v4: string, v6: string): Promise<void> {
    const namespace = this.namespace(place);
    await ip('-n', namespace, 'address', 'add', `${v4}/24`, 'dev', device);
    await ip('-n', namespace, 'address', 'add', `${v6}/64`, 'dev', device, 'nodad');
  }

  /** Starts a program in a place, or in the namespace of a UE ("ue:NAME"). */
  start(
    place: Place | `ue:${string}`,
    command: readonly string[],
    options?: SpawnOptions,
  ): LabProcess {
    const namespace = place.startsWith('ue:')
      ? `sluice-ue-${place.slice(3)}`
      : this.namespace(place as Place);
    const args = [`--net=/run/netns/${namespace}`, ...command];
    const child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
    const started = new LabProcess(child);
    this.processes.push(started);
    return started;
  }

  /** Runs a program to its end; a non-zero exit rejects unless `check` is false. */
  async run(
    place: Place | `ue:${string}`,
    command: readonly string[],
    check = true,
  ): Promise<Finished> {
    const result = await this.start(place, command).finished;
    if (check && result.code !== 0) {
      throw new Error(
        `${command.join(' ')}: exit ${result.code}\n${result.stdout}${result.stderr}`,
      );
    }
    return result;
  }

  async close(): Promise<void> {
    for (const process of this.processes.reverse()) {
      if (process.running) await process.end('SIGTERM').catch(() => {});
    }
    for (const place of ['ran', 'upf', 'dn'] as const) {
      await ip('netns', 'delete', this.namespace(place)).catch(() => {});
    }
    for (const { memory } of this.processes)
      for (const file of memory) rmSync(file, { force: true });
    rmSync(this.folder, { recursive: true, force: true });
  }
}
