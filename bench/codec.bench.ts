/**
 * The flat path between protobuf and records: one session of 4 PDRs with an SDF filter each,
 * 2 FARs, 2 QERs and 1 URR. `decode` includes validation, `batch16/decode` is a SessionBatch
 * of 16 such sessions under different names; the reference is protobufjs on the same bytes.
 * Each figure is the best cycle of a run, as the neighbours of a shared core only ever add.
 */
import Benchmark from 'benchmark';
import { Refusal } from '../src/base/errors.js';
import { ProtobufWriter } from '../src/model/protobuf.js';
import { RecordBuffer } from '../src/model/record.js';
import { BatchReader, RequestDecoder } from '../src/model/request-decode.js';
import { decodeMessage, encodeMessage, sampleSession } from '../src/model/sample.fixture.js';
import { FlowParser } from '../src/model/sdf.js';
import { SessionDecoder } from '../src/model/session-decode.js';
import { encodeSession } from '../src/model/session-encode.js';
import { RecordValidator } from '../src/model/validate.js';
import { type BenchOptions, type Report, summarize } from './report/report.js';

const batchSize = 16;
const nsPerS = 1e9;
const flows = [
  'permit out udp from 203.0.113.0/24 5000-5010 to assigned',
  'permit out tcp from 198.51.100.0/24 443 to assigned',
  'permit out ip from 2001:db8:5::/48 to assigned',
  'permit out ip from any to assigned',
];

/** One measured operation, and how many things it does at once. */
interface Case {
  readonly name: string;
  readonly unit: string;
  readonly each: number;
  readonly run: () => void;
}

export default async function codecBench(report: Report, options: BenchOptions): Promise<void> {
  for (const { name, unit, each, run } of cases()) {
    if (!options.wanted(name)) continue;
    const values = Array.from({ length: options.quick ? 1 : 5 }, () => {
      const bench = new Benchmark(run, { maxTime: options.quick ? 0.2 : 1 }).run();
      if (bench.error !== undefined) throw bench.error;
      return (Math.min(...bench.stats.sample) * nsPerS) / each;
    });
    report(summarize(name, unit, values));
  }
}

function cases(): Case[] {
  const refusal = new Refusal();
  const record = new RecordBuffer();
  const decoder = new SessionDecoder(record, refusal);
  const validator = new RecordValidator(refusal);
  const requests = new RequestDecoder(new RecordBuffer(), refusal);
  const batch = new BatchReader(refusal);
  const writer = new ProtobufWriter();
  const parser = new FlowParser();
  const bytes = encodeMessage('Session', sampleSession());
  const texts = flows.map((flow) => Buffer.from(flow));
  const operations = Array.from({ length: batchSize }, (_, index) => ({
    create: { session: sampleSession(`imsi-0010100000000${index}-5`) },
  }));
  const batchBytes = encodeMessage('SessionBatch', { batch_id: '1', operations });

  const decode = () => {
    const done = decoder.decode(bytes, 0, bytes.length) && validator.validate(record.words, 0);
    if (!done) throw refusal.toError();
  };
  const encode = () => {
    writer.reset();
    encodeSession(writer, record.words, 0, 0);
  };
  const parse = () => {
    for (const text of texts) {
      if (!parser.parse(text, 0, text.length)) throw new Error(`expected ${parser.expected}`);
    }
  };
  const decodeBatch = () => {
    if (!batch.read(batchBytes)) throw refusal.toError();
    for (let index = 0; index < batch.count; index++) {
      const done = requests.create(batchBytes, batch.starts[index], batch.ends[index]);
      if (!done) throw refusal.toError();
    }
  };
  decode();
  return [
    { name: 'codec/session/decode', unit: 'ns/op', each: 1, run: decode },
    { name: 'codec/session/encode', unit: 'ns/op', each: 1, run: encode },
    { name: 'codec/sdf/parse', unit: 'ns/op', each: texts.length, run: parse },
    { name: 'codec/batch16/decode', unit: 'ns/op', each: 1, run: decodeBatch },
    {
      name: 'codec/session/decode-protobufjs',
      unit: 'ns/op',
      each: 1,
      run: () => void decodeMessage('Session', bytes),
    },
  ];
}
