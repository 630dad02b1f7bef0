/**
 * UDP as the N4 endpoint sees it: datagrams come and go in batches of flat words and bytes.
 * Implementations: native-transport.ts (a thread of native/datagram), dgram-transport.ts
 * (Node's own sockets), and a network in memory for tests (fake-network.fixture.ts); one
 * contract suite (transport.contract.ts) runs on all. Thread: the control thread.
 * Start at DatagramTransport.
 */

/** Words that describe one received datagram in {@link DatagramTransport.words}. */
export const RECEIVED_WORDS = 16;
/** 4 or 6. */
export const WORD_FAMILY = 0;
/** Port of the sender. */
export const WORD_PORT = 1;
/** Index of the local socket in {@link DatagramTransport.addresses}. */
export const WORD_LOCAL = 2;
/** Address of the sender: four words of IPv6, or one of IPv4 and three zeros, host order. */
export const WORD_ADDRESS = 3;
/** Where the datagram begins in {@link DatagramTransport.bytes}. */
export const WORD_OFFSET = 7;
/** Octets of the datagram. */
export const WORD_LENGTH = 8;
/** Keyed hash of the datagram's octets; the key is random and lives as long as the transport. */
export const WORD_HASH_LOW = 9;
export const WORD_HASH_HIGH = 10;
/** Bits FLAG_…. */
export const WORD_FLAGS = 11;
/** Microseconds between the socket and this batch. */
export const WORD_WAITED = 12;
/** A {@link DatagramClass}. */
export const WORD_CLASS = 13;

/** A Heartbeat Request that was answered already; shown only while {@link DatagramTransport.setObserved}. */
export const FLAG_ANSWERED = 1;

/** Datagrams of one batch at most. */
export const BATCH_DATAGRAMS = 64;
/** Octets of UDP payload: nothing longer exists, on receipt or when sending. */
export const DATAGRAM_BYTES_MAX = 65_507;

/** What is shed last to first. */
export const enum DatagramClass {
  /** Heartbeats, responses, associations, deletions. */
  Control = 0,
  /** Modifications and what else is about something that exists. */
  Modification = 1,
  /** Establishments, and what is no PFCP. */
  Establishment = 2,
}
export const DATAGRAM_CLASSES = 3;

export interface LocalAddress {
  readonly family: 4 | 6;
  readonly host: string;
  /** The port that is bound, also where 0 was asked for. */
  readonly port: number;
}

/** Counts since the transport was made. */
export interface DatagramStatistics {
  readonly received: number;
  readonly receivedBytes: number;
  readonly sent: number;
  readonly sentBytes: number;
  /** The system refused to send: no route, a firewall, too long. */
  readonly sendFailed: number;
  /** {@link DatagramTransport.send} found no room. */
  readonly sendFull: number;
  /** Heartbeat Requests that were answered without the control thread. */
  readonly heartbeatsAnswered: number;
  /** Datagrams of sources that the allow-list does not have. */
  readonly notAllowed: number;
  /** Datagrams that the system dropped because the socket's buffer was full. */
  readonly socketFull: number;
  /** Datagrams that wait for {@link DatagramTransport.receive} now. */
  readonly waiting: number;
  /** Datagrams that were shed, by {@link DatagramClass}. */
  readonly shed: readonly number[];
  /** The same by peer, of those that shed; `address` '' stands for all that are no peers. */
  readonly shedByPeer: readonly PeerShed[];
}
export interface PeerShed {
  readonly address: string;
  readonly shed: readonly number[];
}

/**
 * Datagrams of several sockets. Owner: the endpoint. Nothing throws but the functions that
 * open one; after close() nothing is received and send() says false.
 *
 * Order: datagrams of one peer and class come in the order of their arrival (but for those that
 * wait when setPeers() makes it one); peers that wait are served in turns, and of a peer the
 * classes in theirs. A reader that has enough to do stops calling
 * receive(): what comes then is queued and shed below, where it costs least.
 */
export interface DatagramTransport {
  /** The received batch, RECEIVED_WORDS a datagram; valid from receive() to release(). */
  readonly words: Uint32Array;
  /** What WORD_OFFSET and WORD_LENGTH point into; valid as long. */
  readonly bytes: Uint8Array;
  /** Next batch: how many datagrams, 0: none. The batch before must have been released. */
  receive(): number;
  /** Gives the batch up. */
  release(): void;
  /**
   * `listener` is called once when datagrams came after a receive() that returned 0 (and
   * once for those that were there before it was set); it then calls receive() until 0,
   * now or, when it has enough to do, later by itself.
   */
  onReadable(listener: () => void): void;
  /**
   * Queues one datagram, which is copied, from socket `local` to an address as in
   * WORD_ADDRESS. False: no room, or longer than {@link DATAGRAM_BYTES_MAX}.
   */
  send(
    local: number,
    family: number,
    address: Uint32Array,
    addressAt: number,
    port: number,
    bytes: Uint8Array,
    start: number,
    length: number,
  ): boolean;
  /** Lets go what was queued; once a turn. */
  flush(): void;
  /** NTP seconds that answers to Heartbeat Requests carry; until then none is answered below. */
  setHeartbeat(recoveryTimeStamp: number): void;
  /**
   * The control thread is alive: below, Heartbeat Requests are answered for
   * {@link PROGRESS_MS} more. Without it they come up as all others do.
   */
  progress(): void;
  /** Sources that may send, as prefixes such as 10.0.0.0/8; none: all may. */
  setAllowed(prefixes: readonly string[]): void;
  /** Addresses of associated peers: each has queues of its own, all others share some. */
  setPeers(addresses: readonly string[]): void;
  /** While true, answered Heartbeat Requests come up too, with FLAG_ANSWERED. */
  setObserved(observed: boolean): void;
  /** The sockets, in the order in which they were asked for. */
  addresses(): readonly LocalAddress[];
  statistics(): DatagramStatistics;
  /** What was flushed is sent, then the sockets are closed. Idempotent. */
  close(): Promise<void>;
}

/** How long one progress() counts. */
export const PROGRESS_MS = 5_000;
/** Peers with queues of their own. */
export const TRANSPORT_PEERS_MAX = 1024;
