/** Charts of figures: what is there is drawn, what isn't is left out. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { drawCharts, writeCharts } from './charts.js';
import { summarize } from './report.js';

const cycles = (name: string, value: number) => summarize(name, 'cycles/packet', [value]);
const figures = [
  cycles('pipeline/uplink/64B/1k/full', 71.234),
  cycles('pipeline/uplink/64B/1M/full', 102),
  cycles('ring/spsc/1core/burst8', 3.5),
  cycles('peer/rte_ring/spsc/1core/burst8', 4.25),
];

describe('charts', () => {
  it('are drawn for the figures that are there, and say what they are from', () => {
    const drawn = drawCharts(figures, 'a processor, commit abc');
    expect([...drawn.keys()]).toEqual(['sessions.svg', 'sizes.svg', 'rings.svg']);
    const sessions = drawn.get('sessions.svg')!;
    expect(sessions).toMatch(/^<svg .*<\/svg>$/s);
    for (const text of ['71.2', '102', 'uplink, full rules', 'a processor, commit abc']) {
      expect(sessions).toContain(text);
    }
    expect(sessions).not.toContain('downlink');
    expect(drawn.get('rings.svg')).toContain('rte_ring');
  });

  it('have a place for many and for few on one axis, and none for nothing', () => {
    const beyond = (label: string, value: number) =>
      summarize(`through/nothing/100kpps/beyond/${label}`, 'ppm', [value]);
    const drawn = drawCharts(
      [beyond('2us', 1_000_000), beyond('5us', 25), beyond('1000us', 0)],
      'x',
    );
    const latency = drawn.get('latency.svg')!;
    for (const text of ['1,000,000', '>25<', 'the clock alone']) expect(latency).toContain(text);
    expect(latency).not.toMatch(/NaN|Infinity/);
  });

  it('are files of a folder', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-charts-'));
    try {
      const inside = join(folder, 'new');
      expect(writeCharts(inside, figures, 'x')).toEqual(
        readdirSync(inside).sort((a, b) => order(a) - order(b)),
      );
      expect(readFileSync(join(inside, 'rings.svg'), 'utf8')).toContain('4.25');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('are none without a figure for them', () => {
    expect(drawCharts([cycles('codec/x', 1)], 'x').size).toBe(0);
  });
});

const order = (file: string): number => ['sessions.svg', 'sizes.svg', 'rings.svg'].indexOf(file);
