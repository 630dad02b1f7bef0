import type { Config } from '../../base/config/config.js';
import type { SelfTestReport } from '../../crypto/self-test.js';

/** How checks see a machine; a test gives them one made of texts. */
export interface Probe {
  /** Text of a file; undefined when it isn't there or can't be read. */
  read(path: string): string | undefined;
  /** Names in a folder; none when it isn't there or can't be read. */
  list(path: string): readonly string[];
  /** What a symbolic link names; undefined when it is none or can't be read. */
  link(path: string): string | undefined;
  exists(path: string): boolean;
  /** Whether this process may write to a file or folder. */
  writable(path: string): boolean;
  /** Bytes that an ordinary user may still write to the file system of `path`. */
  freeBytes(path: string): number | undefined;
  /** Standard output of a program; undefined when it is missing, fails or takes too long. */
  run(program: string, ...args: string[]): string | undefined;
  /** Addresses of the machine and the interfaces that have them. */
  addresses(): readonly { readonly device: string; readonly address: string }[];
  /** Bytes of packet memory that a configuration takes; undefined: the native part is missing. */
  packetMemoryBytes(config: Config): number | undefined;
  /** A text says why it cannot run. */
  cryptoSelfTest(): SelfTestReport | string;
  /** Of the program that runs the node. */
  readonly nodePath: string;
  readonly nodeVersion: string;
}

/** A machine together with what shall run on it. */
export interface Machine {
  readonly probe: Probe;
  readonly config: Config;
  /** Of the configuration; undefined: defaults alone. */
  readonly file: string | undefined;
  /** Process that serves this configuration's data folder already; undefined: none. */
  readonly runningPid: number | undefined;
}

/** The command to change a key of the configuration: the file opens, the key stands beside. */
export function edit({ file }: Machine, setting: string): string {
  const name = file ?? 'sluice.yaml';
  const make = file === undefined ? `sluice config > ${name} && ` : '';
  return `${make}\${EDITOR:-vi} ${name}   # ${setting}`;
}

/** A file with one number; undefined when there is no such file or number. */
export function readNumber(probe: Probe, path: string): number | undefined {
  const text = probe.read(path)?.trim();
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
}

/** Numbers of a kernel list such as "0-3,8"; none for an empty or unreadable one. */
export function parseList(text: string | undefined): number[] {
  const numbers: number[] = [];
  for (const part of (text ?? '').trim().split(',')) {
    const range = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (range === null) continue;
    const [first, last] = [Number(range[1]), Number(range[2] ?? range[1])];
    for (let n = first; n <= last; n++) numbers.push(n);
  }
  return numbers;
}

/** The reverse: "0-3,8". */
export function listText(numbers: readonly number[]): string {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length; ) {
    let end = i;
    while (sorted[end + 1] === sorted[end]! + 1) end++;
    parts.push(end === i ? `${sorted[i]}` : `${sorted[i]}-${sorted[end]}`);
    i = end + 1;
  }
  return parts.join(',');
}

/** Whether the process that looks has a capability, by its number in linux/capability.h. */
export function hasCapability(probe: Probe, capability: number): boolean {
  const bits = /^CapEff:\s*([0-9a-f]+)$/m.exec(probe.read('/proc/self/status') ?? '')?.[1];
  return bits !== undefined && ((BigInt(`0x${bits}`) >> BigInt(capability)) & 1n) === 1n;
}
export const CAP_NET_BIND_SERVICE = 10;
export const CAP_NET_ADMIN = 12;
export const CAP_NET_RAW = 13;
export const CAP_IPC_LOCK = 14;
export const CAP_SYS_ADMIN = 21;
export const CAP_BPF = 39;
