/**
 * What a session costs to keep, and how long a node takes to be back: sessions with full rules
 * are created over the stream, memory is read from the kernel and from the node's metrics, then
 * the node is stopped and started on the same data.
 *
 * session/native-bytes   region used at that many sessions ÷ sessions, tables included
 * session/control-bytes  resident anonymous memory added ÷ sessions
 * session/scrape         processor time of the control thread for one scrape of 16 ports, in ms
 * restore/…              from the start of the process to its ready line, in seconds
 */
import { setTimeout as delay } from 'node:timers/promises';
import { PORTS_MAX } from '../src/base/limits.js';
import { coreSplit, runNativeBench } from './process/native-program.js';
import { grpcLoadProgram, SluiceFolder, SluiceProcess } from './process/sluice-process.js';
import { type BenchOptions, type BenchResult, type Report, summarize } from './report/report.js';

export const families = ['session/', 'restore/'];

const sizes = [
  { sessions: 100_000, label: '100k' },
  { sessions: 1_000_000, label: '1M' },
];
/** Long enough for the collector and the store to finish what the load left behind. */
const settleMs = 5_000;

export default async function sessionBench(report: Report, options: BenchOptions): Promise<void> {
  const largest = options.quick ? sizes[0]! : sizes[1]!;
  for (const size of options.quick ? [largest] : sizes) {
    const memory = size === largest && options.wanted('session/');
    if (!memory && !options.wanted(`restore/${size.label}`)) continue;
    await measure(size, memory, report, options);
  }
}

async function measure(
  { sessions, label }: (typeof sizes)[number],
  memory: boolean,
  report: Report,
  options: BenchOptions,
): Promise<void> {
  const folder = new SluiceFolder(sessions, { ports: PORTS_MAX });
  let node = await SluiceProcess.start(folder);
  try {
    const before = node.anonymousBytes();
    options.say(`creating ${label} sessions`);
    await fill(folder, sessions, options);
    if (memory) {
      await delay(settleMs);
      const added = (node.anonymousBytes() - before) / sessions;
      report(summarize('session/control-bytes', 'bytes', [added]));
      const native = (await node.metric('sluice_region_used_bytes')) / sessions;
      report(summarize('session/native-bytes', 'bytes', [native]));
      const scrapes: number[] = [];
      for (let run = 0; run < (options.quick ? 3 : 10); run += 1)
        scrapes.push(await node.scrapeMs());
      report(summarize('session/scrape', 'ms', scrapes));
    }
    if (!options.wanted(`restore/${label}`)) return;
    const seconds: number[] = [];
    for (let run = 0; run < (options.quick ? 1 : 3); run += 1) {
      await node.stop();
      options.say(`restoring ${label} sessions`);
      node = await SluiceProcess.start(folder);
      const restored = await node.metric('sluice_sessions');
      if (restored !== sessions) throw new Error(`restored ${restored} of ${sessions} sessions`);
      seconds.push(node.readyMs / 1000);
    }
    report(summarize(`restore/${label}`, 's', seconds));
  } finally {
    await node.stop();
    folder.remove();
  }
}

async function fill(folder: SluiceFolder, sessions: number, options: BenchOptions): Promise<void> {
  const what = ['--target', folder.target, '--name', 'fill', '--prefix', 'fill-'];
  const args = ['fill', ...what, '--sessions', `${sessions}`, '--batch', '64', '--lanes', '16'];
  const say = ({ name, value, unit }: BenchResult) => {
    if (name === 'fill') options.say(`created at ${Math.round(value)} ${unit}`);
  };
  await runNativeBench(grpcLoadProgram(), args, coreSplit().load, say);
}
