/**
 * The whole of N4, from the datagram to the session engine, under messages that are wrong in
 * every way: nothing throws, every request that has an answer coming gets exactly one, each
 * answer is well-formed, and when the peer has gone, so is everything that it made. Packet path,
 * store, network and clock are in memory. One seed is one run. Start at FuzzRun.play().
 */
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { loadConfig } from '../../src/base/config/config.js';
import { silentLog } from '../../src/base/log.js';
import { messageArbitrary } from '../../src/n4/codec/arbitrary.fixture.js';
import { describeMessage, encodeMessage } from '../../src/n4/codec/describe.js';
import { HEADER_OK, MessageReader } from '../../src/n4/codec/message-reader.js';
import * as Message from '../../src/n4/codec/message-type.js';
import { readerFaults } from '../../src/n4/codec/reader-faults.fixture.js';
import { establishmentRequest } from '../../src/n4/codec/sample.fixture.js';
import { messages } from '../../src/n4/codec/table/table.js';
import { open5gsMessages } from '../../src/n4/codec/vectors.fixture.js';
import { schedulerOf } from '../../src/n4/endpoint.fixture.js';
import { Endpoint } from '../../src/n4/endpoint.js';
import { nodeIdentity } from '../../src/n4/node/node-identity.js';
import { cpFSeidAt, ownerOf } from '../../src/n4/open-n4.js';
import { requestsOn } from '../../src/n4/session/session.fixture.js';
import {
  FakeClock,
  FakeNetwork,
  type FakeTransport,
  seededRandom,
} from '../../src/n4/transport/fake-network.fixture.js';
import { RECEIVED_WORDS, WORD_LENGTH, WORD_OFFSET } from '../../src/n4/transport/transport.js';
import { type Bench, footprint, startEngine } from '../../src/session/engine.fixture.js';
import { Mutator } from './mutate.js';

const UPF_WORDS = Uint32Array.of(0x0a000001, 0, 0, 0);
const PORT = 8805;
const SMF = { 'Node ID': { type: 'IPv4', ipv4: '10.0.0.2' } } as const;
/** Requests between looks at what the peer has left behind. */
const ROUND = 250;
const ANSWER_MS = 40;
const REQUESTS_OF_UPF: readonly number[] = [
  Message.HeartbeatRequest,
  Message.NodeReportRequest,
  Message.SessionReportRequest,
];
const REQUESTS_SERVED = [1, 3, 5, 7, 9, 14, 16, 50, 52, 54];

export interface FuzzCounts {
  requests: number;
  answers: number;
  accepted: number;
  /** By cause. */
  readonly causes: Map<number, number>;
}

export class FuzzFailure extends Error {}

export class FuzzRun {
  readonly counts: FuzzCounts = { requests: 0, answers: 0, accepted: 0, causes: new Map() };
  private readonly clock = new FakeClock();
  private readonly smf: FakeTransport;
  private readonly mutator: Mutator;
  private readonly reader = new MessageReader();
  private readonly header = new MessageReader();
  private readonly endpoint: Endpoint;
  private readonly corpus: Uint8Array[] = [];
  /** Sequences of requests that wait for their answers. */
  private readonly open = new Map<number, Uint8Array>();
  private readonly seids: Uint8Array[] = [];
  private sequence = 0;

  private constructor(
    seed: number,
    private readonly bench: Bench,
  ) {
    this.mutator = new Mutator(seededRandom(seed));
    const network = new FakeNetwork(this.clock, seed);
    const transport = network.open(`10.0.0.1:${PORT}`);
    this.smf = network.open(`10.0.0.2:${PORT}`);
    const { engine, store } = bench;
    this.endpoint = new Endpoint({
      config: { ...loadConfig(undefined).n4, replyCacheBytes: 1 << 20, heartbeatSeconds: 0 },
      transport,
      scheduler: schedulerOf(this.clock),
      store,
      sessions: requestsOn(engine),
      log: silentLog(),
      identity: nodeIdentity('10.0.0.1', transport.addresses(), 1_700_000_000),
      sessionsMax: 10_000,
      sessionCount: () => engine.count,
      sessionCountOf: (owner) => engine.countOf(owner),
      ownerOf: (low, high) => ownerOf(engine, low, high),
      cpFSeidOf: (owner, low, high) => cpFSeidAt(engine, owner, low, high),
    });
    this.endpoint.start();
    this.fillCorpus(seed);
  }

  /** @throws FuzzFailure that says which message did what. */
  static async play(seed: number, steps: number): Promise<FuzzCounts> {
    const run = new FuzzRun(seed, await startEngine());
    const baseline = footprint(run.bench);
    for (let step = 0; step < steps; step += ROUND) {
      await run.associate();
      for (let i = 0; i < Math.min(ROUND, steps - step); i++) await run.step();
      await run.release();
      const left = footprint(run.bench);
      if (JSON.stringify(left) !== JSON.stringify(baseline)) {
        throw new FuzzFailure(
          `left behind: ${JSON.stringify(left)}, not ${JSON.stringify(baseline)}`,
        );
      }
    }
    await run.endpoint.close();
    return run.counts;
  }

  private fillCorpus(seed: number): void {
    const requests = messages.filter(({ type }) => REQUESTS_SERVED.includes(type));
    for (const row of requests) {
      const made = fc.sample(messageArbitrary(row), { numRuns: 5, seed });
      this.corpus.push(...made.map(encodeMessage));
    }
    this.corpus.push(...open5gsMessages().filter((bytes) => REQUESTS_SERVED.includes(bytes[1]!)));
    for (let i = 0; i < 20; i++) this.corpus.push(establishmentRequest());
  }

  private async step(): Promise<void> {
    const { mutator, corpus } = this;
    const base = corpus[mutator.below(corpus.length)]!.slice();
    const isChange = base[1] === 52 || base[1] === 54;
    if (isChange && this.seids.length > 0)
      base.set(this.seids[mutator.below(this.seids.length)]!, 4);
    const bytes = mutator.below(8) === 0 ? base : mutator.mutate(base);
    // A release or a set-up in between is one of its own.
    if (bytes[1] === Message.AssociationReleaseRequest) bytes[1] = 1;
    await this.ask(bytes);
  }

  /** Sends a request with a sequence of its own, and waits for what comes of it. */
  private async ask(bytes: Uint8Array): Promise<void> {
    const sequence = ++this.sequence & 0xffffff;
    const at = (bytes[0]! & 1) !== 0 ? 12 : 4;
    if (bytes.length >= at + 4) bytes.set([sequence >>> 16, sequence >>> 8, sequence], at);
    const answered =
      this.header.header(bytes, 0, bytes.length) === HEADER_OK &&
      REQUESTS_SERVED.includes(bytes[1]!);
    if (answered) {
      this.open.set(sequence, bytes);
      this.counts.requests++;
    }
    this.smf.send(0, 4, UPF_WORDS, 0, PORT, bytes, 0, bytes.length);
    this.smf.flush();
    for (let turn = 0; turn < ANSWER_MS && (turn < 3 || this.open.size > 0); turn++) {
      this.clock.advance(1);
      await setImmediate();
      this.receive();
    }
    if (this.open.size > 0) throw new FuzzFailure(`no answer to ${hexOf(bytes)}`);
  }

  private receive(): void {
    const { smf } = this;
    for (let count = smf.receive(); count > 0; count = smf.receive()) {
      for (let i = 0; i < count; i++) {
        const start = smf.words[i * RECEIVED_WORDS + WORD_OFFSET]!;
        this.take(smf.bytes.slice(start, start + smf.words[i * RECEIVED_WORDS + WORD_LENGTH]!));
      }
      smf.release();
    }
  }

  private take(bytes: Uint8Array): void {
    const { reader, counts } = this;
    if (!reader.read(bytes, 0, bytes.length) || readerFaults(reader).length > 0) {
      throw new FuzzFailure(`malformed: ${hexOf(bytes)}`);
    }
    // Never answered: it is given up.
    if (REQUESTS_OF_UPF.includes(reader.messageType)) return;
    const request = this.open.get(reader.sequence);
    if (request === undefined) throw new FuzzFailure(`an answer to nothing: ${hexOf(bytes)}`);
    if (request[1]! + 1 !== bytes[1]) {
      throw new FuzzFailure(`${hexOf(bytes)} is no answer to ${hexOf(request)}`);
    }
    this.open.delete(reader.sequence);
    counts.answers++;
    const { Cause: cause, 'F-SEID': fSeid } = describeMessage(bytes)!.elements;
    if (cause === 'Request accepted') {
      counts.accepted++;
      const { seid } = (fSeid ?? {}) as { seid?: string };
      if (seid !== undefined) this.seids.push(Buffer.from(seid.slice(2), 'hex'));
    }
    const index = reader.find(-1, 19);
    const value = index < 0 ? 0 : reader.u8(index);
    counts.causes.set(value, (counts.causes.get(value) ?? 0) + 1);
  }

  private async associate(): Promise<void> {
    const elements = { ...SMF, 'Recovery Time Stamp': '2026-01-01T00:00:00Z' };
    await this.ask(encodeMessage({ message: 'Association Setup Request', elements }));
  }

  private async release(): Promise<void> {
    // Others may have been made by set-ups that were changed: each has to go.
    for (const peer of this.endpoint.peers()) {
      const ipv4 = /^\d+\.\d+\.\d+\.\d+$/.test(peer.nodeId);
      const ipv6 = peer.nodeId.includes(':');
      const node = ipv4
        ? { type: 'IPv4', ipv4: peer.nodeId }
        : ipv6
          ? { type: 'IPv6', ipv6: peer.nodeId }
          : { type: 'FQDN', fqdn: peer.nodeId };
      const elements = { 'Node ID': node };
      await this.ask(encodeMessage({ message: 'Association Release Request', elements }));
    }
    this.seids.length = 0;
  }
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
