/**
 * How late the control thread's event loop is while the packet path has all that it can do. The
 * worker spins on one core and takes what a gNB sends, which shares that core; the event loop has
 * the other one, a scrape of /metrics each second included.
 *
 * event-loop/delay/{p50|p99|max}   ms beyond the 10 ms for which each measurement waits
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { coreSplit } from './process/native-program.js';
import { runOnLoadCore, sluice } from './process/on-load-core.js';
import { SluiceFolder, SluiceProcess } from './process/sluice-process.js';
import { type BenchOptions, type Report, summarize } from './report/report.js';

const n3 = '127.0.0.84';
const figures = ['p50', 'p99', 'max'];
/** Of the monitor behind the node's metrics: what it waits for, each time. */
const waitMs = 10;

export default async function eventLoopBench(
  report: Report,
  { quick, say }: BenchOptions,
): Promise<void> {
  const cores = coreSplit();
  if (cores.load === cores.node) {
    say('event-loop/: needs two cores');
    return;
  }
  const folder = new SluiceFolder(10_000, {
    n3: `{ name: n3, driver: socket, role: access, addresses: [${n3}] }`,
    workers: `{ count: 1, poll: busy, cores: [${cores.load}] }`,
  });
  const node = await SluiceProcess.start(folder, [], `${cores.node},${cores.load}`);
  try {
    const seconds = quick ? 2 : 15;
    const [packets, delays] = await Promise.all([load(folder, seconds + 3), watch(node, seconds)]);
    say(`${packets} packets meanwhile`);
    if (packets === 0) throw new Error('event-loop/: no packet came to the node');
    for (const [i, figure] of figures.entries()) {
      const values = delays.map((delay) => delay[i]!);
      report(summarize(`event-loop/delay/${figure}`, 'ms', values));
    }
  } finally {
    await node.stop();
    folder.remove();
  }
}

/** Each second's figures, once the load has begun. */
async function watch(node: SluiceProcess, seconds: number): Promise<number[][]> {
  const names = figures.map((figure) => `nodejs_eventloop_lag_${figure}_seconds`);
  await sleep(2_000);
  await node.metrics(names); // each scrape begins the measurement anew
  const delays: number[][] = [];
  for (let second = 0; second < seconds; second++) {
    await sleep(1_000);
    delays.push((await node.metrics(names)).map((lag) => lag * 1_000 - waitMs));
  }
  return delays;
}

/** @return packets that the node says it had from it. */
async function load(folder: SluiceFolder, seconds: number): Promise<number> {
  const command = sluice('gnb', 'load', '--api', folder.target, '--sessions', '1000', '--json');
  const how = ['--pps', '1M', '--size', '64', '--time', `${seconds}s`];
  const out = await runOnLoadCore([...command, ...how]);
  return (JSON.parse(out) as { upf: { rx: number } }).upf.rx;
}
