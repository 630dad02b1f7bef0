/** For tests: an endpoint on a network in memory, with sessions that are only counted, and SMFs. */
import { loadConfig } from '../base/config/config.js';
import type { N4Config } from '../base/config/n4.js';
import { silentLog } from '../base/log.js';
import { MemoryStore, MemoryStoreContents } from '../store/memory.js';
import * as Cause from './codec/cause.js';
import * as Ie from './codec/ie.js';
import { MessageReader } from './codec/message-reader.js';
import * as Message from './codec/message-type.js';
import { MessageWriter } from './codec/message-writer.js';
import { FSeid, readFSeid } from './codec/values/f-seid.js';
import { nodeIdValue } from './codec/values/node-id.js';
import { Endpoint } from './endpoint.js';
import type { CpFSeidView } from './inbound.js';
import { nodeIdentity } from './node/node-identity.js';
import type { Peer } from './peer.js';
import type { PeerAddress } from './peers/peer-address.js';
import type { Scheduler } from './scheduler.js';
import type { SessionHandlers } from './session-handlers.js';
import type { Transaction } from './transaction.js';
import { ADDRESS_WORDS, addressText, readAddress } from './transport/address-words.js';
import { FakeClock, FakeNetwork, type FakeTransport } from './transport/fake-network.fixture.js';
import {
  type DatagramTransport,
  RECEIVED_WORDS,
  WORD_LENGTH,
  WORD_OFFSET,
} from './transport/transport.js';

export const UPF = '10.0.0.1:8805';
export const UPF_STAMP = 1_700_000_000;
const NTP_EPOCH_S = 2_208_988_800;

/** A scheduler whose callbacks die with the process that it stands for. */
export function schedulerOf(clock: FakeClock, isAlive = () => true): Scheduler {
  const after = (ms: number, run: () => void) => {
    clock.after(ms, () => {
      if (isAlive()) run();
    });
  };
  return { now: clock.now, after, defer: (run) => after(0, run) };
}

/**
 * Sessions as pairs of SEIDs by owner: what the endpoint has done to them can be seen. The same
 * CP F-SEID established again replaces, as in the real handlers.
 */
export class CountedSessions implements SessionHandlers {
  /** Owner → SEID of the CP → SEID of the node. */
  readonly byOwner = new Map<string, Map<number, number>>();
  /** Times that a peer provisioned PFDs. */
  applicationChanges = 0;
  readonly reporting = new Set<string>();
  /** SEID of the node → IPv4 address of the CP F-SEID. */
  readonly #cpAddresses = new Map<number, number>();
  /** Requests that were served. */
  served = 0;
  /** Milliseconds of the clock that serving, and giving up all sessions of a peer, take. */
  serviceMs = 0;
  purgeMs = 0;
  sessionsMax = Number.POSITIVE_INFINITY;
  /** Grows when the node is killed: what was under way is not done. */
  life = 0;
  /** Is told of each request before it is served. */
  onRequest: (peer: Peer, reader: MessageReader) => void = () => {};
  #next = 1;
  readonly #cp = new FSeid();
  readonly #writer = new MessageWriter();

  constructor(private readonly clock: FakeClock) {}

  of(owner: string): Map<number, number> {
    const found = this.byOwner.get(owner) ?? new Map<number, number>();
    this.byOwner.set(owner, found);
    return found;
  }
  ownerOf(seid: number): string {
    for (const [owner, sessions] of this.byOwner) {
      for (const up of sessions.values()) if (up === seid) return owner;
    }
    return '';
  }

  cpFSeidOf(owner: string, seid: number): CpFSeidView | undefined {
    const words = new Uint32Array(ADDRESS_WORDS);
    words[0] = this.#cpAddresses.get(seid) ?? 0;
    for (const [low, up] of this.of(owner)) {
      if (up === seid) return { low, high: 0, address: addressText(4, words, 0) };
    }
    return undefined;
  }

  handle(transaction: Transaction, reader: MessageReader): void {
    this.served++;
    const { seidLow } = reader;
    const { messageType, peer } = transaction;
    this.onRequest(peer, reader);
    const isNew = messageType === Message.SessionEstablishmentRequest;
    if (isNew) readFSeid(reader, reader.find(-1, Ie.FSeid), this.#cp);
    const cpSeid = isNew ? this.#cp.seidLow : 0;
    const { ipv4 } = this.#cp;
    const answer = () => {
      const up = isNew ? this.#establish(peer, cpSeid, ipv4) : seidLow;
      const cause = isNew && up === 0 ? Cause.NoResources : this.#do(peer, messageType, up);
      this.#writer.begin(messageType + 1, true, cpSeid, 0);
      this.#writer.cause(cause);
      if (isNew) this.#writer.fSeid(up, 0, true, 0x0a000001, false, new Uint32Array(4));
      transaction.answer(this.#writer);
    };
    this.#after(this.serviceMs, answer);
  }

  divide(): Promise<number> {
    return new Promise((resolve) => {
      this.#after(this.serviceMs, () => resolve(this.#next));
    });
  }
  deleteAll(peer: Peer, before: number, retained: readonly PeerAddress[] = []): Promise<number> {
    return new Promise((resolve) => {
      const clear = () => {
        const sessions = this.of(peer.owner);
        const { size } = sessions;
        for (const [cpSeid, up] of sessions) {
          if (up < before && !this.#isRetained(up, retained)) sessions.delete(cpSeid);
        }
        resolve(size - sessions.size);
      };
      this.#after(this.purgeMs, clear);
    });
  }
  hasSessions(peer: Peer): boolean {
    for (const up of this.of(peer.owner).values()) {
      if (up >= peer.givenUpBefore || this.#isRetained(up, peer.retained)) return true;
    }
    return false;
  }
  deleteSets(): Promise<number> {
    return Promise.resolve(0);
  }
  applicationsChanged(): void {
    this.applicationChanges++;
  }
  startReports(peer: Peer): { stop(): void } {
    this.reporting.add(peer.owner);
    return { stop: () => this.reporting.delete(peer.owner) };
  }

  #after(ms: number, run: () => void): void {
    const { life } = this;
    if (ms === 0) run();
    else {
      this.clock.after(ms, () => {
        if (life === this.life) run();
      });
    }
  }

  #isRetained(up: number, retained: readonly PeerAddress[]): boolean {
    return retained.some(({ words }) => words[0] === this.#cpAddresses.get(up));
  }

  #establish(peer: Peer, cpSeid: number, ipv4: number): number {
    const sessions = this.of(peer.owner);
    if (sessions.size >= this.sessionsMax && !sessions.has(cpSeid)) return 0;
    const up = this.#next++;
    sessions.set(cpSeid, up);
    this.#cpAddresses.set(up, ipv4);
    return up;
  }

  #do(peer: Peer, messageType: number, seid: number): number {
    for (const [cpSeid, up] of this.of(peer.owner)) {
      if (up !== seid) continue;
      if (messageType === Message.SessionDeletionRequest) this.of(peer.owner).delete(cpSeid);
      return Cause.Accepted;
    }
    return Cause.SessionNotFound;
  }
}

/** One answer, as it came. */
export interface Received {
  readonly type: number;
  readonly sequence: number;
  /** 0: it has none. */
  readonly cause: number;
  readonly hex: string;
}

/** A CP function that sends what it is told, and answers heartbeats. */
export class FakeSmf {
  readonly received: Received[] = [];
  /** Seconds since 1970. */
  stamp = UPF_STAMP - 1000;
  answersHeartbeats = true;
  sequence = 0;
  cpSeid = 6;
  /** Of its F-SEIDs. */
  cpAddress = 0x0a000002;
  readonly writer = new MessageWriter();
  readonly #reader = new MessageReader();
  readonly #to = new Uint32Array(ADDRESS_WORDS);

  constructor(
    readonly transport: DatagramTransport,
    public nodeId: string,
    private readonly upf = { host: '10.0.0.1', port: 8805 },
  ) {
    readAddress(upf.host, this.#to, 0);
    transport.onReadable(() => this.#receive());
  }

  /** Sends the message that was begun; its bytes, so that it can be sent again. */
  send(sequence = ++this.sequence): Uint8Array {
    this.writer.finish(sequence);
    const bytes = this.writer.bytes.slice(0, this.writer.length);
    this.repeat(bytes);
    return bytes;
  }
  repeat(bytes: Uint8Array): void {
    this.transport.send(0, 4, this.#to, 0, this.upf.port, bytes, 0, bytes.length);
  }

  heartbeat(): void {
    this.writer.begin(Message.HeartbeatRequest, false);
    this.writer.recoveryTimeStamp(this.stamp);
    this.send();
  }
  /** @param more  further elements, in hexadecimal digits. */
  setUp(cpFeatures = 0, more = ''): Uint8Array {
    const elements = Buffer.from(more, 'hex');
    this.writer.begin(Message.AssociationSetupRequest, false);
    this.writer.nodeId(nodeIdValue(this.nodeId)!);
    this.writer.recoveryTimeStamp(this.stamp);
    if (cpFeatures !== 0) this.writer.flags(Ie.CpFunctionFeatures, cpFeatures, 1);
    this.writer.elements(elements, 0, elements.length);
    return this.send();
  }
  release(): Uint8Array {
    this.writer.begin(Message.AssociationReleaseRequest, false);
    this.writer.nodeId(nodeIdValue(this.nodeId)!);
    return this.send();
  }
  modify(seid: number): Uint8Array {
    this.writer.begin(Message.SessionModificationRequest, true, seid, 0);
    return this.send();
  }
  /** What the codec demands of one; these sessions look at nothing. */
  establish(cpSeid = ++this.cpSeid): Uint8Array {
    const { writer } = this;
    writer.begin(Message.SessionEstablishmentRequest, true);
    writer.nodeId(nodeIdValue(this.nodeId)!);
    writer.fSeid(cpSeid, 0, true, this.cpAddress, false, new Uint32Array(4));
    writer.open(Ie.CreatePdr);
    writer.u16(Ie.PdrId, 1);
    writer.u32(Ie.Precedence, 255);
    writer.open(Ie.Pdi);
    writer.u8(Ie.SourceInterface, 0);
    writer.close();
    writer.u32(Ie.FarId, 1);
    writer.close();
    writer.open(Ie.CreateFar);
    writer.u32(Ie.FarId, 1);
    writer.u8(Ie.ApplyAction, 1);
    writer.close();
    return this.send();
  }
  delete(seid: number): Uint8Array {
    this.writer.begin(Message.SessionDeletionRequest, true, seid, 0);
    return this.send();
  }

  #receive(): void {
    const { transport } = this;
    for (let count = transport.receive(); count > 0; count = transport.receive()) {
      for (let i = 0; i < count; i++) this.#take(i * RECEIVED_WORDS);
      transport.release();
    }
  }

  #take(at: number): void {
    const { words, bytes } = this.transport;
    const start = words[at + WORD_OFFSET]!;
    const end = start + words[at + WORD_LENGTH]!;
    const reader = this.#reader;
    reader.read(bytes, start, end);
    const { messageType, sequence } = reader;
    if (messageType === Message.HeartbeatRequest && this.answersHeartbeats) {
      this.writer.begin(Message.HeartbeatResponse, false);
      this.writer.recoveryTimeStamp(this.stamp);
      this.send(sequence);
    }
    const cause = reader.find(-1, Ie.Cause);
    const hex = Buffer.from(bytes.subarray(start, end)).toString('hex');
    this.received.push({
      type: messageType,
      sequence,
      cause: cause < 0 ? 0 : reader.u8(cause),
      hex,
    });
  }

  /** Answers of that type, and forgets them. */
  take(type: number): Received[] {
    const taken = this.received.filter((one) => one.type === type);
    const left = this.received.filter((one) => one.type !== type);
    this.received.splice(0, this.received.length, ...left);
    return taken;
  }
}

/** Endpoint, network and clock; the store outlives endpoints. */
export class Bed {
  readonly clock = new FakeClock();
  readonly network: FakeNetwork;
  readonly sessions: CountedSessions;
  contents = new MemoryStoreContents();
  readonly config: N4Config;
  readonly log = silentLog();
  transport!: FakeTransport;
  endpoint!: Endpoint;
  stamp = UPF_STAMP;

  constructor(keys: Partial<N4Config> = {}, seed = 1) {
    this.network = new FakeNetwork(this.clock, seed);
    this.sessions = new CountedSessions(this.clock);
    this.config = { ...loadConfig(undefined).n4, replyCacheBytes: 1024 * 1024, ...keys };
    this.open();
  }

  /** Starts the node, also once more after {@link kill}. */
  open(): void {
    this.transport = this.network.open(UPF);
    const { life } = this.sessions;
    this.endpoint = new Endpoint({
      config: this.config,
      transport: this.transport,
      scheduler: schedulerOf(this.clock, () => life === this.sessions.life),
      store: new MemoryStore(this.contents),
      sessions: this.sessions,
      log: this.log,
      identity: nodeIdentity('10.0.0.1', this.transport.addresses(), this.stamp),
      sessionsMax: 1000,
      sessionCount: () => 0,
      sessionCountOf: (owner) => this.sessions.of(owner).size,
      ownerOf: (low) => this.sessions.ownerOf(low),
      cpFSeidOf: (owner, low) => this.sessions.cpFSeidOf(owner, low),
      wallMs: () => UPF_STAMP * 1000 + this.clock.nowMs,
      firstSequence: 100,
    });
    this.endpoint.start();
  }

  /** The process is gone, as if killed. */
  async kill(): Promise<void> {
    this.sessions.life++;
    await this.transport.close();
  }
  /** Killed, and the store is lost with all that was in it. */
  async lose(): Promise<void> {
    await this.kill();
    this.contents = new MemoryStoreContents();
    this.sessions.byOwner.clear();
    this.stamp++;
  }

  smf(listen: string, nodeId?: string): FakeSmf {
    return new FakeSmf(this.network.open(listen), nodeId ?? listen.split(':')[0]!);
  }

  /** Time passes; promises settle in between. */
  async run(ms = 10, step = 5): Promise<void> {
    for (let left = ms; left > 0; left -= step) {
      this.clock.advance(Math.min(step, left));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/** A node, and a CP function whose association is answered; what that says is forgotten. */
export async function associated(keys: Partial<N4Config> = {}, features = 0) {
  const bed = new Bed(keys);
  const smf = bed.smf('10.0.0.2:8805');
  smf.setUp(features);
  await bed.run(20);
  const answers = smf.take(Message.AssociationSetupResponse);
  if (answers.length !== 1 || answers[0]!.cause !== Cause.Accepted)
    throw new Error('no association');
  return { bed, smf };
}

export const ntp = (unixSeconds: number): number => (unixSeconds + NTP_EPOCH_S) >>> 0;
