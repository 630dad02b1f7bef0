/**
 * The transport over the thread of native/datagram (member by member that of
 * native/addon/datagrams.cc): batches both ways, fair queues by peer and class, heartbeats
 * answered without the control thread. Thread: the control thread.
 */

import { loadAddon } from '../../base/addon.js';
import { type ListenAddress, listenText } from '../../base/config/listen.js';
import { SluiceError } from '../../base/errors.js';
import { ADDRESS_WORDS, readAddress } from './address-words.js';
import { bindFailure } from './bind-failure.js';
import {
  type DatagramStatistics,
  type DatagramTransport,
  type LocalAddress,
  TRANSPORT_PEERS_MAX,
} from './transport.js';

type NativeDatagrams = Omit<DatagramTransport, 'addresses' | 'close'> & {
  ports(): readonly number[];
  /** Ends the thread, which takes some microseconds, and closes the sockets. */
  close(): void;
};
interface Addon {
  readonly Datagrams: new (
    listen: readonly { readonly host: string; readonly port: number }[],
  ) => NativeDatagrams;
}

/**
 * Binds a socket a listen address; port 0 takes any that is free.
 * @throws SluiceError that names the address and what to do.
 */
export function openNativeTransport(listen: readonly ListenAddress[]): Promise<DatagramTransport> {
  // A promise, as of the other implementation.
  return new Promise((resolve) => resolve(new NativeTransport(listen)));
}

class NativeTransport implements DatagramTransport {
  readonly #native: NativeDatagrams;
  readonly #addresses: readonly LocalAddress[];
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  #listener: () => void = () => {};
  #listening = false;
  #open = true;
  #last: DatagramStatistics | undefined;

  constructor(listen: readonly ListenAddress[]) {
    const places = listen.map((address) => {
      if (address.kind === 'tcp') return { host: address.host, port: address.port };
      throw bindFailure(address, new Error('it is no UDP address'));
    });
    this.#native = bound(listen, places);
    const ports = this.#native.ports();
    this.#addresses = places.map(({ host }, index) => ({
      family: host.includes(':') ? 6 : 4,
      host,
      port: ports[index]!,
    }));
    this.words = this.#native.words;
    this.bytes = this.#native.bytes;
  }

  receive(): number {
    return this.#open ? this.#native.receive() : 0;
  }
  release(): void {
    if (this.#open) this.#native.release();
  }

  onReadable(listener: () => void): void {
    this.#listener = listener;
    if (this.#listening || !this.#open) return;
    this.#listening = true;
    this.#native.onReadable(() => {
      // The bell may ring once more while the transport is being closed.
      if (this.#open) this.#listener();
    });
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
    if (!this.#open) return false;
    return this.#native.send(local, family, address, addressAt, port, bytes, start, length);
  }
  flush(): void {
    if (this.#open) this.#native.flush();
  }
  setHeartbeat(recoveryTimeStamp: number): void {
    if (this.#open) this.#native.setHeartbeat(recoveryTimeStamp);
  }
  progress(): void {
    if (this.#open) this.#native.progress();
  }
  setObserved(observed: boolean): void {
    if (this.#open) this.#native.setObserved(observed);
  }
  setAllowed(prefixes: readonly string[]): void {
    if (this.#open) this.#native.setAllowed(prefixes);
  }
  setPeers(addresses: readonly string[]): void {
    const words = new Uint32Array(ADDRESS_WORDS);
    const unreadable = addresses.find((address) => readAddress(address, words, 0) === 0);
    if (unreadable !== undefined) throw new Error(`"${unreadable}" is no IP address`);
    if (this.#open) this.#native.setPeers(addresses.slice(0, TRANSPORT_PEERS_MAX));
  }

  addresses(): readonly LocalAddress[] {
    return this.#addresses;
  }
  statistics(): DatagramStatistics {
    return this.#last ?? this.#native.statistics();
  }

  close(): Promise<void> {
    if (this.#open) {
      this.#open = false;
      this.#native.flush();
      this.#last = this.#native.statistics();
      this.#native.close();
    }
    return Promise.resolve();
  }
}

function bound(
  listen: readonly ListenAddress[],
  places: readonly { readonly host: string; readonly port: number }[],
): NativeDatagrams {
  // Apart, because the compiler leaves out the brackets of `new (f()).C()` with a cast in them.
  const { Datagrams } = loadAddon() as Addon;
  try {
    return new Datagrams(places);
  } catch (error) {
    const { message, field } = error as Error & { field?: string };
    const address = listen[Number(/^listen\[(\d+)\]$/.exec(field ?? '')?.[1] ?? Number.NaN)];
    if (address === undefined) throw error;
    const code = /^E[A-Z0-9]+(?=:)/.exec(message)?.[0];
    if (code === undefined) {
      throw new SluiceError('unavailable', `${listenText(address)}: ${message}`, {
        field: 'n4.listen',
        cause: error,
      });
    }
    throw bindFailure(address, Object.assign(new Error(message), { code }));
  }
}
