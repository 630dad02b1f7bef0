import { type Command, Option } from 'commander';
import {
  type SpeedRequest,
  type SpeedRow,
  speedRows,
  tscHz,
} from '../../tools/crypto/speed/speed.js';
import { usageError } from '../../tools/tool-error.js';
import { printJson, printLine, table } from '../print.js';
import { parseInteger, parseSeconds } from '../units.js';

const SIZES = ['64', '1400', '16384'];
const SIZE_MAX = 16 * 1024 * 1024;
const UNITS = ['MB/s', 'cycles', 'ns'] as const;
type Unit = (typeof UNITS)[number];

interface SpeedFlags {
  mode?: string[];
  tier?: string[];
  size: string[];
  time: string;
  unit: Unit;
  json?: boolean;
}

export function addSpeedCommand(crypto: Command): void {
  crypto
    .command('speed')
    .description('time every algorithm, mode and tier beside node:crypto and sm-crypto-v2')
    .option('--mode <name...>', 'only these, such as sm4-gcm sm3 (default: all)')
    .option('--tier <name...>', 'only these tiers (default: all that this processor runs)')
    .option('--size <bytes...>', 'sizes of messages', SIZES)
    .option('--time <time>', 'how long each figure is measured', '50ms')
    .addOption(new Option('--unit <unit>', 'of the table').choices(UNITS).default('MB/s'))
    .addHelpText(
      'after',
      `
All run on one core and take turns, five rounds each; a figure is the median. Tiers are called in
a loop of C++ with a prepared key and a new IV each time. "sluice (js)" is the tier in use, called
from JavaScript as src/crypto calls it, key and random IV included; node:crypto and sm-crypto-v2
are called the same way. A mode that ends in -batch16 does 16 messages at once, each with its own
key; its figures are for one of them. A place is empty where somebody does not have a mode: the
OpenSSL of Node 20, for one, has no SM4-GCM. SM2 is in microseconds, with a message of 32 bytes.

Units: MB/s (10^6 bytes), cycles (of the time stamp counter, a byte), ns (a message).
With --json: {"tsc_hz", "rows": [{"mode", "bytes", "nanoseconds": {by: of one message}}]}.

Examples:
  sluice crypto speed
  sluice crypto speed --mode sm4-gcm sm4-gcm-batch16 --size 1400 --unit cycles
  sluice crypto speed --mode sm3 --size 64 1048576 --time 200ms --json`,
    )
    .action((_: unknown, own: Command) => {
      const flags = own.optsWithGlobals<SpeedFlags>();
      const request = requestOf(flags);
      const rows = [...speedRows(request)];
      if (flags.json === true) {
        const figures = rows.map(({ mode, bytes, nanoseconds }) => ({
          mode,
          bytes,
          nanoseconds: Object.fromEntries(nanoseconds),
        }));
        printJson({ tsc_hz: tscHz(), rows: figures });
      } else printLine(speedText(rows, flags.unit, tscHz()));
    });
}

function requestOf({ mode, tier, size, time }: SpeedFlags): SpeedRequest {
  const timeMs = parseSeconds(time, '--time') * 1000;
  if (timeMs < 1 || timeMs > 60_000) throw usageError('--time: from 1ms to 60s');
  const sizes = size.map((text) => parseInteger(text, '--size', 16, SIZE_MAX));
  return { modes: mode, tiers: tier, sizes, timeMs };
}

/** A table for the modes that have sizes, one for SM2. */
export function speedText(rows: readonly SpeedRow[], unit: Unit, hz: number): string {
  const bulk = rows.filter(({ bytes }) => bytes > 0);
  const sm2 = rows.filter(({ bytes }) => bytes === 0);
  const texts: string[] = [];
  if (bulk.length > 0) {
    const columns = columnsOf(bulk);
    const cells = bulk.map(({ mode, bytes, nanoseconds }) => [
      mode,
      String(bytes),
      ...columns.map((by) => figure(nanoseconds.get(by), bytes, unit, hz)),
    ]);
    texts.push(`${UNIT_TEXTS[unit]}\n\n${table(['mode', 'bytes', ...columns], cells)}`);
  }
  if (sm2.length > 0) {
    const columns = columnsOf(sm2);
    const cells = sm2.map(({ mode, nanoseconds }) => [
      mode,
      ...columns.map((by) => digits((nanoseconds.get(by) ?? 0) / 1000)),
    ]);
    texts.push(`microseconds\n\n${table(['mode', ...columns], cells)}`);
  }
  return texts.join('\n\n');
}

const UNIT_TEXTS: Readonly<Record<Unit, string>> = {
  'MB/s': 'MB/s, more is faster',
  cycles: 'cycles of the time stamp counter a byte, less is faster',
  ns: 'nanoseconds a message, less is faster',
};

function columnsOf(rows: readonly SpeedRow[]): string[] {
  return [...new Set(rows.flatMap(({ nanoseconds }) => [...nanoseconds.keys()]))];
}

function figure(ns: number | undefined, bytes: number, unit: Unit, hz: number): string {
  if (ns === undefined) return '';
  if (unit === 'ns') return digits(ns);
  return digits(unit === 'MB/s' ? (bytes / ns) * 1000 : ((ns / bytes) * hz) / 1e9);
}

/** Three digits that count. */
function digits(value: number): string {
  if (value >= 100) return Math.round(value).toString();
  return value.toFixed(value >= 10 ? 1 : 2);
}
