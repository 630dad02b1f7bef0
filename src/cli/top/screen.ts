/**
 * The screen of `top` as lines of styled pieces, cut to a terminal's size: what there is no
 * room for is counted, not lost. Pure.
 */
import { grouped } from '../print.js';
import type { DropRate, PortRates, SessionRates, Snapshot, WorkerRates } from './rates.js';

export type Style = 'plain' | 'title' | 'head' | 'dim' | 'good' | 'warn' | 'bad' | 'alarm';
export interface Piece {
  readonly text: string;
  readonly style: Style;
}
export type Line = readonly Piece[];

export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
}

/** Ports and workers that are shown before the rest is only counted. */
const ROWS_MIN = 2;
const BAR_WIDTH = 10;
const LEGEND = 'q quits; sessions are estimated from samples of packets';

/** @param notice  shown in the last line in place of the legend: the node is gone */
export function screenOf(snapshot: Snapshot, size: ScreenSize, notice?: string): Line[] {
  const lines: Line[] = [...titleLines(snapshot), []];
  // Title, three section heads with a blank line each, the last head, the legend.
  const free = Math.max(0, size.rows - lines.length - 3 * 2 - 2);
  const rows = share(free, [
    snapshot.ports.length,
    snapshot.workers.length,
    Math.max(1, snapshot.dropped.length),
    Math.max(1, snapshot.busiest.length),
  ]);
  lines.push(...section(PORT_HEAD, snapshot.ports, rows[0]!, portLine), []);
  lines.push(...section(WORKER_HEAD, snapshot.workers, rows[1]!, workerLine), []);
  const drops = snapshot.dropped;
  const none = (text: string): Line[] => [[piece(text, 'dim')]];
  if (drops.length === 0) lines.push([piece(DROP_HEAD, 'head')], ...none('nothing was dropped'));
  else lines.push(...section(DROP_HEAD, drops, rows[2]!, dropLine));
  lines.push([]);
  if (snapshot.busiest.length === 0) {
    lines.push([piece(SESSION_HEAD, 'head')], ...none('no session moves anything'));
  } else {
    lines.push(...section(SESSION_HEAD, snapshot.busiest, rows[3]!, sessionLine));
  }
  const shown = lines.slice(0, Math.max(0, size.rows - 1));
  while (shown.length < size.rows - 1) shown.push([]);
  shown.push([notice === undefined ? piece(LEGEND, 'dim') : piece(notice, 'alarm')]);
  return shown.map((line) => clip(line, size.columns));
}

/** All of a snapshot without a terminal around it: for files and pipes. */
export function snapshotText(snapshot: Snapshot): string {
  const rows =
    12 +
    snapshot.ports.length +
    snapshot.workers.length +
    Math.max(1, snapshot.dropped.length) +
    Math.max(1, snapshot.busiest.length);
  return screenOf(snapshot, { columns: 200, rows })
    .slice(0, -1)
    .map((line) =>
      line
        .map(({ text }) => text)
        .join('')
        .trimEnd(),
    )
    .join('\n')
    .trimEnd();
}

const piece = (text: string, style: Style = 'plain'): Piece => ({ text, style });

function titleLines(snapshot: Snapshot): Line[] {
  const sum = (rates: readonly number[]) => rates.reduce((total, one) => total + one, 0);
  const { ports, dropped } = snapshot;
  const rx = sum(ports.map(({ rx_pps }) => rx_pps));
  const lost = sum(dropped.map(({ pps }) => pps));
  const share = rx > 0 ? ` (${((lost / rx) * 100).toFixed(2)} %)` : '';
  const what = `${snapshot.node} ${snapshot.version}  up ${duration(snapshot.up_s)}`;
  return [
    [
      piece(`sluice top  ${what}  `, 'title'),
      piece(`${grouped(snapshot.sessions)} sessions  ${snapshot.time.slice(11, 19)} UTC`),
    ],
    [
      piece(`received ${packets(rx)} ${bits(sum(ports.map((port) => port.rx_bits_per_s)))}  `),
      piece(`sent ${packets(sum(ports.map(({ tx_pps }) => tx_pps)))}  `),
      piece(`dropped ${packets(lost)}${share}`, lost > 0 ? 'warn' : 'plain'),
      piece(snapshot.held > 0 ? `  held ${grouped(snapshot.held)}` : ''),
    ],
  ];
}

/** A section's head and as many of its rows as it may have. */
function section<T>(
  head: string,
  items: readonly T[],
  rows: number,
  lineOf: (item: T) => Line,
): Line[] {
  const all = items.length <= rows;
  const shown = items.slice(0, all ? rows : Math.max(0, rows - 1));
  const more: Line[] = all ? [] : [[piece(`and ${items.length - shown.length} more`, 'dim')]];
  return [[piece(head, 'head')], ...shown.map(lineOf), ...(rows > 0 ? more : [])];
}

/** Rows for each section: a few for all, then what is left to those further down. */
function share(rows: number, wanted: readonly number[]): number[] {
  const given = wanted.map((count) => Math.min(count, ROWS_MIN));
  let left = rows - given.reduce((sum, count) => sum + count, 0);
  while (left > 0 && given.some((count, i) => count < wanted[i]!)) {
    for (let i = wanted.length - 1; i >= 0 && left > 0; i--) {
      if (given[i]! >= wanted[i]!) continue;
      given[i]! += 1;
      left -= 1;
    }
  }
  return given;
}

const PORT_HEAD = `${'PORT'.padEnd(16)}${cells('RX PPS', 'RX BIT/S', 'TX PPS', 'TX BIT/S', 'FULL/S')}`;
function portLine(port: PortRates): Line {
  const { rx_pps, rx_bits_per_s, tx_pps, tx_bits_per_s, tx_full_pps } = port;
  return [
    piece(name(port.name, 16)),
    piece(cells(count(rx_pps), bits(rx_bits_per_s), count(tx_pps), bits(tx_bits_per_s))),
    piece(cells(count(tx_full_pps)), tx_full_pps > 0 ? 'warn' : 'dim'),
  ];
}

const WORKER_HEAD = `${'WORKER'.padEnd(16)}${cells('CYCLES/PKT', 'BURST', 'STALL')} BUCKETS  BUSY`;
function workerLine(worker: WorkerRates): Line {
  const share = Math.min(1, Math.max(0, worker.busy));
  const filled = Math.round(share * BAR_WIDTH);
  const style: Style = share > 0.9 ? 'bad' : share > 0.7 ? 'warn' : 'good';
  return [
    piece(name(`${worker.id} on core ${worker.core}`, 16)),
    piece(
      cells(
        worker.cycles_per_packet.toFixed(0),
        worker.burst_fill.toFixed(1),
        `${worker.longest_stall_ms.toFixed(2)} ms`,
      ),
    ),
    piece(`${String(worker.buckets).padStart(8)}  `),
    piece('█'.repeat(filled), style),
    piece('·'.repeat(BAR_WIDTH - filled), 'dim'),
    piece(` ${(share * 100).toFixed(1)} %`),
  ];
}

const DROP_HEAD = `${'DROPPED'.padEnd(28)}${cells('PPS', 'TOTAL')}`;
function dropLine(drop: DropRate): Line {
  const style: Style = drop.pps > 0 ? 'warn' : 'dim';
  return [
    piece(name(drop.reason, 28), style),
    piece(cells(count(drop.pps), grouped(drop.total)), style),
  ];
}

const SESSION_HEAD = `${'SESSION'.padEnd(28)}${cells('UP BIT/S', 'DOWN BIT/S', 'PPS', 'DROP/S')}`;
function sessionLine(session: SessionRates): Line {
  const { uplink_bits_per_s: up, downlink_bits_per_s: down, dropped_pps } = session;
  return [
    piece(name(session.name, 28)),
    piece(cells(bits(up), bits(down), count(session.uplink_pps + session.downlink_pps))),
    piece(cells(count(dropped_pps)), dropped_pps > 0 ? 'warn' : 'dim'),
  ];
}

/** Cells of 12 columns, to the right. */
function cells(...texts: readonly string[]): string {
  return texts.map((text) => text.padStart(12)).join('');
}

function name(text: string, width: number): string {
  return text.length < width ? text.padEnd(width) : `${text.slice(0, width - 2)}… `;
}

function count(value: number): string {
  return value > 0 && value < 10 ? value.toFixed(1) : grouped(Math.round(value));
}

function packets(pps: number): string {
  return `${count(pps)} pps`;
}

/** "950 M", "1.25 G": bits a second in three or four digits. */
export function bits(value: number): string {
  const units = ['', 'k', 'M', 'G', 'T'];
  let scaled = value;
  let unit = 0;
  while (scaled >= 999.95 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  const digits = unit === 0 ? 0 : scaled < 10 ? 2 : scaled < 100 ? 1 : 0;
  return `${scaled.toFixed(digits)} ${units[unit]}bit/s`;
}

function duration(seconds: number): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const days = Math.floor(seconds / 86_400);
  const time = `${two(Math.floor(seconds / 3600) % 24)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return days > 0 ? `${days}d ${time}` : time;
}

function clip(line: Line, columns: number): Line {
  const out: Piece[] = [];
  let left = columns;
  for (const { text, style } of line) {
    if (left <= 0) break;
    const part = [...text].slice(0, left).join('');
    left -= [...part].length;
    if (part !== '') out.push({ text: part, style });
  }
  return out;
}
