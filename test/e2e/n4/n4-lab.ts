/**
 * A lab with one UPF that serves N4, the Python end of it (SMFs, gNBs, hosts of the data
 * network), and a capture of all that goes over N4, which tshark judges at the end.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import { addresses, Lab, type LabProcess, sluiceCommand } from '../lab.js';
import { Upf, type UpfOptions } from '../upf.js';

/** SMFs that the configuration knows; every other one is told from what it sends. */
export const KNOWN_PEERS = [
  { addresses: ['192.0.2.11'], profile: 'oai' },
  { addresses: ['192.0.2.12'], profile: 'sd-core' },
] as const;

const N4 = {
  listen: [`${addresses.upfN3}:8805`, `[${addresses.upfN3v6}]:8805`],
  t1Ms: 500,
  n1: 3,
  heartbeatSeconds: 1,
  peers: KNOWN_PEERS,
} as const;
const GTPU = {
  echoIntervalSeconds: 1,
  echoTimeoutSeconds: 1,
  echoTries: 2,
  errorIndicationsQuietSeconds: 0,
} as const;

/** Names of the cases of a Python module, in their order. */
export function casesOf(module: string): string[] {
  const text = readFileSync(join(import.meta.dirname, `${module}.py`), 'utf8');
  const names = [...text.matchAll(/^def case_(\w+)\(/gm)].map(([, name]) => name!);
  if (names.length === 0) throw new Error(`${module}.py has no cases`);
  return names;
}

interface Result {
  readonly ok: boolean;
  readonly error?: string;
  readonly result?: unknown;
}

export class N4Lab {
  readonly captureFile: string;
  private runner: LabProcess | undefined;
  private capture: LabProcess | undefined;
  private answered = 0;

  private constructor(
    readonly lab: Lab,
    readonly upf: Upf,
  ) {
    this.captureFile = join(lab.folder, 'n4.pcapng');
  }

  static async open(options: UpfOptions = {}, captureBuffer = 16): Promise<N4Lab> {
    const lab = await Lab.open();
    const n4 = { ...N4, ...options.n4 };
    const opened = new N4Lab(lab, new Upf(lab, { gtpu: GTPU, ...options, n4 }));
    try {
      await opened.begin(captureBuffer);
    } catch (error) {
      await opened.close();
      throw error;
    }
    return opened;
  }

  private async begin(captureBuffer: number): Promise<void> {
    const flags = ['-q', '-B', String(captureBuffer), '-f', 'udp port 8805'];
    this.capture = this.lab.start('upf', ['dumpcap', '-i', 'n3', ...flags, '-w', this.captureFile]);
    const { capture } = this;
    // dumpcap says so on standard error.
    await vi.waitUntil(() => capture.stderr.includes('File:'), { timeout: 10_000 });
    await this.upf.start();
    const script = join(import.meta.dirname, 'run.py');
    const places = [this.lab.namespace('upf'), this.lab.namespace('dn')];
    const command = ['/usr/bin/python3', script, ...places, this.upf.api, sluiceCommand];
    const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };
    this.runner = this.lab.start('ran', command, { env });
    await this.runner.printed(/^ready/m);
  }

  /** Runs a case; rejects with its trace when it fails. Resolves to what it returned. */
  async run(module: string, name: string, ...args: string[]): Promise<unknown> {
    const runner = this.runner!;
    const lines = (): string[] => runner.stdout.split('\n').filter((line) => line.startsWith('{'));
    runner.child.stdin?.write(`${[module, name, ...args].join(' ')}\n`);
    this.answered += 1;
    const { answered } = this;
    await vi.waitUntil(() => lines().length >= answered || !runner.running, {
      timeout: 1_800_000,
      interval: 10,
    });
    if (!runner.running) throw new Error(`the Python end is gone: ${runner.stderr}`);
    const result = JSON.parse(lines()[answered - 1]!) as Result;
    if (!result.ok) throw new Error(`${result.error}${runner.stderr}`);
    expect(this.upf.running, 'the UPF ended').toBe(true);
    return result.result;
  }

  /** What tshark has to say of the messages that the UPF sent: lines, none when all is well. */
  async complaintsOfTshark(): Promise<string[]> {
    await this.capture?.end('SIGINT');
    const own = `(ip.src == ${addresses.upfN3} || ipv6.src == ${addresses.upfN3v6})`;
    const bad = '(_ws.malformed || _ws.expert.severity >= "Warning" || !pfcp)';
    const fields = ['frame.number', 'pfcp.msg_type', '_ws.expert.message', '_ws.col.Info'];
    const show = fields.flatMap((field) => ['-e', field]);
    const flags = ['-r', this.captureFile, '-Y', `${own} && ${bad}`, '-T', 'fields', ...show];
    const { stdout } = await this.lab.run('upf', ['tshark', ...flags]);
    return stdout.split('\n').filter((line) => line !== '');
  }

  /** Messages of the UPF in the capture, by message type. */
  sent(): Map<number, number> {
    const filter = `ip.src == ${addresses.upfN3} || ipv6.src == ${addresses.upfN3v6}`;
    const flags = ['-r', this.captureFile, '-Y', filter, '-T', 'fields', '-e', 'pfcp.msg_type'];
    const text = execFileSync('tshark', flags, { maxBuffer: 1 << 28, stdio: 'pipe' }).toString();
    const counts = new Map<number, number>();
    for (const type of text.split('\n').filter((line) => line !== '')) {
      counts.set(Number(type), (counts.get(Number(type)) ?? 0) + 1);
    }
    return counts;
  }

  async close(): Promise<void> {
    this.upf.client.close();
    this.runner?.child.stdin?.end();
    await this.lab.close();
  }
}
