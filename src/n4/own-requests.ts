/**
 * Requests of ours: numbered, sent to where the peer or its session is, retransmitted, and matched
 * with their responses. Thread: the control thread.
 */
import type { MessageReader } from './codec/message-reader.js';
import type { MessageWriter } from './codec/message-writer.js';
import type { ResponseListener } from './peer.js';
import { addressOf, type PeerAddress, sameAddress } from './peers/peer-address.js';
import { type PeerHost, type PeerState, PFCP_PORT } from './peers/peer-state.js';
import type { Scheduler } from './scheduler.js';
import type { N4Counters } from './statistics.js';
import {
  MESSAGE_BYTES_MAX,
  OpenRequests,
  type RequestHost,
  type RequestTimes,
} from './transactions/open-requests.js';
import type { WheelAlarm } from './transactions/wheel-alarm.js';
import { AllowList } from './transport/allow-list.js';
import {
  type DatagramTransport,
  WORD_ADDRESS,
  WORD_FAMILY,
  WORD_PORT,
} from './transport/transport.js';

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
  /** Prefixes of addresses that may be sent to beside those of peers; none: all. */
  readonly allow: readonly string[];
}

export class OwnRequests implements PeerHost, RequestHost<PeerState, PeerAddress> {
  readonly #open: OpenRequests<PeerState, PeerAddress>;
  readonly #allowed: AllowList;

  constructor(private readonly parts: OwnRequestsParts) {
    this.#allowed = new AllowList(parts.allow);
    const { wheel, timer, times, firstSequence } = parts;
    this.#open = new OpenRequests(wheel, timer, times, this, firstSequence);
  }

  get count(): number {
    return this.#open.count;
  }

  request(peer: PeerState, writer: MessageWriter, done: ResponseListener, to = ''): void {
    const { scheduler, reader } = this.parts;
    const sequence = peer.addresses.length === 0 ? -1 : this.#open.reserve();
    if (sequence < 0 || !writer.finish(sequence) || writer.length > MESSAGE_BYTES_MAX) {
      scheduler.defer(() => done(undefined, false));
      return;
    }
    peer.counts.sent[writer.bytes[1]! & 63]!++;
    const now = scheduler.now();
    const address = this.#elsewhere(peer, to);
    const { bytes, length } = writer;
    this.#open.send(peer, address, sequence, bytes, 0, length, now, (answered, isElsewhere) =>
      done(answered ? reader : undefined, isElsewhere),
    );
  }

  /** The address, if it is not the peer's own and may be sent to. */
  #elsewhere(peer: PeerState, to: string): PeerAddress | undefined {
    if (to === '' || to === peer.address) return undefined;
    const address = addressOf(to);
    if (address === undefined) return undefined;
    const { family, words } = address;
    const known = peer.hasAddress(family, words, 0) || this.#allowed.has(family, words, 0);
    const reached = this.parts.transport.addresses().some((one) => one.family === family);
    return known && reached ? address : undefined;
  }

  /**
   * Place of the request that the response in the reader answers, whose source words[at…]
   * describe; -1: it is nobody's.
   * @param from  peers with that address.
   */
  answeredBy(from: readonly PeerState[], words: Uint32Array, at: number): number {
    const { reader } = this.parts;
    const place = this.#open.find(reader.sequence, reader.messageType);
    if (place < 0) return -1;
    const isFrom = from.includes(this.#open.peerAt(place)) || this.#isFromThere(place, words, at);
    return isFrom ? place : -1;
  }

  /** Ends the request at that place with its response, and returns the peer. */
  respond(place: number, words: Uint32Array, at: number): PeerState {
    const { reader } = this.parts;
    const peer = this.#open.peerAt(place);
    const to = this.#open.addressAt(place);
    const isFromThere = this.#isFromThere(place, words, at);
    const listener = this.#open.take(place);
    peer.counts.received[reader.messageType & 63]!++;
    if (to !== undefined) peer.answeredFor(to, !isFromThere);
    if (!isFromThere) peer.answered(words[at + WORD_PORT]!);
    listener(true, to !== undefined && !isFromThere);
    return peer;
  }

  /** From the address that the request is for, if that is not the peer's own one. */
  #isFromThere(place: number, words: Uint32Array, at: number): boolean {
    const to = this.#open.addressAt(place);
    if (to === undefined) return false;
    return sameAddress(to, words[at + WORD_FAMILY]!, words, at + WORD_ADDRESS);
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
    elsewhere: PeerAddress | undefined,
    attempt: number,
    bytes: Uint8Array,
    start: number,
    length: number,
  ): void {
    const isThere = elsewhere !== undefined && peer.goesTo(elsewhere, attempt);
    const to = isThere ? elsewhere : peer.addresses[0];
    if (to === undefined) return;
    if (attempt > 0) peer.counts.retransmitted++;
    const port = isThere ? PFCP_PORT : peer.portFor(bytes[start + 1]!, attempt);
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

  /** The socket that the peer talks to, if it is of that family; unless the configuration has changed since. */
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
