/**
 * The bench runner: native loops, TypeScript modules and API loads, one after another, with a
 * table on screen and JSON for programs. Benches never fail a build: the exit code is 1 only
 * when one could not run.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runNativeBench, tscFrequency } from './process/native-program.js';
import { writeCharts } from './report/charts.js';
import { commit, describeMachine } from './report/machine.js';
import { type BenchModule, type BenchOptions, type BenchResult, matches } from './report/report.js';
import { resultRow, tableOf } from './report/table.js';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '..', '..');
const nativeFamilies = [
  ...['ring/', 'pool/', 'lookup/', 'pipeline/', 'port/', 'through/'],
  ...['sm3/', 'sm4/', 'esp/'],
];
const nativeProgram = join(root, 'build-bench', 'sluice_bench');
const usage = `usage: npm run bench -- [--only PREFIX] [--quick | --full] [--json FILE] [--charts FOLDER]
  --only PREFIX    benches whose names begin so
  --quick          to see that they work: few rounds, no figures to quote
  --full           also what takes long: four million sessions, the peers of DPDK
  --json FILE      machine, commit and figures, for programs
  --charts FOLDER  the figures as SVG`;
/** Minutes and gigabytes: left out where neither --full nor --only asks for them. */
const long = ['/4M', 'peer/rte_', 'peer/testpmd/'];

interface Arguments {
  readonly only: string;
  readonly quick: boolean;
  readonly full: boolean;
  readonly json: string | undefined;
  readonly charts: string | undefined;
}

function readArguments(): Arguments | undefined {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string', default: '' },
        quick: { type: 'boolean', default: false },
        full: { type: 'boolean', default: false },
        json: { type: 'string' },
        charts: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    const { only, quick, json, charts } = values;
    if (values.help) {
      console.log(usage);
      process.exit(0);
    }
    if (quick && values.full) throw new Error('--quick and --full are two things; give one');
    const asksFor = (part: string) => only.includes(part) || (only !== '' && part.startsWith(only));
    const full = values.full || long.some(asksFor);
    return { only, quick, full, json, charts };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${usage}`);
    return undefined;
  }
}

class Runner {
  readonly results: BenchResult[] = [];
  readonly failures: string[] = [];
  private readonly options: BenchOptions;

  constructor(private readonly args: Arguments) {
    this.options = {
      quick: args.quick,
      only: args.only,
      wanted: (name) => matches(name, args.only),
      say: (text) => console.error(`  ${text}`),
    };
  }

  async native(): Promise<void> {
    if (!nativeFamilies.some((family) => this.options.wanted(family))) return;
    const args = [
      '--json',
      ...(this.args.only === '' ? [] : ['--only', this.args.only]),
      ...(this.args.quick ? ['--quick'] : []),
      ...(this.args.full ? ['--full'] : []),
    ];
    await this.stage('native loops', () =>
      runNativeBench(nativeProgram, args, undefined, this.take),
    );
  }

  async modules(): Promise<void> {
    const files = readdirSync(here).filter((name) => name.endsWith('.bench.js'));
    for (const file of files.sort()) {
      const loaded = (await import(join(here, file))) as BenchModule;
      const families = loaded.families ?? [file.replace('.bench.js', '/')];
      if (!families.some((family) => this.options.wanted(family))) continue;
      if (!this.args.full && families.every((family) => long.includes(family))) continue;
      await this.stage(families.join(' '), () => loaded.default(this.take, this.options));
    }
  }

  private async stage(title: string, work: () => Promise<void>): Promise<void> {
    const startedMs = performance.now();
    console.error(`· ${title}`);
    try {
      await work();
      console.error(`✓ ${title} (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`);
    } catch (error) {
      this.failures.push(title);
      console.error(`✗ ${title}: ${error instanceof Error ? error.message : error}`);
    }
  }

  private readonly take = (result: BenchResult): void => {
    if (!this.options.wanted(result.name)) return;
    this.results.push(result);
    console.error(`  ${resultRow(result).join('  ')}`);
  };
}

const args = readArguments();
if (args === undefined) {
  process.exitCode = 2;
} else {
  const runner = new Runner(args);
  await runner.native();
  await runner.modules();
  const machine = describeMachine(tscFrequency(nativeProgram));
  const measured = { machine, commit: commit(root), results: runner.results };
  if (args.json !== undefined) {
    mkdirSync(dirname(resolve(args.json)), { recursive: true });
    writeFileSync(args.json, `${JSON.stringify(measured, null, 2)}\n`);
  }
  if (args.charts !== undefined) {
    const from = `${machine.cpu}, ${machine.cores} cores, commit ${measured.commit.slice(0, 12)}`;
    const drawn = writeCharts(resolve(args.charts), runner.results, from);
    console.error(`charts: ${drawn.length === 0 ? 'none for these figures' : drawn.join(', ')}`);
  }
  console.log(tableOf(measured));
  if (runner.results.length === 0) console.error(`nothing was measured; ${usage}`);
  process.exitCode = runner.failures.length > 0 || runner.results.length === 0 ? 1 : 0;
}
