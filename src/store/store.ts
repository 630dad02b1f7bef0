/**
 * Where sessions and reports live between two runs of the process: numbered records of both,
 * and a few named values. Implementations: embedded.ts (lmdb), memory.ts (tests); store.contract.ts is the
 * suite that runs on all of them.
 *
 * Owner: the control thread. Writes gather until commit(); commits take effect in order.
 */

/**
 * Called for each record of a scan: `length` bytes of `bytes` from its start, valid during
 * the call only. Returns false to stop.
 */
export type RecordVisitor = (key: number, bytes: Uint8Array, length: number) => boolean;

/** Records by number. Scans see what was committed. */
export interface NumberedRecords {
  /** Gathers a write of `length` bytes of `chunk`; they must not change until the commit is done. */
  put(key: number, chunk: Uint8Array, offset: number, length: number): void;
  /** Gathers the removal of a record; an unknown key is no error. */
  remove(key: number): void;
  /** Records that were committed. */
  recordCount(): number;
  /** The largest key there is, -1: no record. */
  lastKey(): number;
  /** Visits committed records in ascending order of keys, from behind `after` (-1: all). */
  scan(after: number, visit: RecordVisitor): void;
}

/** Sessions are the store's own records. */
export interface Store extends NumberedRecords {
  /** Seconds since 1970 when state began: it grows whenever sessions were lost, and only then. */
  readonly recoveryTimeStamp: number;
  /** Why earlier sessions were given up at opening, a sentence; '' when they were not. */
  readonly lost: string;
  /** Reports that nobody has acknowledged; they share commits with sessions. */
  readonly reports: NumberedRecords;

  /** Gathers a write of a named value; the bytes are copied. */
  putMeta(name: string, value: Uint8Array): void;
  getMeta(name: string): Uint8Array | undefined;
  /**
   * Makes what was gathered since the last call visible, all of it or nothing, and resolves
   * when it is as durable as the store was asked to be. All gathering since the last commit
   * must be of this turn of the event loop. A rejection (SluiceError) means that nothing of
   * it was written.
   */
  commit(): Promise<void>;
  /** Waits for what is under way, flushes, and unlocks the folder. Idempotent. */
  close(): Promise<void>;
}

/** Largest key: keys are integers from 0. */
export const STORE_KEY_MAX = Number.MAX_SAFE_INTEGER;
