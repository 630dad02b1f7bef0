/**
 * What a scrape of /metrics takes of the event loop, with everything in it that a node has:
 * a packet path made for a million sessions with 16 ports, all drop reasons, and calls of every
 * method of the API. Its one worker's row is shown 16 times, as a large machine has workers.
 *
 * metrics/scrape/16ports  Processor time of one scrape.
 * metrics/scrape/read     The part of it that is read from the packet path.
 */
import { CallGuard } from '../src/api/call-guard.js';
import { addCollectors } from '../src/api/http/collectors.js';
import { OperationCounter } from '../src/api/sessions/operations.js';
import { silentLog } from '../src/base/log.js';
import { Metrics } from '../src/base/metrics.js';
import type { Datapath, DatapathPortConfig } from '../src/datapath/datapath.js';
import { createNativeDatapath } from '../src/datapath/native.js';
import type { Statistics } from '../src/datapath/statistics.js';
import { slotsFor } from '../src/session/identity.js';
import { type BenchOptions, type Report, summarize } from './report/report.js';

const sessionsMax = 1_000_000;
const portsShown = 16;
const workersShown = 16;
/** Methods of the API that take part in the histograms. */
const methods = ['CreateSession', 'UpdateSession', 'GetSession', 'ListSessions', 'DeleteSession'];

export default async function metricsBench(report: Report, options: BenchOptions): Promise<void> {
  const datapath = openDatapath();
  try {
    const runs = options.quick ? 5 : 50;
    const metrics = everything(datapath);
    for (let i = 0; i < 20; i += 1) await metrics.text(); // compiled by now
    const text = await metrics.text();
    const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
    options.say(`${series} series, ${text.length} bytes`);
    const scrapes: number[] = [];
    const reads: number[] = [];
    for (let run = 0; run < runs; run += 1) {
      scrapes.push(await cpuMs(() => metrics.text()));
      reads.push(
        await cpuMs(() => {
          datapath.statistics();
          datapath.status();
        }),
      );
    }
    report(summarize('metrics/scrape/16ports', 'ms', scrapes));
    report(summarize('metrics/scrape/read', 'ms', reads));
  } finally {
    datapath.stop();
  }
}

/** Processor time of one of ten: what others do on the machine meanwhile is not in it. */
async function cpuMs(work: () => unknown): Promise<number> {
  const times = 10;
  const before = process.cpuUsage();
  for (let i = 0; i < times; i += 1) await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / times;
}

function everything(datapath: Datapath): Metrics {
  const metrics = new Metrics();
  addCollectors(metrics, {
    statistics: () => asOfManyWorkers(datapath.statistics()),
    status: () => datapath.status(),
    engine: () => ({
      sessions: sessionsMax,
      sessionsMax,
      slabBytesUsed: 1,
      operationsWaiting: 1,
      reportsHeld: 1,
      reportsStale: 1,
      reportsMerged: 1,
      reportsDropped: 1,
      reportWriteFailures: 0,
    }),
    ready: () => true,
    version: '1.0.0',
    node: 'bench',
  });
  new CallGuard(metrics, silentLog());
  const operations = new OperationCounter(metrics);
  for (const kind of [1, 2, 3]) operations.count(kind, undefined);
  const latency = metrics.latency('bench_request_duration_seconds', 'As of CallGuard', ['method']);
  for (const method of methods) latency.observe({ method }, 0.001);
  return metrics;
}

function asOfManyWorkers(statistics: Statistics): Statistics {
  const worker = statistics.workers[0]!;
  return {
    ...statistics,
    workers: Array.from({ length: workersShown }, (_, id) => ({ ...worker, id })),
  };
}

function openDatapath(): Datapath {
  const slotsPerBucket = slotsFor(sessionsMax);
  const datapath = createNativeDatapath({
    sessionsMax,
    packetsMax: 16_384,
    hugepages: 'off',
    workers: { count: 0, cores: 'auto', poll: 'adaptive' },
    ports: Array.from({ length: portsShown }, (_, i) => port(i)),
    teidKey: [1, 2, 3, 4, 5],
    slotBits: 13,
    slotsPerBucket,
  });
  datapath.start();
  return datapath;
}

function port(i: number): DatapathPortConfig {
  const access = i % 2 === 0;
  return {
    name: `port${i}`,
    driver: 'memory',
    role: access ? 'access' : 'core',
    addresses: access ? [`192.0.2.${i + 1}`] : [],
    networkInstances: [`instance${i}`],
    udpPort: 2152,
    sourcePorts: 1,
    device: '',
    mtu: 1500,
    uePools: [],
    masquerade: false,
    file: '',
    outputFile: '',
  };
}
