/**
 * The control thread's work on one PFCP Session Establishment Request of usual size (2 PDRs,
 * 2 FARs, 1 QER, 1 URR): `establish` reads it and writes its answer; `decode` reads it only;
 * the reference turns the same octets into objects. Each figure is the best of many short
 * cycles, as the neighbours of a shared core only ever add.
 */
import * as Cause from '../src/n4/codec/cause.js';
import { describeMessage } from '../src/n4/codec/describe.js';
import * as Ie from '../src/n4/codec/ie.js';
import { MessageReader } from '../src/n4/codec/message-reader.js';
import * as Message from '../src/n4/codec/message-type.js';
import { MessageWriter } from '../src/n4/codec/message-writer.js';
import { establishmentRequest } from '../src/n4/codec/sample.fixture.js';
import { FSeid, readFSeid } from '../src/n4/codec/values/f-seid.js';
import { FTeid, readFTeid } from '../src/n4/codec/values/f-teid.js';
import { nodeIdValue } from '../src/n4/codec/values/node-id.js';
import { type BenchOptions, type Report, summarize } from './report/report.js';

export const families = ['n4/codec/'];
const cycleOperations = 200;
const cycles = 2000;

export default async function n4CodecBench(report: Report, options: BenchOptions): Promise<void> {
  for (const [name, run] of cases()) {
    if (!options.wanted(name)) continue;
    run();
    const runs = options.quick ? 1 : 5;
    const values = Array.from({ length: runs }, () => bestCycleUs(run, options.quick));
    report(summarize(name, 'µs/op', values));
  }
}

/** µs that an operation takes in the fastest cycle. */
function bestCycleUs(run: () => void, quick: boolean): number {
  let best = Number.POSITIVE_INFINITY;
  for (let cycle = 0; cycle < (quick ? cycles / 10 : cycles); cycle++) {
    const startedMs = performance.now();
    for (let operation = 0; operation < cycleOperations; operation++) run();
    best = Math.min(best, ((performance.now() - startedMs) * 1000) / cycleOperations);
  }
  return best;
}

function cases(): [string, () => void][] {
  const bytes = establishmentRequest();
  const reader = new MessageReader();
  const writer = new MessageWriter();
  const fSeid = new FSeid();
  const fTeid = new FTeid();
  const node = nodeIdValue('10.0.0.2')!;

  const decode = () => {
    if (!reader.read(bytes, 0, bytes.length)) throw new Error(`cause ${reader.cause}`);
  };
  const establish = () => {
    decode();
    if (!readFSeid(reader, reader.find(-1, Ie.FSeid), fSeid)) throw new Error('no F-SEID');
    writer.begin(Message.SessionEstablishmentResponse, true, fSeid.seidLow, fSeid.seidHigh);
    writer.nodeId(node);
    writer.cause(Cause.Accepted);
    writer.fSeid(1, 2, true, 0x0a000002, false, fTeid.ipv6);
    for (
      let pdr = reader.find(-1, Ie.CreatePdr);
      pdr >= 0;
      pdr = reader.findNext(-1, pdr, Ie.CreatePdr)
    ) {
      const place = reader.find(reader.find(pdr, Ie.Pdi), Ie.FTeid);
      if (place < 0 || !readFTeid(reader, place, fTeid) || !fTeid.choose) continue;
      writer.open(Ie.CreatedPdr);
      writer.u16(Ie.PdrId, reader.u16(reader.find(pdr, Ie.PdrId)));
      writer.fTeid(0x12345678, fTeid.hasIpv4, 0x0a000002, false, fTeid.ipv6);
      writer.close();
    }
    if (!writer.finish(reader.sequence)) throw new Error('the answer did not fit');
  };
  return [
    ['n4/codec/establish', establish],
    ['n4/codec/decode', decode],
    ['n4/codec/describe', () => void describeMessage(bytes)],
  ];
}
