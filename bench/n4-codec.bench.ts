/**
 * The control thread's work on one PFCP Session Establishment Request of usual size (2 PDRs,
 * 2 FARs, 1 QER, 1 URR): `establish` reads it, compiles and checks the session's record, chooses
 * what was left open, and writes the answer; `decode` reads it only; `modify` merges a handover
 * into the session and compiles it anew. The reference turns the same octets into objects. Each
 * figure is the best of many short cycles, as the neighbours of a shared core only ever add.
 */
import { MODEL_LIMITS } from '../src/model/session-decode.js';
import { describeMessage, encodeMessage } from '../src/n4/codec/describe.js';
import { MessageReader } from '../src/n4/codec/message-reader.js';
import type { MessageWriter } from '../src/n4/codec/message-writer.js';
import { establishmentRequest } from '../src/n4/codec/sample.fixture.js';
import { nodeIdentity } from '../src/n4/node/node-identity.js';
import { FakePeer } from '../src/n4/session/session.fixture.js';
import { SessionAnswers } from '../src/n4/session/session-answers.js';
import { SessionChanges } from '../src/n4/session/session-changes.js';
import type { Transaction } from '../src/n4/transaction.js';
import { AdvertisedAddresses } from '../src/session/advertised-addresses.js';
import { startEngine } from '../src/session/engine.fixture.js';
import { type BenchOptions, type Report, summarize } from './report/report.js';

export const families = ['n4/codec/'];
const cycleOperations = 50;
const runMs = { quick: 200, full: 1000 };
const establishmentType = 50;

export default async function n4CodecBench(report: Report, options: BenchOptions): Promise<void> {
  for (const [name, run] of await cases()) {
    if (!options.wanted(name)) continue;
    run();
    const runs = options.quick ? 1 : 5;
    const values = Array.from({ length: runs }, () =>
      bestCycleUs(run, options.quick ? runMs.quick : runMs.full),
    );
    report(summarize(name, 'µs/op', values));
  }
}

/** µs that an operation takes in the fastest of as many cycles as the time allows. */
function bestCycleUs(run: () => void, ms: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (const endMs = performance.now() + ms; performance.now() < endMs; ) {
    const startedMs = performance.now();
    for (let operation = 0; operation < cycleOperations; operation++) run();
    best = Math.min(best, ((performance.now() - startedMs) * 1000) / cycleOperations);
  }
  return best;
}

async function cases(): Promise<[string, () => void][]> {
  const bytes = establishmentRequest();
  const reader = new MessageReader();
  const { engine } = await startEngine();
  const { choices, table } = engine;
  const advertised = new AdvertisedAddresses([]);
  const changes = new SessionChanges(engine, MODEL_LIMITS, advertised);
  const answers = new SessionAnswers(nodeIdentity('10.0.0.2', [], 0), advertised);
  const peer = new FakePeer();
  const transaction: Transaction = {
    peer,
    messageType: establishmentType,
    sequence: 1,
    answer: (writer: MessageWriter) => writer.finish(1),
  };
  const record = { words: changes.record.words, start: 0 };

  const decode = () => {
    if (!reader.read(bytes, 0, bytes.length)) throw new Error(`cause ${reader.cause}`);
  };
  const establish = () => {
    decode();
    if (!changes.establish(peer, reader)) throw new Error(changes.refusal.message);
    const index = choices.takeSlot(record);
    if (!choices.choose(record, null)) throw new Error('nothing could be chosen');
    answers.established(transaction, record);
    choices.release(record, null);
    table.slots.free(index);
  };
  establish();
  const place = { words: record.words.slice(), start: 0 };
  const handover = handoverRequest();
  const modify = () => {
    if (!reader.read(handover, 0, handover.length)) throw new Error(`cause ${reader.cause}`);
    if (!changes.modify(peer, place, reader)) throw new Error(changes.refusal.message);
  };
  return [
    ['n4/codec/establish', establish],
    ['n4/codec/decode', decode],
    ['n4/codec/modify', modify],
    ['n4/codec/describe', () => void describeMessage(bytes)],
  ];
}

/** The downlink goes to another gNB. */
function handoverRequest(): Uint8Array {
  const header = { flags: ['GTPU4'], teid: '0x00005679', ipv4: '10.0.0.10' };
  const update = {
    'FAR ID': 2,
    'Apply Action': ['FORW'],
    'Update Forwarding Parameters': {
      'Destination Interface': 'Access',
      'Outer Header Creation': header,
    },
  };
  return encodeMessage({
    message: 'Session Modification Request',
    seid: '0x1',
    elements: { 'Update FAR': [update] },
  });
}
