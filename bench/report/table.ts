/** The table of figures for people. Pure. */
import type { Machine } from './machine.js';
import type { BenchResult } from './report.js';

export interface Measured {
  readonly machine: Machine;
  readonly commit: string;
  readonly results: readonly BenchResult[];
}

/** Four significant digits, thousands grouped; never an exponent. */
export function figure(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude >= 1000) return Math.round(value).toLocaleString('en-US');
  if (magnitude >= 100) return value.toFixed(1);
  return magnitude >= 1 ? value.toFixed(2) : value.toPrecision(3);
}

/** Name, value with unit, spread, runs. */
export function resultRow(result: BenchResult): string[] {
  const { name, value, unit, min, max, runs } = result;
  return [name, `${figure(value)} ${unit}`, `${figure(min)} – ${figure(max)}`, `${runs}×`];
}

/** Machine, commit, and one aligned line a figure. */
export function tableOf({ machine, commit, results }: Measured): string {
  const rows = [['name', 'median', 'spread', 'runs'], ...results.map(resultRow)];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => align(cell, widths[column]!, column))
      .join('  ')
      .trimEnd();
  const tsc = machine.tsc_hz === null ? '' : `, TSC ${figure(machine.tsc_hz / 1e6)} MHz`;
  const huge = Object.entries(machine.hugepages).map(([size, count]) => `${count} × ${size}`);
  return [
    `${machine.cpu}, ${machine.cores} cores${tsc}`,
    `Linux ${machine.kernel}, Node ${machine.node}, free huge pages: ${huge.join(', ') || 'none'}`,
    `commit ${commit}`,
    '',
    ...rows.map(line),
  ].join('\n');
}

function align(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}
