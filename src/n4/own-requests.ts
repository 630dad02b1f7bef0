/**
 * Requests of ours: numbered, sent to where the peer is, retransmitted, and matched with their
 * responses. Thread: the control thread.
 */
import type { MessageReader } from './codec/message-reader.js';
import type { MessageWriter } from './codec/message-writer.js';
import type { PeerHost, PeerState } from './peers/peer-state.js';
import type { Scheduler } from './scheduler.js';
import type { N4Counters } from './statistics.js';
import {
  MESSAGE_BYTES_MAX,
  OpenRequests,
  type RequestHost,
  type RequestTimes,
} from './transactions/open-requests.js';
import type { WheelAlarm } from './transactions/wheel-alarm.js';
import type { DatagramTransport } from './transport/transport.js';

type Done = (response: MessageReader | undefined) => void;

export interface OwnRequestsParts {
  readonly transport: DatagramTransport;
  readonly scheduler: Scheduler;
  readonly counters: N4Counters;
  readonly wheel: WheelAlarm;
  readonly times: RequestTimes;
  /** Of the wheel's ids: of request n it is n × step + first. */
  readonly timer: { readonly first: number; readonly step: number };
  readonly firstSequence: number;
  /** What the responses are read by. */
  readonly reader: MessageReader;
  readonly flushSoon: () => void;
}

export class OwnRequests implements PeerHost, RequestHost<PeerState> {
  readonly #open: OpenRequests<PeerState>;

  constructor(private readonly parts: OwnRequestsParts) {
    const { wheel, timer, times, firstSequence } = parts;
    this.#open = new OpenRequests(wheel, timer, times, this, firstSequence);
  }

  get count(): number {
    return this.#open.count;
  }

  request(peer: PeerState, writer: MessageWriter, done: Done): void {
    const { scheduler, reader } = this.parts;
    const sequence = peer.addresses.length === 0 ? -1 : this.#open.reserve();
    if (sequence < 0 || !writer.finish(sequence) || writer.length > MESSAGE_BYTES_MAX) {
      scheduler.defer(() => done(undefined));
      return;
    }
    peer.counts.sent[writer.bytes[1]! & 63]!++;
    const now = scheduler.now();
    this.#open.send(peer, sequence, writer.bytes, 0, writer.length, now, (answered) =>
      done(answered ? reader : undefined),
    );
  }

  /** The response in the reader, from an address of these peers; false: it is nobody's. */
  respond(peers: readonly PeerState[], port: number): boolean {
    const { reader } = this.parts;
    for (const peer of peers) {
      const listener = this.#open.take(peer, reader.sequence, reader.messageType);
      if (listener === undefined) continue;
      peer.counts.received[reader.messageType & 63]!++;
      peer.answered(port);
      listener(true);
      return true;
    }
    return false;
  }

  /** A timer of the wheel went off. */
  expired(timer: number): void {
    this.#open.expired(timer, this.parts.scheduler.now());
  }

  /** Gives up what waits for this peer. */
  abandon(peer: PeerState): void {
    this.#open.abandon(peer);
  }

  transmit(
    peer: PeerState,
    attempt: number,
    bytes: Uint8Array,
    start: number,
    length: number,
  ): void {
    const to = peer.addresses[0];
    if (to === undefined) return;
    if (attempt > 0) peer.counts.retransmitted++;
    const port = peer.portFor(bytes[start + 1]!, attempt);
    const { transport } = this.parts;
    transport.send(
      this.#localOf(peer, to.family),
      to.family,
      to.words,
      0,
      port,
      bytes,
      start,
      length,
    );
    this.parts.flushSoon();
  }

  /** The socket that the peer talks to, unless the configuration has changed since. */
  #localOf(peer: PeerState, family: number): number {
    const local = this.parts.transport.addresses();
    if (local[peer.local]?.family === family) return peer.local;
    return Math.max(
      0,
      local.findIndex((one) => one.family === family),
    );
  }

  gaveUp(peer: PeerState): void {
    peer.gaveUp();
    this.parts.counters.unanswered++;
  }
}
