/**
 * What the control plane knows of the packet path: one interface, implemented by the
 * addon (native.ts) and by a model in memory for tests. Everything that runs per session
 * is typed arrays; objects only in configuration and status.
 *
 * Owner: the control thread. Nothing here blocks.
 */
import type { BucketPath } from './balance/bucket-path.js';
import type { LanePath } from './lanes/lane-path.js';
import type { PacketSight } from './packet-sight.js';
import type { ProtectionPath } from './protection-path.js';
import type { Statistics } from './statistics.js';

/** Words per entry of {@link Datapath.operations}. */
export const OPERATION_WORDS = 8;
/** Operations that one prepare() takes at most. */
export const OPERATIONS_MAX = 1024;

export const enum OperationWord {
  /** in: {@link OperationKind} */
  Kind = 0,
  /** in: 24-bit session index (bucket × slots per bucket + slot) */
  SessionIndex = 1,
  /** in: slab chunk and byte offset of the new record (create, update) */
  Chunk = 2,
  Offset = 3,
  /** in: {@link OperationFlag} bits */
  Flags = 4,
  /** out: {@link PrepareStatus} */
  Status = 5,
  /** out: index of the table entry that is at fault, by Status */
  Detail = 6,
  /** out: names the prepared operation until it is applied or aborted */
  Ticket = 7,
}
export const enum OperationKind {
  Create = 1,
  Update = 2,
  Delete = 3,
}
export const enum OperationFlag {
  SendEndMarkers = 1,
  DropBuffered = 2,
  /** Report (IMMER) the URRs in the query list of the batch; Used: that have something to tell. */
  Query = 4,
  Afresh = 8,
  Used = 16,
  /**
   * Of a deletion: in favour of the session in Offset, whose update is among the next operations
   * of the call. That may ask for the addresses of this one, and has them when both are applied;
   * or both are aborted.
   */
  Displaced = 32,
}
/** Why prepare() refused; the operation left nothing behind. */
export const enum PrepareStatus {
  Ok = 0,
  /** The record is not well-formed: a defect of ours. Detail: word offset. */
  Malformed = 1,
  /** Another session owns this TEID at this address. Detail: PDR index. */
  TeidTaken = 2,
  /**
   * Another session owns this UE address or framed route in this instance.
   * Detail: PDR index | (position of the route + 1, or 0: the UE address) << 8.
   */
  UeAddressTaken = 3,
  /** Native memory or tables are full. */
  Resources = 4,
  /** No port carries this network instance. Detail: PDR index, or 256 + FAR index. */
  Instance = 5,
  /** The F-TEID's local address is no address of an access port. Detail: PDR index. */
  LocalAddress = 6,
  /** There is no such protection. Detail: FAR index, or 256 + PDR index. */
  Protection = 7,
  /** No port of the FAR's network instance has its protection's local address. Detail: FAR index. */
  ProtectionPort = 8,
}

/** Words per entry of {@link Datapath.events}. */
export const EVENT_WORDS = 32;
export const EVENTS_MAX = 512;
export const enum EventKind {
  Usage = 1,
  DownlinkData = 2,
  ErrorIndication = 3,
  Inactivity = 4,
}
export const enum EventWord {
  Kind = 0,
  SessionIndex = 1,
  /** the record's incarnation: tells a stale event of an earlier session in that slot */
  Incarnation = 2,
  /** URR ID (usage, inactivity), PDR ID (downlink data), remote TEID (error indication) */
  Id = 3,
  /** usage: sequence number of the report, from 0 */
  Sequence = 4,
  /** usage: bits of UsageTrigger in usage-event.ts */
  Triggers = 5,
  /** 64-bit values: low word, high word */
  UplinkBytes = 6,
  DownlinkBytes = 8,
  UplinkPackets = 10,
  DownlinkPackets = 12,
  /** nanoseconds since 1970 */
  StartTime = 14,
  EndTime = 16,
  /** nanoseconds */
  Duration = 18,
  /** ticket + 1 of the operation that asked for this report, 0: unasked */
  Ticket = 20,
  /**
   * downlink data: QFI; error indication: 1 when Address is IPv6; usage: UsagePart, see
   * USAGE_PART_WORD in usage-event.ts
   */
  Qfi = 21,
  /** error indication: peer address, 4 words as in a record; usage: see usage-event.ts */
  Address = 22,
  /** The packet path's own: which event it is, for {@link Datapath.alreadyWritten}. 0: no such thing. */
  Run = 26,
}

/** Words per entry of {@link Datapath.samples}: one packet that stands for others. */
export const SAMPLE_WORDS = 4;
/** Entries that one takeSamples() moves at most. */
export const SAMPLES_MAX = 16_384;
export const enum SampleWord {
  /** session index, with {@link SampleFlag} bits above it */
  Session = 0,
  /** the record's incarnation: tells a sample of an earlier session in that slot */
  Incarnation = 1,
  /** inner octets of the packet */
  Bytes = 2,
  /** how many packets it stands for */
  Packets = 3,
}
export const enum SampleFlag {
  Downlink = 1 << 24,
  Dropped = 1 << 25,
}

export interface IpPrefixText {
  readonly text: string;
}
export interface DatapathPortConfig {
  readonly name: string;
  readonly driver: 'memory' | 'pcap' | 'socket' | 'tun' | 'afxdp' | 'dpdk';
  readonly role: 'access' | 'core';
  readonly addresses: readonly string[];
  /** Each of them as peers know it. Absent or empty: the same. */
  readonly advertise?: readonly string[];
  readonly networkInstances: readonly string[];
  readonly udpPort: number;
  readonly sourcePorts: number;
  /** socket: also UDP port 4500. Absent: no. */
  readonly espInUdp?: boolean;
  /** afxdp: also ESP, by itself and in UDP. Absent: no. */
  readonly esp?: boolean;
  /** afxdp: workers have the device look for packets themselves. Absent: no. */
  readonly busyPoll?: boolean;
  /** afxdp: packets of simple, busy flows are forwarded in the driver hook. Absent: no. */
  readonly forwardInDriver?: boolean;
  readonly device: string;
  /** Access: of the outer packet, 0: no limit. */
  readonly mtu: number;
  /** MSS of SYNs is lowered to this; true: to what the MTU leaves. */
  readonly clampMss?: boolean | number;
  readonly decrementTtl?: boolean;
  readonly gateway?: readonly string[];
  /** What ICMP errors come from, at most one address of each family. */
  readonly icmpSource?: readonly string[];
  /** CIDR texts */
  readonly uePools: readonly string[];
  readonly masquerade: boolean;
  readonly file: string;
  readonly outputFile: string;
}
/** What FARs that buffer may hold. */
export interface HoldConfig {
  /** of all sessions together, beside packetsMax */
  readonly packetsMax: number;
  /** then a held packet expires */
  readonly ms: number;
}
/** GTP-U messages that the packet path sends by itself. */
export interface GtpuConfig {
  /** 0: no Echo Requests */
  readonly echoIntervalMs: number;
  readonly echoTimeoutMs: number;
  readonly echoTries: number;
  /** Error Indications and Supported Extension Headers Notifications together */
  readonly answersPerSecond: number;
  /** none of these is sent for this long after the start */
  readonly answersQuietMs: number;
}
export interface DatapathConfig {
  readonly sessionsMax: number;
  readonly packetsMax: number;
  /** absent: nothing can be held, what a FAR buffers is dropped */
  readonly hold?: HoldConfig;
  /** absent: Echo Requests are answered, nothing else is sent */
  readonly gtpu?: GtpuConfig;
  readonly hugepages: 'auto' | '1G' | '2M' | 'off';
  readonly workers: {
    /** 0: no threads, the owner calls {@link Datapath.step} (replay, tests). */
    readonly count: number;
    readonly cores: 'auto' | readonly number[];
    readonly poll: 'auto' | 'busy' | 'adaptive';
  };
  /** Crypto lanes that there may be threads for; absent or 0: workers do SM4 themselves. */
  readonly lanes?: number;
  /** Secret of the TEID permutation; see session/allocators. */
  readonly teidKey: readonly [number, number, number, number, number];
  /** Slots per bucket is 2 ** slotBits at most; fixed for the life of a store. */
  readonly slotBits: number;
  readonly slotsPerBucket: number;
  readonly ports: readonly DatapathPortConfig[];
  /**
   * Without threads: where time starts, in nanoseconds since 1970 (below 2^53), and what
   * exchange() says from then on. Absent: it is the machine's.
   */
  readonly givenTimeNs?: number;
  /** Absent: usage ends with the process. */
  readonly survival?: {
    /** Of the file that the packet path's memory is: the data folder's own. */
    readonly name: string;
    /** Path in the data folder: usage between two runs. */
    readonly snapshot: string;
  };
  /** What packets without business on N6 meet; absent: dropped, and UEs reach each other. */
  readonly policy?: IpPolicy;
  /** Outer fragments; absent: the native defaults. */
  readonly reassembly?: ReassemblyLimits;
  /** Addresses of the UPF beside those of its access ports. */
  readonly ownAddresses?: readonly string[];
}
export interface IpPolicy {
  readonly multicast: 'drop' | 'forward';
  readonly martians: 'drop' | 'forward';
  readonly ownAddresses: 'drop' | 'forward';
  readonly nestedGtpu: 'drop' | 'forward';
  readonly hairpin: boolean;
  /** Of a worker. */
  readonly icmpErrorsPerSecond: number;
}
export interface ReassemblyLimits {
  /** At a time; 0: fragments are dropped. */
  readonly datagrams: number;
  /** Of one datagram. */
  readonly fragments: number;
  readonly timeoutMs: number;
}

export interface DatapathPortStatus {
  readonly name: string;
  readonly driver: string;
  readonly state: string;
  readonly addresses: readonly string[];
  readonly capabilities: Readonly<Record<string, string>>;
}
export interface DatapathWorkerStatus {
  readonly id: number;
  readonly core: number;
  readonly numaNode: number;
  readonly poll: string;
  readonly queues: readonly string[];
}
/** What runs and lies where, beside the workers. */
export interface DatapathPlacement {
  readonly controlCores: readonly number[];
  /** "1G", "2M", "transparent" or "4K" */
  readonly memoryPages: string;
  readonly memoryBytes: number;
  /** a sample of the pages of packets; none where the kernel doesn't tell */
  readonly packetPages: readonly { readonly numaNode: number; readonly pages: number }[];
}
/** A tunnel peer that rules send to. */
export interface PeerStatus {
  readonly address: string;
  readonly udpPort: number;
  /** name of the port that leads to it */
  readonly port: string;
  readonly state: 'unknown' | 'up' | 'down';
  readonly roundTripUs: number;
  /** changes of state */
  readonly transitions: number;
}
/** A peer whose state is another than before. */
export interface PathChange extends PeerStatus {
  readonly before: PeerStatus['state'];
}
/** Peers that a status lists at most. */
export const PEERS_MAX = 1000;
export interface DatapathStatus {
  readonly ports: readonly DatapathPortStatus[];
  readonly workers: readonly DatapathWorkerStatus[];
  readonly warnings: readonly string[];
  /** Which worker runs on which core and why the event loop where it does, as one line. */
  readonly plan: string;
  readonly placement: DatapathPlacement;
  readonly regionBytesUsed: number;
  /** at most PEERS_MAX of peersTotal, by address */
  readonly peers: readonly PeerStatus[];
  readonly peersTotal: number;
}
export interface Datapath extends PacketSight, ProtectionPath, LanePath, BucketPath {
  /** Shared with native code: OPERATIONS_MAX entries of OPERATION_WORDS. */
  readonly operations: Uint32Array;
  /** Shared with native code: EVENTS_MAX entries of EVENT_WORDS, filled by poll(). */
  readonly events: Uint32Array;
  /**
   * Query list of the batch in `operations`: pairs {operation position, index of the URR in the
   * rules before}, ended by 0xffffffff.
   */
  readonly queries: Uint32Array;

  /** Makes a chunk of the slab known; chunks are numbered from 0 in the order of these calls. */
  registerSlabChunk(chunk: Uint8Array): void;
  /** Part of a chunk in which no record is: its memory goes back to the system until it is used. */
  releaseSlabMemory(chunk: number, offset: number, bytes: number): void;
  /** Compiles and reserves for the first `count` operations; writes Status, Detail, Ticket. */
  prepare(count: number): void;
  /**
   * Hands prepared operations to their workers; returns the number that completed() will reach.
   * Before start() (restore) it takes effect at once and completed() has reached it on return.
   */
  apply(tickets: Uint32Array, count: number): number;
  /** Gives back what prepare() reserved. */
  abort(tickets: Uint32Array, count: number): void;
  /**
   * Index of the other session that has what the record at (chunk, offset) of session `index`
   * asks for too: one of its TEIDs (`teids`), or a UE address or framed route. -1: none has, as
   * far as the packet path has heard of it by prepare(), or one of `butFor`. For refusals alone.
   */
  holder(index: number, chunk: number, offset: number, teids: boolean, butFor: Uint32Array): number;
  /**
   * Copies waiting events into `events`; returns how many. A full batch means: call again.
   * Each is given once, and stays where a restart finds it until {@link release}.
   */
  poll(): number;
  /** The next `count` events, in the order of poll(), are in the store or done with. */
  release(count: number): void;
  /**
   * The first `count` entries of `events` are events of earlier runs that the store has: they
   * are not given again. Before any session is restored; the session index is one of this run.
   */
  alreadyWritten(count: number): void;
  /**
   * Every session is back, and what poll() gave is in the store: what the earlier run left is
   * given up. Once, before start(). Throws when it can't be.
   */
  endRestore(): void;
  /** Every apply() numbered up to this one has taken effect, and its events were polled. */
  completed(): number;
  /** One coalesced call when completions or events wait and poll() has not been called since. */
  onWake(listener: () => void): void;
  /** Opens ports and starts workers; a failure names the field of the configuration. */
  start(): void;
  /** Stops workers, frees packets, closes ports. Idempotent. */
  stop(): void;
  /** workers.count = 0 only: runs one loop of the packet path; false when ports are exhausted. */
  step(): boolean;
  status(): DatapathStatus;
  statistics(): Statistics;
  /**
   * Tunnel peers that rules send to, and whose state is another than was told before; each
   * change once. For one watcher.
   */
  pathChanges(): readonly PathChange[];

  /** Shared with native code: SAMPLES_MAX entries of SAMPLE_WORDS, filled by takeSamples(). */
  readonly samples: Uint32Array;
  /** Has workers note one packet of each burst, beginning with nothing; or no more. */
  setSampling(on: boolean): void;
  /** Moves notes into `samples`; returns how many. SAMPLES_MAX means: there may be more. */
  takeSamples(): number;
}
