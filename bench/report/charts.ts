/**
 * Figures as pictures: what a packet costs against the number of sessions, rules, octets and
 * workers, and ours beside a peer's. Drawn by ECharts on the server, as SVG; a chart without any
 * figure is left out. Pure, but for {@link writeCharts}.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as echarts from 'echarts';
import type { BenchResult } from './report.js';

interface Line {
  readonly title: string;
  /** Name of the row at a place of the axis. */
  readonly row: (label: string) => string;
}

interface Chart {
  readonly file: string;
  readonly title: string;
  readonly axis: string;
  readonly unit: string;
  readonly labels: readonly string[];
  readonly kind: 'line' | 'bar';
  readonly log?: boolean;
  readonly lines: readonly Line[];
}

const directions = ['uplink', 'downlink'] as const;
const both = (row: (direction: string) => Line['row'], suffix = ''): Line[] =>
  directions.map((direction) => ({ title: `${direction}${suffix}`, row: row(direction) }));

const charts: readonly Chart[] = [
  {
    file: 'sessions.svg',
    title: 'Cycles a packet against sessions (64 B)',
    axis: 'sessions',
    unit: 'TSC cycles',
    labels: ['1', '1k', '100k', '1M', '4M'],
    kind: 'line',
    lines: ['full', 'bare'].flatMap((rules) =>
      both((way) => (label) => `pipeline/${way}/64B/${label}/${rules}`, `, ${rules} rules`),
    ),
  },
  {
    file: 'sizes.svg',
    title: 'Cycles a packet against its size (1,000 sessions, full rules)',
    axis: "the UE's packet",
    unit: 'TSC cycles',
    labels: ['64B', '512B', '1400B', 'imix'],
    kind: 'bar',
    lines: both((way) => (label) => `pipeline/${way}/${label}/1k/full`),
  },
  {
    file: 'stages.svg',
    title: 'Cycles a packet by stage (64 B, 1,000 sessions, full rules)',
    axis: 'stage; around: ports, rings, and the generator and sink of the bench',
    unit: 'TSC cycles',
    labels: ['around', 'parse', 'lookup', 'match', 'forward'],
    kind: 'bar',
    lines: both((way) => (label) => `pipeline/${way}/64B/1k/full/stage/${label}`),
  },
  {
    file: 'latency.svg',
    title: 'Of a million packets those that take longer, one way (uplink, 64 B, 100 kpps)',
    axis: 'than',
    unit: 'packets',
    labels: ['2us', '5us', '10us', '20us', '50us', '100us', '1000us'],
    kind: 'line',
    log: true,
    lines: [
      ...['afxdp', 'afxdp-busy', 'kernel'].map((ports) => ({
        title: ports,
        row: (label: string) => `through/${ports}/uplink/64B/100kpps/beyond/${label}`,
      })),
      {
        title: 'the clock alone',
        row: (label) => `through/nothing/100kpps/beyond/${label}`,
      },
    ],
  },
  {
    file: 'rules.svg',
    title: 'Cycles more than with two PDRs a direction, the last one matching',
    axis: 'PDRs a direction',
    unit: 'TSC cycles',
    labels: ['8', '16', '32', '64'],
    kind: 'bar',
    lines: both((way) => (label) => `pipeline/${way}/64B/1k/full/pdrs${label}/added`),
  },
  {
    file: 'added.svg',
    title: 'Cycles more than a plain packet',
    axis: 'what is more',
    unit: 'TSC cycles',
    labels: ['outer-v6', 'inner-v6', 'both-v6', 'metered-half', 'handed-half'],
    kind: 'bar',
    lines: both((way) => (label) => `pipeline/${way}/64B/1k/full/${label}/added`),
  },
  {
    file: 'workers.svg',
    title: 'What two workers do for what one does',
    axis: 'direction',
    unit: 'times',
    labels: directions,
    kind: 'bar',
    lines: [{ title: 'two workers', row: (way) => `pipeline/${way}/64B/1k/full/2workers/times` }],
  },
  {
    file: 'rings.svg',
    title: 'Cycles an object, there and back on one core',
    axis: 'ring',
    unit: 'TSC cycles',
    labels: ['spsc/1core/burst8', 'spsc/1core/burst32', 'mpmc/1core/burst8', 'mpmc/1core/burst32'],
    kind: 'bar',
    lines: [
      { title: 'Sluice', row: (label) => `ring/${label}` },
      { title: 'DPDK (rte_ring)', row: (label) => `peer/rte_ring/${label}` },
    ],
  },
  {
    file: 'afxdp.svg',
    title: 'A loop over AF_XDP on veth',
    axis: 'frame',
    unit: 'kpps',
    labels: ['64B', '1400B'],
    kind: 'bar',
    lines: [
      { title: 'Sluice', row: (label) => `port/afxdp/loop/${label}` },
      { title: 'DPDK (testpmd)', row: (label) => `peer/testpmd/afxdp/loop/${label}` },
    ],
  },
];

/**
 * The charts that these figures make, by file name.
 * @param from  what the figures are from: machine and commit, for the line below the title
 */
export function drawCharts(results: readonly BenchResult[], from: string): Map<string, string> {
  const values = new Map(results.map(({ name, value }) => [name, value]));
  const drawn = new Map<string, string>();
  for (const chart of charts) {
    const lines = chart.lines
      .map(({ title, row }) => ({
        title,
        data: chart.labels.map((label) => values.get(row(label)) ?? null),
      }))
      .filter(({ data }) => data.some((value) => value !== null));
    if (lines.length > 0) drawn.set(chart.file, draw(chart, lines, from));
  }
  return drawn;
}

/** Writes the charts into a folder, which is made when it is missing. Returns their names. */
export function writeCharts(
  folder: string,
  results: readonly BenchResult[],
  from: string,
): string[] {
  const drawn = drawCharts(results, from);
  mkdirSync(folder, { recursive: true });
  for (const [file, svg] of drawn) writeFileSync(join(folder, file), `${svg}\n`);
  return [...drawn.keys()];
}

function draw(
  { title, axis, unit, labels, kind, log = false }: Chart,
  lines: readonly { title: string; data: (number | null)[] }[],
  from: string,
): string {
  const canvas = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 760, height: 420 });
  canvas.setOption({
    animation: false,
    backgroundColor: '#fff',
    title: { text: title, subtext: from, left: 16, top: 10, textStyle: { fontSize: 15 } },
    legend: { bottom: 8, data: lines.map((line) => line.title) },
    grid: { left: log ? 84 : 64, right: 24, top: log ? 104 : 84, bottom: 72 },
    xAxis: { type: 'category', data: [...labels], name: axis, nameLocation: 'middle', nameGap: 26 },
    yAxis: { type: log ? 'log' : 'value', name: unit },
    series: lines.map((line) => ({
      type: kind,
      name: line.title,
      // There is no place for nothing on such an axis.
      data: log ? line.data.map((value) => (value === 0 ? null : value)) : line.data,
      labelLayout: { hideOverlap: true },
      label: {
        show: true,
        position: 'top',
        formatter: ({ value }: { value?: unknown }) => text(value),
      },
    })),
  });
  const svg = canvas.renderToSVGString();
  canvas.dispose();
  return svg;
}

/** Three digits that say something. */
const text = (value: unknown): string =>
  typeof value === 'number' ? String(Number(value.toPrecision(3))) : '';
