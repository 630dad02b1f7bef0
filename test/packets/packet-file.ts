/**
 * Packet tests as data: a YAML file per family of rules, written from the specification alone
 * (README.md in this folder says how). Here: what may stand in such a file, checked key by
 * key, so that a misspelt expectation is an error and not a test that passes.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type {
  GtpuConfig,
  HoldConfig,
  IpPolicy,
  ReassemblyLimits,
} from '../../src/datapath/datapath.js';
import type { PortWords } from '../stepped-upf.js';
import { packetOf } from '../wire/text.js';

export interface PacketStep {
  /** "PORT PACKET", the packet as test/wire/text.ts reads it. */
  readonly in?: string;
  /** "PORT PACKET" each, in any order; absent without drop and held: nothing is expected out. */
  readonly out?: string | readonly string[];
  readonly drop?: string | readonly string[];
  /** Neither out nor dropped. */
  readonly held?: boolean;
  /** The packet comes this often, each time with the same result. */
  readonly times?: number;
  /** Bytes at places of the packet, hexadecimal. */
  readonly patch?: Readonly<Record<string, string>>;
  /** The packet is cut to this length. */
  readonly cut?: number;
  /** Bytes behind the packet, hexadecimal. */
  readonly append?: string;

  /** Time goes by: "10ms", "2s". */
  readonly after?: string;

  readonly create?: object;
  readonly update?: object;
  readonly send_end_markers?: boolean;
  readonly drop_buffered?: boolean;
  readonly query?: readonly number[];
  /** Name of a session. */
  readonly delete?: string;
  /** Usage in the answer to an update or a deletion; fields that are left out may be anything. */
  readonly usage?: readonly object[];
  /** "CODE FIELD": the operation is refused. */
  readonly refused?: string;
  readonly restart?: 'clean' | 'crash';
  /** All reports since the last time, in order. */
  readonly reports?: readonly object[];
}

export interface PacketCase {
  readonly title: string;
  readonly ports?: readonly PortWords[];
  /** As in the packet path's configuration. */
  readonly hold?: HoldConfig;
  readonly gtpu?: GtpuConfig;
  readonly policy?: IpPolicy;
  readonly reassembly?: ReassemblyLimits;
  /** Usage outlives restarts, as with a data folder. */
  readonly survives?: boolean;
  readonly steps: readonly PacketStep[];
}

export interface PacketFile {
  readonly rule: string;
  /** Where the rule comes from. */
  readonly clause: string;
  readonly cases: readonly PacketCase[];
}

const FILE_KEYS = ['rule', 'clause', 'texts', 'rules', 'cases'];
const CASE_KEYS = ['title', 'ports', 'hold', 'gtpu', 'policy', 'reassembly', 'survives', 'steps'];
/** A step does one of these … */
const ACTIONS = ['in', 'after', 'create', 'update', 'delete', 'restart', 'reports'];
/** … and says these about it. */
const WITH: Readonly<Record<string, readonly string[]>> = {
  in: ['out', 'drop', 'held', 'times', 'patch', 'cut', 'append', 'reports'],
  after: ['out', 'drop', 'reports'],
  create: ['refused'],
  update: ['refused', 'usage', 'query', 'send_end_markers', 'drop_buffered', 'out', 'drop'],
  delete: ['refused', 'usage', 'drop'],
  restart: ['reports'],
  reports: [],
};

export function readPacketFile(path: string): PacketFile {
  const file = parse(readFileSync(path, 'utf8'), {
    merge: true,
    maxAliasCount: -1,
  }) as PacketFile & {
    readonly texts?: Readonly<Record<string, string>>;
  };
  onlyKeys(path, file, FILE_KEYS);
  const texts = file.texts ?? {};
  const cases = file.cases.map((one) => {
    const where = `${path}: "${one.title}"`;
    onlyKeys(where, one, CASE_KEYS);
    one.steps.forEach((step, i) => {
      checkStep(`${where} step ${i + 1}`, step);
    });
    return { ...one, steps: one.steps.map((step) => expandStep(step, texts)) };
  });
  return { ...file, cases };
}

function onlyKeys(where: string, value: object, known: readonly string[]): void {
  const unknown = Object.keys(value).filter((key) => !known.includes(key));
  if (unknown.length > 0) throw new Error(`${where}: unknown ${unknown.join(', ')}`);
}

function checkStep(where: string, step: PacketStep): void {
  const action = ACTIONS.find((name) => name in step);
  if (action === undefined) throw new Error(`${where}: none of ${ACTIONS.join(', ')}`);
  onlyKeys(where, step, [action, ...WITH[action]!]);
  if (action !== 'in') return;
  const said = ['out', 'drop', 'held'].filter((key) => key in step);
  if (said.length === 0) throw new Error(`${where}: says none of out, drop and held`);
}

/** `$name` stands for a text of the file. */
function expandStep(step: PacketStep, texts: Readonly<Record<string, string>>): PacketStep {
  const expand = (text: string) =>
    text.replace(/\$(\w+)/g, (_, name: string) => {
      const value = texts[name];
      if (value === undefined) throw new Error(`there is no text "${name}" in this file`);
      return value;
    });
  const { out } = step;
  return {
    ...step,
    ...(step.in === undefined ? {} : { in: expand(step.in) }),
    ...(out === undefined ? {} : { out: listOf(out).map(expand) }),
  };
}

export function listOf<T>(value: T | readonly T[] | undefined): readonly T[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value as T];
}

/** Port and packet of "PORT PACKET". */
export function portAndText(text: string): { readonly port: string; readonly packet: string } {
  const space = text.indexOf(' ');
  return { port: text.slice(0, space), packet: text.slice(space + 1) };
}

/** The bytes of the step's packet, spoiled as it says. */
export function bytesOf(step: PacketStep): Uint8Array {
  let bytes = packetOf(portAndText(step.in ?? '').packet);
  for (const [at, hex] of Object.entries(step.patch ?? {})) {
    bytes.set(Buffer.from(String(hex), 'hex'), Number(at));
  }
  if (step.cut !== undefined) bytes = bytes.slice(0, step.cut);
  const more = Buffer.from(step.append ?? '', 'hex');
  return Uint8Array.from([...bytes, ...more]);
}

const UNITS: Readonly<Record<string, number>> = { us: 1e3, ms: 1e6, s: 1e9, m: 60e9 };

export function nanosecondsOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(us|ms|s|m)$/.exec(text);
  if (match === null) throw new Error(`"${text}" is no time such as 10ms`);
  return Math.round(Number(match[1]) * UNITS[match[2]!]!);
}
