/**
 * The session engine: the one place where sessions change, for gRPC and PFCP alike.
 *
 * A request becomes a record (src/model), the engine chooses what was left open, and then:
 * prepare (datapath) → put (store) → apply (datapath) → result. Deletion goes the other way.
 * A refused operation changes nothing anywhere. Operations on one session run one after
 * another; operations on different sessions travel together in rounds (rounds/).
 *
 * Owner: the control thread. Start reading at {@link SessionEngine}.
 */
import type { SluiceError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { BucketReader } from '../datapath/balance/balancer.js';
import type { Datapath, DatapathPortConfig } from '../datapath/datapath.js';
import type { Store } from '../store/store.js';
import { EngineCore } from './engine-core.js';
import type { StoreIdentity } from './identity.js';
import type { CreationClock } from './state/creation-clock.js';

/** What the engine needs of a port: its part in choosing addresses. */
export type EnginePort = Pick<
  DatapathPortConfig,
  'name' | 'role' | 'addresses' | 'networkInstances' | 'uePools'
>;

export interface EngineOptions {
  readonly datapath: Datapath;
  readonly store: Store;
  /** From loadIdentity(); the packet path is configured with the same. */
  readonly identity: StoreIdentity;
  readonly ports: readonly EnginePort[];
  readonly sessionsMax: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Reports kept for watchers before usage of one URR is merged; default 65,536. */
  readonly reportsMax?: number;
  /** Hears when reports can't be written, and when they are again. */
  readonly log?: Pick<Log, 'info' | 'error'>;
}

/** A record in place: `words` starts at the record's first word and ends with its last. */
export interface RecordWords {
  readonly words: Uint32Array;
}

/** Where a record lies in words that hold others, too. */
export interface RecordPlace {
  readonly words: Uint32Array;
  readonly start: number;
}

export interface UpdateOptions {
  /** 0: any revision; else the operation is refused with ABORTED when it differs. */
  readonly expectedRevision?: bigint;
  readonly sendEndMarkers?: boolean;
  readonly dropBuffered?: boolean;
  /**
   * It is another session, which takes the place of this one or, when it is refused, changes
   * nothing: usage and rates begin anew, what is held is dropped. The usage in the result is the
   * old one's.
   */
  readonly afresh?: boolean;
  /**
   * With `afresh`, SEIDs of further sessions of the owner that go with the old one: it may ask for
   * their TEIDs and addresses. NOT_FOUND: one is gone, or on its way out.
   */
  readonly displaces?: readonly bigint[];
  /** The session, found by its SEID, gets the record's name, unless another one has it. */
  readonly renames?: boolean;
  /** URRs to be reported (IMMEDIATE) with the result. */
  readonly queryUrrIds?: readonly number[];
  /** The same of URRs that stay, but have come to an end: their usage is told as TERMINATION. */
  readonly endedUrrIds?: readonly number[];
  /** The query is because of that: its usage is told as INACTIVITY, not as IMMEDIATE. */
  readonly inactive?: boolean;
  /** A number of the caller's for the query: kept with the usage that answers it. */
  readonly queryReference?: number;
}

export type SessionKey =
  | { readonly name: string; readonly seid?: bigint }
  | { readonly seid: bigint; readonly name?: string };

/**
 * Operations of one client that are answered together, results in the order of the calls.
 * Each call copies what it needs before it returns: the scratch record may be used again.
 * Results may be read from inside the `done` callback only; the records that they show are
 * given back afterwards.
 */
export interface OperationBatch {
  readonly count: number;
  create(record: RecordWords): void;
  /** The record names its session by name, or by SEID (its header words) when the name is absent. */
  update(record: RecordWords, options?: UpdateOptions): void;
  deleteByName(name: string): void;
  /** The same with the name's UTF-8 where it lies: no string is made of it. */
  deleteByNameAt(bytes: Uint8Array, start: number, length: number): void;
  deleteBySeid(seidLow: number, seidHigh: number): void;
  /** Takes the place of an operation that could not even be decoded. */
  refuse(error: SluiceError): void;
  /** No more operations; `done` is called once, when the last of them has its result. */
  submit(): void;

  /** undefined: the operation was done. */
  error(position: number): SluiceError | undefined;
  /** The session as it is after the operation (create, update) or was before it (delete). */
  record(position: number): Uint32Array;
  /** The same in place: valid until the next call. */
  recordAt(position: number): RecordPlace;
  /** Usage reports: entries of EVENT_WORDS words, see EventWord; length 0 when there are none. */
  usage(position: number): Uint32Array;
  /** From that entry on the usage is not told with the answer: it goes to watchers of reports. */
  leaveUsage(position: number, first: number): void;
}

/** Result of a single operation; the words are a copy and may be kept. */
export interface SessionResult {
  readonly record: Uint32Array;
  readonly usage: Uint32Array;
}

export interface SessionPage {
  /** Copies of the records, in a stable order. */
  readonly records: readonly Uint32Array[];
  /** '' when there is no more. */
  readonly nextPageToken: string;
  /** Sessions in all, of the owner asked for. */
  readonly total: number;
}

export interface Report {
  readonly cursor: string;
  readonly sessionName: string;
  readonly owner: string;
  readonly seid: bigint;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** EVENT_WORDS words, see EventWord. */
  readonly event: Uint32Array;
}

/** One watcher of reports; reading does not acknowledge. */
export interface ReportReader {
  /** Up to `max` reports after those already read; empty: nothing waits. */
  read(max: number): readonly Report[];
  /** Everything up to this cursor is done with and is never offered again. */
  acknowledge(cursor: string): void;
  /** This one report is done with, whatever becomes of earlier ones. */
  forget(cursor: string): void;
  /** Called once, from a later tick, when there is something to read again. */
  onReadable(listener: () => void): void;
  close(): void;
}

/** What a session moved between two looks: estimates from samples (traffic/). */
export interface SessionTraffic {
  readonly name: string;
  readonly owner: string;
  readonly seid: bigint;
  /** inner octets and packets that were sent on or are held */
  readonly uplinkBytes: number;
  readonly downlinkBytes: number;
  readonly uplinkPackets: number;
  readonly downlinkPackets: number;
  readonly droppedPackets: number;
}

/** One watcher's view of what sessions do. */
export interface TrafficReader {
  /** The busiest sessions since the last call, or since the reader was opened. */
  take(count: number): readonly SessionTraffic[];
  close(): void;
}

export interface RestoreProgress {
  readonly restored: number;
  readonly total: number;
}

export interface EngineStatistics {
  readonly sessions: number;
  readonly sessionsMax: number;
  readonly slabBytesUsed: number;
  readonly operationsWaiting: number;
  readonly reportsHeld: number;
  /** Events of sessions that were gone when the event arrived. */
  readonly reportsStale: number;
  /** Reports that were added to an older one of the same URR, because the log was full. */
  readonly reportsMerged: number;
  /** Reports without usage (downlink data, inactivity…) that a full log pushed out. */
  readonly reportsDropped: number;
  /** Commits of reports that failed; they are tried again. */
  readonly reportWriteFailures: number;
}

/** Returns false to stop. What it is given is good during its call. */
export type RecordVisit = (place: RecordPlace) => boolean;

/**
 * `table`, the usual one: all sessions. `store`: as their records lie there, next to each other,
 * so that to delete many of them costs the store little; what is on its way into it is left out.
 */
export type ScanOrder = 'table' | 'store';

export interface SessionEngine {
  /** Sessions that exist. */
  readonly count: number;
  /** Seconds since 1970; grows whenever session state was lost, persists otherwise. */
  readonly recoveryTimeStamp: number;
  /** Gives sessions the time at which they are made. */
  readonly creation: CreationClock;

  /** Brings the store's sessions back: once, before Datapath.start() and before any operation. */
  restore(progress?: (progress: RestoreProgress) => void): Promise<void>;

  /** Bulk: see OperationBatch. `done` runs on the control thread, never inside submit(). */
  openBatch(owner: string, done: (batch: OperationBatch) => void): OperationBatch;
  create(owner: string, record: RecordWords): Promise<SessionResult>;
  update(owner: string, record: RecordWords, options?: UpdateOptions): Promise<SessionResult>;
  delete(owner: string, key: SessionKey): Promise<SessionResult>;
  /**
   * A copy of the session's record; undefined when there is none. A SEID finds any owner's, and
   * so does a name that its owner does not have and one other does.
   */
  get(owner: string, key: SessionKey): Uint32Array | undefined;
  /**
   * The session's record where it lies; null: the owner (all owners: '') has no such session.
   * Good until the next call of the engine; the object is used again.
   */
  look(owner: string, seidLow: number, seidHigh: number): RecordPlace | null;
  /** The same by name (UTF-8), and also while the session is on its way in. */
  lookByName(owner: string, name: Uint8Array, start: number, length: number): RecordPlace | null;
  /**
   * Shows the owner's sessions from a place on (0: the first), until `visit` returns false, or
   * earlier: the place to go on from, -1: that was all.
   */
  scan(owner: string, from: number, visit: RecordVisit, order?: ScanOrder): number;
  /** Sessions of one owner. */
  countOf(owner: string): number;
  /** owner '': all. A token of an earlier page goes on behind it, whatever has changed since. */
  list(owner: string, pageSize: number, pageToken: string): SessionPage;

  /** Reports behind `cursor`, or behind the last acknowledged one when it is ''. names: empty is all. */
  watchReports(owner: string, cursor: string, names: readonly string[]): ReportReader;

  /**
   * Samples traffic until the reader is closed.
   * @throws SluiceError resource_exhausted when too many look already.
   */
  watchTraffic(): TrafficReader;
  /** Samples how many packets the sessions of each bucket have, until the reader is closed. */
  watchBuckets(): BucketReader;

  statistics(): EngineStatistics;
  /**
   * Takes no more operations, waits for those under way, and brings unreported usage into the
   * log while somebody watches it; watchers may read it afterwards. Before Datapath.stop().
   */
  shutdown(): Promise<void>;
}

/** Throws a SluiceError when a pool of a port can't be used, or the store's values make no sense. */
export function createEngine(options: EngineOptions): SessionEngine {
  return new EngineCore(options);
}
