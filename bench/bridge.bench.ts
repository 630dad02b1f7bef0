/**
 * The bridge into native code: prepare() compiles records and reserves, apply() hands them to
 * the worker, step() is the worker's share, on the same core. Each operation replaces the rules
 * of a session by the same record, with full rules: 4 PDRs with filters, 2 QERs, 1 URR.
 */
import Benchmark from 'benchmark';
import { Refusal } from '../src/base/errors.js';
import {
  type Datapath,
  type DatapathPortConfig,
  OPERATION_WORDS,
  OperationKind,
  OperationWord,
  PrepareStatus,
} from '../src/datapath/datapath.js';
import { createNativeDatapath } from '../src/datapath/native.js';
import { RecordBuffer } from '../src/model/record.js';
import { encodeMessage, sampleSession } from '../src/model/sample.fixture.js';
import { SessionDecoder } from '../src/model/session-decode.js';
import { createEngine } from '../src/session/engine.js';
import { loadIdentity } from '../src/session/identity.js';
import { MemoryStore } from '../src/store/memory.js';
import { type BenchOptions, type Report, summarize } from './report/report.js';

const batches = [1, 16, 64];
const sessionsCount = 4096;
const nsPerS = 1e9;

/** Where the record of a session lies, as the engine told the packet path. */
interface Place {
  readonly index: number;
  readonly chunk: number;
  readonly offset: number;
}

export default async function bridgeBench(report: Report, options: BenchOptions): Promise<void> {
  const { datapath, places } = await sessionsInPlace();
  try {
    for (const batch of batches) {
      const name = `bridge/prepare-apply/batch${batch}`;
      if (!options.wanted(name)) continue;
      const replace = replacing(datapath, places, batch);
      const values = Array.from({ length: options.quick ? 1 : 5 }, () => {
        const bench = new Benchmark(replace, { maxTime: options.quick ? 0.2 : 1 }).run();
        return (bench.stats.mean * nsPerS) / batch;
      });
      report(summarize(name, 'ns/operation', values));
    }
  } finally {
    datapath.stop();
  }
}

/** One round of `batch` operations through to the worker; the next round takes other sessions. */
function replacing(datapath: Datapath, places: readonly Place[], batch: number): () => void {
  const tickets = new Uint32Array(batch);
  const words = datapath.operations;
  let next = 0;
  return () => {
    for (let i = 0; i < batch; i += 1) {
      const place = places[next]!;
      next = (next + 1) % places.length;
      const at = i * OPERATION_WORDS;
      words[at + OperationWord.Kind] = OperationKind.Update;
      words[at + OperationWord.SessionIndex] = place.index;
      words[at + OperationWord.Chunk] = place.chunk;
      words[at + OperationWord.Offset] = place.offset;
      words[at + OperationWord.Flags] = 0;
    }
    datapath.prepare(batch);
    for (let i = 0; i < batch; i += 1) {
      const at = i * OPERATION_WORDS;
      const status = words[at + OperationWord.Status];
      if (status !== PrepareStatus.Ok) throw new Error(`prepare() refused with status ${status}`);
      tickets[i] = words[at + OperationWord.Ticket]!;
    }
    const sequence = datapath.apply(tickets, batch);
    while (datapath.completed() < sequence) {
      datapath.step();
      datapath.poll();
    }
  };
}

function port(name: string, role: 'access' | 'core'): DatapathPortConfig {
  const access = role === 'access';
  return {
    name,
    driver: 'memory',
    role,
    addresses: access ? ['127.0.0.1'] : [],
    networkInstances: access ? ['access'] : ['internet'],
    udpPort: 2152,
    sourcePorts: 1,
    device: '',
    mtu: 1500,
    uePools: access ? [] : ['10.0.0.0/8'],
    masquerade: false,
    file: '',
    outputFile: '',
  };
}

/** A packet path that nobody else drives, with sessions that the engine created. */
async function sessionsInPlace(): Promise<{ datapath: Datapath; places: Place[] }> {
  const ports = [port('n3', 'access'), port('n6', 'core')];
  const store = new MemoryStore();
  const identity = await loadIdentity(store, sessionsCount * 2);
  const datapath = createNativeDatapath({
    sessionsMax: sessionsCount * 2,
    packetsMax: 8192,
    hugepages: 'auto',
    workers: { count: 0, cores: 'auto', poll: 'adaptive' },
    ports,
    ...identity,
  });
  const places: Place[] = [];
  notePlaces(datapath, places);
  const sessionsMax = sessionsCount * 2;
  const engine = createEngine({ datapath, store, identity, ports, sessionsMax });
  await engine.restore();
  const record = new RecordBuffer();
  const refusal = new Refusal();
  const decoder = new SessionDecoder(record, refusal);
  for (let i = 0; i < sessionsCount; i += 1) {
    const bytes = encodeMessage('Session', sampleSession(`bench-${i}`));
    if (!decoder.decode(bytes, 0, bytes.length)) throw refusal.toError();
    await engine.create('bench', { words: record.words.subarray(0, record.top) });
  }
  datapath.start();
  return { datapath, places };
}

/** Listens to the engine's own prepare() calls, until the sessions are there. */
function notePlaces(datapath: Datapath, places: Place[]): void {
  const prepare = datapath.prepare.bind(datapath);
  const words = datapath.operations;
  const value = (count: number) => {
    for (let at = 0; at < count * OPERATION_WORDS; at += OPERATION_WORDS) {
      if (words[at + OperationWord.Kind] !== OperationKind.Create) continue;
      places.push({
        index: words[at + OperationWord.SessionIndex]!,
        chunk: words[at + OperationWord.Chunk]!,
        offset: words[at + OperationWord.Offset]!,
      });
    }
    prepare(count);
  };
  Object.defineProperty(datapath, 'prepare', { value });
}
