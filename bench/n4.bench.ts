/**
 * N4 under load: `sluice n4 load` on a core of its own against a real `sluice serve`, with full
 * rules, over UDP on the loopback. Every answer is checked; nothing is lost or refused.
 *
 * n4/{establish|modify|delete}/{10k|1M}      answers a second, with that many sessions there
 * …/p99                                      ms at 80 % of that rate, from when one was due
 * n4/{establish|modify|delete}/sync          as 10k, each answer after its flush to the disk
 * n4/control-bytes                           resident anonymous memory added ÷ sessions
 * n4/control-bytes/kept                      the same, when they are deleted again
 * n4/gc-pause                                longest pause of the collector in all of 1M, in ms;
 *                                            or step of its marking, whichever is longer
 */
import { setTimeout as delay } from 'node:timers/promises';
import { runOnLoadCore, sluice } from './process/on-load-core.js';
import { SluiceFolder, SluiceProcess } from './process/sluice-process.js';
import { type BenchOptions, type Report, summarize } from './report/report.js';

const operations = ['establish', 'modify', 'delete'] as const;
type Operation = (typeof operations)[number];

/** Sessions of each measured run; small beside a million, long enough for a rate. */
const measuredSessions = 10_000;
const sizes = [
  { label: '10k', held: 0 },
  { label: '1M', held: 1_000_000 },
];
const upf = '127.0.0.81';
const holder = ['--bind', '127.0.0.82', '--ue', '10.0.0.2'];
const measured = ['--bind', '127.0.0.83', '--ue', '10.128.0.1'];
/** Enough under way that the node never waits for the load. */
const window = '256';
/** Long enough for the collector and the store to finish what the load left behind. */
const settleMs = 5_000;

export default async function n4Bench(report: Report, options: BenchOptions): Promise<void> {
  for (const size of sizes) {
    const wanted =
      operations.some((operation) => options.wanted(`n4/${operation}/${size.label}`)) ||
      (size.held > 0 && ['n4/control-bytes', 'n4/gc-pause'].some((name) => options.wanted(name)));
    if (wanted) await measure(size, report, options);
  }
  if (operations.some((operation) => options.wanted(`n4/${operation}/sync`))) {
    await atDurability('sync', async () => {
      await rates('sync', report, options);
    });
  }
}

async function measure(
  { label, held }: (typeof sizes)[number],
  report: Report,
  options: BenchOptions,
): Promise<void> {
  const holds = options.quick ? held / 10 : held;
  await atDurability('async', async (node) => {
    // What the node needs once, whatever sessions it has, is there after some of them.
    await load(['--sessions', '20k', ...measured]);
    await delay(settleMs);
    const before = node.anonymousBytes();
    if (holds > 0) {
      options.say(`establishing ${holds} sessions`);
      await load(['--sessions', `${holds}`, '--modify', '0', '--keep', ...holder]);
      await delay(settleMs);
      const bytes = (node.anonymousBytes() - before) / holds;
      report(summarize('n4/control-bytes', 'bytes', [bytes]));
    }
    if (operations.some((operation) => options.wanted(`n4/${operation}/${label}`))) {
      await rates(label, report, options);
    }
    if (holds === 0) return;
    options.say(`deleting ${holds} sessions`);
    // The association that comes again with a later time stamp gives the old sessions up, and its
    // release is answered when they are gone.
    await load(['--sessions', '1', '--tries', '100', ...holder]);
    await delay(settleMs);
    const kept = (node.anonymousBytes() - before) / holds;
    report(summarize('n4/control-bytes/kept', 'bytes', [kept]));
    report(summarize('n4/gc-pause', 'ms', [Math.max(...node.pausesMs)]));
  });
}

/** Rates of all operations, then latencies at 80 % of them. */
async function rates(label: string, report: Report, options: BenchOptions): Promise<void> {
  const runs = options.quick ? 1 : 5;
  const perSecond = new Map<Operation, number[]>();
  for (let run = 0; run < runs; run++) {
    for (const part of await load(['--sessions', `${measuredSessions}`, ...measured])) {
      const values = perSecond.get(part.operation) ?? [];
      perSecond.set(part.operation, [...values, part.per_second]);
    }
  }
  for (const operation of operations) {
    const name = `n4/${operation}/${label}`;
    const result = summarize(name, 'ops/s', perSecond.get(operation) ?? []);
    report(result);
    const p99: number[] = [];
    const rate = `${Math.round(result.value * 0.8)}`;
    for (let run = 0; run < runs; run++) {
      const paced = ['--sessions', `${measuredSessions}`, '--rate', rate, ...measured];
      const parts = await load(paced);
      p99.push(parts.find((part) => part.operation === operation)!.latency_ms.p99);
    }
    report(summarize(`${name}/p99`, 'ms', p99));
  }
}

async function atDurability(
  durability: 'async' | 'sync',
  work: (node: SluiceProcess) => Promise<void>,
): Promise<void> {
  // The reply cache is memory apart: a small one does not stand in the figure.
  const n4 = `{ listen: ['${upf}:8805'], replyCacheBytes: 1048576 }`;
  const folder = new SluiceFolder(1_100_000, { n4, durability });
  const node = await SluiceProcess.start(folder, ['--trace-gc']);
  try {
    await work(node);
  } finally {
    await node.stop();
    folder.remove();
  }
}

interface Part {
  readonly operation: Operation;
  readonly per_second: number;
  readonly latency_ms: { readonly p99: number };
}

/** One run of the command; it fails when anything was lost or refused. */
async function load(args: readonly string[]): Promise<readonly Part[]> {
  const command = sluice('n4', 'load', '--target', upf, '--json', '--time', '300s');
  const paced = args.includes('--rate') ? [] : ['--window', window];
  const out = await runOnLoadCore([...command, ...paced, ...args]);
  return (JSON.parse(out) as { parts: readonly Part[] }).parts;
}
