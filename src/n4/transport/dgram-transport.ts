/**
 * The transport over Node's own UDP sockets: the fallback, and what the native one is
 * measured against. It answers no heartbeats by itself and has one queue for all peers.
 * Thread: the control thread.
 */
import { randomInt } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import type { ListenAddress } from '../../base/config/listen.js';
import { ADDRESS_WORDS, addressText, readAddress } from './address-words.js';
import { bindFailure } from './bind-failure.js';
import { DatagramQueue } from './datagram-queue.js';
import { HalfSipHash } from './half-sip-hash.js';
import {
  DATAGRAM_BYTES_MAX,
  type DatagramStatistics,
  type DatagramTransport,
  type LocalAddress,
} from './transport.js';

/** Datagrams that the system has not taken yet. */
const SENDING_MAX = 4096;
/** Addresses whose words are remembered; then the memory begins anew. */
const KNOWN_ADDRESSES_MAX = 4096;
const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024;

/**
 * Binds a socket a listen address; port 0 takes any that is free.
 * @throws SluiceError that names the address and what to do.
 */
export async function openDgramTransport(
  listen: readonly ListenAddress[],
): Promise<DatagramTransport> {
  const transport = new DgramTransport();
  try {
    for (const [index, address] of listen.entries()) await transport.bind(index, address);
    return transport;
  } catch (error) {
    await transport.close();
    throw error;
  }
}

class DgramTransport implements DatagramTransport {
  readonly #queue = new DatagramQueue(new HalfSipHash(randomInt(2 ** 32), randomInt(2 ** 32)), () =>
    performance.now(),
  );
  readonly words = this.#queue.words;
  readonly bytes = this.#queue.bytes;
  readonly #sockets: Socket[] = [];
  readonly #addresses: LocalAddress[] = [];
  readonly #known = new Map<string, Uint32Array>();
  #sent = 0;
  #sentBytes = 0;
  #sendFailed = 0;
  #sendFull = 0;
  #sending = 0;
  #closed: Promise<void> | undefined;

  async bind(local: number, listen: ListenAddress): Promise<void> {
    const host = listen.kind === 'tcp' ? listen.host : '';
    const family = isIP(host) === 6 ? 6 : 4;
    const socket = createSocket({
      type: family === 6 ? 'udp6' : 'udp4',
      ipv6Only: family === 6,
      // Addresses come as numbers: nothing is to be looked up.
      lookup: (name, _options, found) => found(null, name, family),
    });
    this.#sockets.push(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('error', (error) => reject(bindFailure(listen, error)));
      if (listen.kind !== 'tcp') throw bindFailure(listen, new Error('it is no UDP address'));
      socket.bind({ address: host, port: listen.port, exclusive: true }, resolve);
    });
    socket.removeAllListeners('error');
    // An ICMP error of a datagram sent earlier; it was counted when it was sent, or is lost.
    socket.on('error', () => this.#sendFailed++);
    enlargeBuffers(socket);
    this.#addresses.push({ family, host, port: socket.address().port });
    socket.on('message', (bytes, from) => this.#arrived(local, family, bytes, from));
  }

  #arrived(local: number, family: number, bytes: Buffer, from: RemoteInfo): void {
    let address = this.#known.get(from.address);
    if (address === undefined) {
      address = new Uint32Array(ADDRESS_WORDS);
      readAddress(from.address, address, 0);
      if (this.#known.size >= KNOWN_ADDRESSES_MAX) this.#known.clear();
      this.#known.set(from.address, address);
    }
    this.#queue.push({ local, family, address, port: from.port, bytes });
  }

  receive(): number {
    return this.#closed === undefined ? this.#queue.receive() : 0;
  }
  release(): void {}

  onReadable(listener: () => void): void {
    // Behind the turn, so that datagrams which arrive together are one batch.
    this.#queue.onReadable(() => setImmediate(listener));
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
    const socket = this.#sockets[local];
    const full = this.#sending >= SENDING_MAX || length > DATAGRAM_BYTES_MAX;
    if (socket === undefined || this.#closed !== undefined || full) {
      this.#sendFull++;
      return false;
    }
    const copy = Buffer.from(bytes.subarray(start, start + length));
    this.#sending++;
    socket.send(copy, port, addressText(family, address, addressAt), (error) => {
      this.#sending--;
      if (error !== null) {
        this.#sendFailed++;
        return;
      }
      this.#sent++;
      this.#sentBytes += length;
    });
    return true;
  }

  flush(): void {}
  setHeartbeat(): void {}
  progress(): void {}
  setPeers(): void {}
  setObserved(): void {}
  setAllowed(prefixes: readonly string[]): void {
    this.#queue.setAllowed(prefixes);
  }

  addresses(): readonly LocalAddress[] {
    return this.#addresses;
  }

  statistics(): DatagramStatistics {
    const queue = this.#queue;
    return {
      received: queue.received,
      receivedBytes: queue.receivedBytes,
      sent: this.#sent,
      sentBytes: this.#sentBytes,
      sendFailed: this.#sendFailed,
      sendFull: this.#sendFull,
      heartbeatsAnswered: 0,
      notAllowed: queue.notAllowed,
      socketFull: 0,
      waiting: queue.count,
      shed: [...queue.shed],
      shedByPeer: queue.shed.some((count) => count > 0)
        ? [{ address: '', shed: [...queue.shed] }]
        : [],
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const closed = this.#sockets.map(
      (socket) => new Promise<void>((resolve) => socket.close(() => resolve())),
    );
    await Promise.all(closed);
  }
}

/** Best effort: the kernel caps the size, which only costs bursts. */
function enlargeBuffers(socket: Socket): void {
  try {
    socket.setRecvBufferSize(SOCKET_BUFFER_BYTES);
    socket.setSendBufferSize(SOCKET_BUFFER_BYTES);
  } catch {
    // The default size serves as well.
  }
}
