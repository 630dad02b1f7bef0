/**
 * Looking on at N4: observed-transport.ts shows datagrams as they come and go, and this file
 * keeps them for one who looks, within bounds. While nobody looks, nothing is paid. Owner: the
 * control thread.
 */

export interface WatchedDatagram {
  /** Milliseconds since 1970, with a fraction. */
  readonly timeMs: number;
  readonly sent: boolean;
  readonly family: 4 | 6;
  /** As bound: 0.0.0.0 and :: stand for any. */
  readonly local: string;
  readonly localPort: number;
  readonly remote: string;
  readonly remotePort: number;
  readonly bytes: Uint8Array;
}

const DATAGRAMS_MAX = 8192;
const BYTES_MAX = 4 << 20;

export class DatagramWatch {
  /** Datagrams for which there was no room, so far. */
  lost = 0;
  #queue: WatchedDatagram[] = [];
  #bytes = 0;

  /** @param wanted  false for what this one does not want to see. */
  constructor(
    private readonly wanted: (datagram: WatchedDatagram) => boolean,
    private readonly closed: (watch: DatagramWatch) => void,
  ) {}

  add(datagram: WatchedDatagram): void {
    if (!this.wanted(datagram)) return;
    const length = datagram.bytes.length;
    if (this.#queue.length >= DATAGRAMS_MAX || this.#bytes + length > BYTES_MAX) {
      this.lost++;
      return;
    }
    this.#queue.push(datagram);
    this.#bytes += length;
  }

  /** The oldest ones, in order. */
  take(most: number): WatchedDatagram[] {
    const taken = this.#queue.splice(0, most);
    for (const { bytes } of taken) this.#bytes -= bytes.length;
    return taken;
  }

  /** Nothing is added any more. Idempotent. */
  close(): void {
    this.closed(this);
  }
}
