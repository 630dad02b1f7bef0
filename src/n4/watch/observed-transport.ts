/** A transport that can be looked on at. Owner: the control thread. */

import { SluiceError } from '../../base/errors.js';
import * as Ie from '../codec/ie.js';
import * as Message from '../codec/message-type.js';
import { MessageWriter } from '../codec/message-writer.js';
import { addressText } from '../transport/address-words.js';
import {
  type DatagramTransport,
  FLAG_ANSWERED,
  RECEIVED_WORDS,
  WORD_ADDRESS,
  WORD_FAMILY,
  WORD_FLAGS,
  WORD_LENGTH,
  WORD_LOCAL,
  WORD_OFFSET,
  WORD_PORT,
  WORD_WAITED,
} from '../transport/transport.js';
import { DatagramWatch, type WatchedDatagram } from './datagram-watch.js';

/** Each costs the control thread what every message does; sessions have to get on beside them. */
const WATCHES_MAX = 8;

export class ObservedTransport implements DatagramTransport {
  readonly #watches = new Set<DatagramWatch>();
  readonly #writer = new MessageWriter();
  #recoveryTimeStamp = 0;

  constructor(private readonly inner: DatagramTransport) {}

  get words(): Uint32Array {
    return this.inner.words;
  }
  get bytes(): Uint8Array {
    return this.inner.bytes;
  }

  /** Datagrams from now on, until the watch is closed; refused when too many look on. */
  watch(wanted: (datagram: WatchedDatagram) => boolean): DatagramWatch {
    if (this.#watches.size >= WATCHES_MAX) {
      throw new SluiceError(
        'resource_exhausted',
        `${WATCHES_MAX} traces and captures of PFCP run, which is the limit; end one first`,
      );
    }
    const watch = new DatagramWatch(wanted, () => {
      this.#watches.delete(watch);
      this.inner.setObserved(this.#watches.size > 0);
    });
    this.#watches.add(watch);
    this.inner.setObserved(true);
    return watch;
  }

  receive(): number {
    const count = this.inner.receive();
    if (this.#watches.size > 0) {
      for (let i = 0; i < count; i++) this.#received(i * RECEIVED_WORDS);
    }
    return count;
  }

  send(
    local: number,
    family: number,
    address: Uint32Array,
    addressAt: number,
    port: number,
    bytes: Uint8Array,
    start: number,
    length: number,
  ): boolean {
    const queued = this.inner.send(local, family, address, addressAt, port, bytes, start, length);
    if (queued && this.#watches.size > 0) {
      const copy = bytes.slice(start, start + length);
      this.#show(nowMs(), true, local, family, address, addressAt, port, copy);
    }
    return queued;
  }

  release(): void {
    this.inner.release();
  }
  onReadable(listener: () => void): void {
    this.inner.onReadable(listener);
  }
  flush(): void {
    this.inner.flush();
  }
  setHeartbeat(recoveryTimeStamp: number): void {
    this.#recoveryTimeStamp = recoveryTimeStamp;
    this.inner.setHeartbeat(recoveryTimeStamp);
  }
  progress(): void {
    this.inner.progress();
  }
  setAllowed(prefixes: readonly string[]): void {
    this.inner.setAllowed(prefixes);
  }
  setPeers(addresses: readonly string[]): void {
    this.inner.setPeers(addresses);
  }
  setObserved(observed: boolean): void {
    this.inner.setObserved(observed || this.#watches.size > 0);
  }
  addresses() {
    return this.inner.addresses();
  }
  statistics() {
    return this.inner.statistics();
  }
  close(): Promise<void> {
    return this.inner.close();
  }

  #received(at: number): void {
    const { words, bytes } = this.inner;
    const start = words[at + WORD_OFFSET]!;
    const copy = bytes.slice(start, start + words[at + WORD_LENGTH]!);
    const local = words[at + WORD_LOCAL]!;
    const family = words[at + WORD_FAMILY]!;
    const port = words[at + WORD_PORT]!;
    const timeMs = nowMs() - words[at + WORD_WAITED]! / 1000;
    this.#show(timeMs, false, local, family, words, at + WORD_ADDRESS, port, copy);
    if ((words[at + WORD_FLAGS]! & FLAG_ANSWERED) === 0) return;
    // Sent below already, octet by octet as this one.
    const answer = this.#heartbeatResponse(copy);
    this.#show(timeMs, true, local, family, words, at + WORD_ADDRESS, port, answer);
  }

  #heartbeatResponse(request: Uint8Array): Uint8Array {
    const writer = this.#writer;
    const sequenceAt = (request[0]! & 1) !== 0 ? 12 : 4;
    const [high, middle, low] = request.subarray(sequenceAt, sequenceAt + 3);
    writer.begin(Message.HeartbeatResponse, false);
    writer.u32(Ie.RecoveryTimeStamp, this.#recoveryTimeStamp);
    writer.finish((high! << 16) | (middle! << 8) | low!);
    return writer.bytes.slice(0, writer.length);
  }

  #show(
    timeMs: number,
    sent: boolean,
    local: number,
    family: number,
    address: Uint32Array,
    addressAt: number,
    remotePort: number,
    bytes: Uint8Array,
  ): void {
    const own = this.inner.addresses()[local];
    const datagram: WatchedDatagram = {
      ...{ timeMs, sent, remotePort, bytes },
      family: family === 4 ? 4 : 6,
      local: own?.host ?? '',
      localPort: own?.port ?? 0,
      remote: addressText(family, address, addressAt),
    };
    for (const watch of this.#watches) watch.add(datagram);
  }
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
