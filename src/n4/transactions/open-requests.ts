/**
 * Requests of ours that wait for their response: retransmitted after T1, N1 times in all. A
 * sequence number is also the place of its request, so that nothing is searched. Messages lie
 * in chunks that come as they are needed. Thread: the control thread.
 */
import type { TimerWheel } from './timer-wheel.js';

/** Requests under way at one time; further ones are refused. */
export const REQUESTS_MAX = 16_384;
const MASK = REQUESTS_MAX - 1;
const SEQUENCE_MASK = 0xff_ffff;
/** Of a request of ours. */
export const MESSAGE_BYTES_MAX = 1408;
const CHUNK_REQUESTS = 256;

export interface RequestHost<P, A> {
  /** Sends the message once more, or the first time: `attempt` counts from 0. */
  transmit(
    peer: P,
    to: A | undefined,
    attempt: number,
    bytes: Uint8Array,
    start: number,
    length: number,
  ): void;
  gaveUp(peer: P, messageType: number): void;
}

export interface RequestTimes {
  readonly t1Ms: number;
  /** Transmissions in all. */
  readonly n1: number;
}

/** `answered` false: the request was given up. */
type Listener = (answered: boolean, isElsewhere: boolean) => void;

/** @typeParam A  of addresses that requests are for, where that is not the peer's own one. */
export class OpenRequests<P extends object, A extends object> {
  readonly #peers: (P | undefined)[] = new Array<P | undefined>(REQUESTS_MAX).fill(undefined);
  readonly #addresses: (A | undefined)[] = new Array<A | undefined>(REQUESTS_MAX).fill(undefined);
  readonly #listeners: (Listener | undefined)[] = new Array<Listener | undefined>(
    REQUESTS_MAX,
  ).fill(undefined);
  readonly #sequences = new Uint32Array(REQUESTS_MAX);
  readonly #types = new Uint8Array(REQUESTS_MAX);
  readonly #attempts = new Uint8Array(REQUESTS_MAX);
  readonly #lengths = new Uint16Array(REQUESTS_MAX);
  readonly #chunks: Uint8Array[] = [];
  #next: number;
  #count = 0;

  /** @param firstSequence  random, so that an earlier run's responses are not taken for ours */
  constructor(
    private readonly wheel: Pick<TimerWheel, 'set' | 'cancel'>,
    /** Of the wheel's ids: of place n it is n × step + first. */
    private readonly timer: { readonly first: number; readonly step: number },
    private readonly times: RequestTimes,
    private readonly host: RequestHost<P, A>,
    firstSequence: number,
  ) {
    this.#next = firstSequence & SEQUENCE_MASK;
  }

  get count(): number {
    return this.#count;
  }

  /** The sequence number that {@link send} is to be given; -1: too many are under way. */
  reserve(): number {
    if (this.#count >= REQUESTS_MAX) return -1;
    while (this.#peers[this.#next & MASK] !== undefined || this.#next === 0) this.#advance();
    const sequence = this.#next;
    this.#advance();
    return sequence;
  }

  /** Sends a message that carries a reserved number, and keeps it for retransmission. */
  send(
    peer: P,
    to: A | undefined,
    sequence: number,
    bytes: Uint8Array,
    start: number,
    length: number,
    nowMs: number,
    listener: Listener,
  ): void {
    const place = sequence & MASK;
    const chunk = this.#chunk(place);
    const at = (place % CHUNK_REQUESTS) * MESSAGE_BYTES_MAX;
    chunk.set(bytes.subarray(start, start + length), at);
    this.#peers[place] = peer;
    this.#addresses[place] = to;
    this.#listeners[place] = listener;
    this.#sequences[place] = sequence;
    this.#types[place] = bytes[start + 1]!;
    this.#attempts[place] = 0;
    this.#lengths[place] = length;
    this.#count++;
    this.host.transmit(peer, to, 0, chunk, at, length);
    this.wheel.set(this.#timer(place), nowMs + this.times.t1Ms);
  }

  /** Place of the request that a response answers, whoever sent it; -1: there is none such. */
  find(sequence: number, responseType: number): number {
    const place = sequence & MASK;
    const found =
      this.#peers[place] !== undefined &&
      this.#sequences[place] === sequence &&
      this.#types[place] === responseType - 1;
    return found ? place : -1;
  }
  peerAt(place: number): P {
    return this.#peers[place]!;
  }
  addressAt(place: number): A | undefined {
    return this.#addresses[place];
  }
  /** Ends the request, and returns its listener. */
  take(place: number): Listener {
    const listener = this.#listeners[place]!;
    this.#end(place);
    return listener;
  }

  /** A timer of the wheel went off. */
  expired(timer: number, nowMs: number): void {
    const place = (timer - this.timer.first) / this.timer.step;
    const peer = this.#peers[place];
    if (peer === undefined) return;
    const attempt = this.#attempts[place]! + 1;
    if (attempt >= this.times.n1) {
      const listener = this.#listeners[place]!;
      const type = this.#types[place]!;
      this.#end(place);
      this.host.gaveUp(peer, type);
      listener(false, false);
      return;
    }
    this.#attempts[place] = attempt;
    const at = (place % CHUNK_REQUESTS) * MESSAGE_BYTES_MAX;
    const to = this.#addresses[place];
    this.host.transmit(peer, to, attempt, this.#chunk(place), at, this.#lengths[place]!);
    this.wheel.set(timer, nowMs + this.times.t1Ms);
  }

  /** Gives up what waits for this peer. */
  abandon(peer: P): void {
    for (let place = 0; this.#count > 0 && place < REQUESTS_MAX; place++) {
      if (this.#peers[place] !== peer) continue;
      const listener = this.#listeners[place]!;
      this.#end(place);
      listener(false, false);
    }
  }

  #end(place: number): void {
    this.#peers[place] = undefined;
    this.#addresses[place] = undefined;
    this.#listeners[place] = undefined;
    this.#count--;
    this.wheel.cancel(this.#timer(place));
  }

  #timer(place: number): number {
    return place * this.timer.step + this.timer.first;
  }

  #advance(): void {
    this.#next = (this.#next + 1) & SEQUENCE_MASK;
  }

  #chunk(place: number): Uint8Array {
    const index = Math.floor(place / CHUNK_REQUESTS);
    this.#chunks[index] ??= new Uint8Array(CHUNK_REQUESTS * MESSAGE_BYTES_MAX);
    return this.#chunks[index];
  }
}
