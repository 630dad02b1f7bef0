/**
 * For tests: a network in memory with a clock that only tests move. Datagrams are lost,
 * doubled and delayed by a seeded generator, so that one seed is one run. Start at
 * FakeNetwork.open().
 */
import { parseListen } from '../../base/config/listen.js';
import { ADDRESS_WORDS, addressText, readAddress } from './address-words.js';
import { DatagramQueue } from './datagram-queue.js';
import { HalfSipHash } from './half-sip-hash.js';
import {
  DATAGRAM_BYTES_MAX,
  type DatagramStatistics,
  type DatagramTransport,
  type LocalAddress,
} from './transport.js';

/** Numbers in [0, 1) from a seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Time that stands still until advance(). Things due at the same moment keep their order. */
export class FakeClock {
  nowMs = 0;
  private readonly due: { atMs: number; number: number; run: () => void }[] = [];
  private next = 0;

  readonly now = (): number => this.nowMs;

  after(ms: number, run: () => void): void {
    const entry = { atMs: this.nowMs + ms, number: this.next++, run };
    let at = this.due.length;
    while (at > 0 && this.due[at - 1]!.atMs > entry.atMs) at--;
    this.due.splice(at, 0, entry);
  }

  /** Runs what is due within `ms`, each at its own moment, and moves on to the end of them. */
  advance(ms: number): void {
    const end = this.nowMs + ms;
    while (this.due.length > 0 && this.due[0]!.atMs <= end) {
      const { atMs, run } = this.due.shift()!;
      this.nowMs = Math.max(this.nowMs, atMs);
      run();
    }
    this.nowMs = end;
  }
}

/** Shares of datagrams, and how long one is under way. */
export interface Weather {
  readonly loss?: number;
  readonly duplicates?: number;
  /** Share that is delayed by up to `reorderMs` more, so that others overtake it. */
  readonly reorder?: number;
  readonly reorderMs?: number;
  readonly delayMs?: number;
}

export class FakeNetwork {
  weather: Weather = {};
  lost = 0;
  doubled = 0;
  private readonly places = new Map<string, { transport: FakeTransport; local: number }>();
  private readonly random: () => number;

  constructor(
    readonly clock: FakeClock,
    seed = 1,
  ) {
    this.random = seededRandom(seed);
  }

  /** A transport with these addresses, such as '10.0.0.1:8805' or '[2001:db8::1]:8805'. */
  open(...listen: string[]): FakeTransport {
    const addresses = listen.map((text): LocalAddress => {
      const address = parseListen(text);
      if (address?.kind !== 'tcp') throw new Error(`${text} is no address with a port`);
      const family = address.host.includes(':') ? 6 : 4;
      return { family, host: address.host, port: address.port };
    });
    const transport = new FakeTransport(this, addresses);
    for (const [local, address] of addresses.entries()) {
      const place = placeOf(address.host, address.port);
      if (this.places.has(place)) throw new Error(`${place} is taken`);
      this.places.set(place, { transport, local });
    }
    return transport;
  }

  close(transport: FakeTransport): void {
    for (const { host, port } of transport.addresses()) this.places.delete(placeOf(host, port));
  }

  carry(from: LocalAddress, host: string, port: number, bytes: Uint8Array): void {
    const { loss = 0, duplicates = 0 } = this.weather;
    if (this.random() < loss) {
      this.lost++;
      return;
    }
    this.deliverLater(from, host, port, bytes);
    if (this.random() < duplicates) {
      this.doubled++;
      this.deliverLater(from, host, port, bytes);
    }
  }

  private deliverLater(from: LocalAddress, host: string, port: number, bytes: Uint8Array): void {
    const { reorder = 0, reorderMs = 50, delayMs = 1 } = this.weather;
    const extra = this.random() < reorder ? this.random() * reorderMs : 0;
    this.clock.after(delayMs + extra, () => {
      const place = this.places.get(placeOf(host, port));
      place?.transport.arrived(place.local, from, bytes);
    });
  }
}

function placeOf(host: string, port: number): string {
  const words = new Uint32Array(ADDRESS_WORDS);
  return `${addressText(readAddress(host, words, 0), words, 0)} ${port}`;
}

export class FakeTransport implements DatagramTransport {
  private readonly queue: DatagramQueue;
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  /** What setPeers() and setHeartbeat() were told last. */
  peers: readonly string[] = [];
  recoveryTimeStamp = 0;
  private sent = 0;
  private sentBytes = 0;
  private sendFull = 0;
  private closed = false;

  constructor(
    private readonly network: FakeNetwork,
    private readonly local: readonly LocalAddress[],
  ) {
    this.queue = new DatagramQueue(new HalfSipHash(1, 2), network.clock.now);
    this.words = this.queue.words;
    this.bytes = this.queue.bytes;
  }

  arrived(local: number, from: LocalAddress, bytes: Uint8Array): void {
    const address = new Uint32Array(ADDRESS_WORDS);
    const family = readAddress(from.host, address, 0);
    this.queue.push({ local, family, address, port: from.port, bytes });
  }

  receive(): number {
    return this.closed ? 0 : this.queue.receive();
  }
  release(): void {}
  onReadable(listener: () => void): void {
    this.queue.onReadable(listener);
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
    const from = this.local[local];
    if (this.closed || from === undefined || length > DATAGRAM_BYTES_MAX) {
      this.sendFull++;
      return false;
    }
    this.sent++;
    this.sentBytes += length;
    const host = addressText(family, address, addressAt);
    this.network.carry(from, host, port, bytes.slice(start, start + length));
    return true;
  }

  flush(): void {}
  progress(): void {}
  setObserved(): void {}
  setHeartbeat(recoveryTimeStamp: number): void {
    this.recoveryTimeStamp = recoveryTimeStamp;
  }
  setPeers(addresses: readonly string[]): void {
    this.peers = addresses;
  }
  setAllowed(prefixes: readonly string[]): void {
    this.queue.setAllowed(prefixes);
  }
  addresses(): readonly LocalAddress[] {
    return this.local;
  }

  statistics(): DatagramStatistics {
    const { queue } = this;
    return {
      received: queue.received,
      receivedBytes: queue.receivedBytes,
      sent: this.sent,
      sentBytes: this.sentBytes,
      sendFailed: 0,
      sendFull: this.sendFull,
      heartbeatsAnswered: 0,
      notAllowed: queue.notAllowed,
      socketFull: 0,
      waiting: queue.count,
      shed: [...queue.shed],
      shedByPeer: [],
    };
  }

  close(): Promise<void> {
    this.closed = true;
    this.network.close(this);
    return Promise.resolve();
  }
}
