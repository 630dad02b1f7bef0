/**
 * Where sessions live between two runs of the process: numbered records and a few named
 * values. Implementations: embedded.ts (lmdb), memory.ts (tests); test/contract runs one
 * suite on all of them.
 *
 * Owner: the control thread. Writes gather until commit(); commits take effect in order.
 */

export interface Store {
  /** Gathers a write of `length` bytes of `chunk`; they must not change until the commit is done. */
  put(key: number, chunk: Uint8Array, offset: number, length: number): void;
  /** Gathers the removal of a record; an unknown key is no error. */
  remove(key: number): void;
  /** Gathers a write of a named value; the bytes are copied. */
  putMeta(name: string, value: Uint8Array): void;
  /**
   * Makes what was gathered since the last call visible, all of it or nothing, and resolves
   * when it is as durable as the store was asked to be. A rejection (SluiceError) means that
   * nothing of it was written.
   */
  commit(): Promise<void>;

  getMeta(name: string): Uint8Array | undefined;
  /** Records that were committed. */
  recordCount(): number;
  /**
   * Visits every committed record in ascending order of keys. The bytes are valid during the
   * call of `visit` only. `visit` returns false to stop. `after` starts behind a key (-1: all).
   */
  scan(after: number, visit: (key: number, bytes: Uint8Array) => boolean): void;
  /** Removes all records and named values: the store is as if new. */
  clear(): Promise<void>;
  /** Waits for what is under way, flushes, and unlocks the folder. Idempotent. */
  close(): Promise<void>;
}

/** Largest key: keys are integers from 0. */
export const STORE_KEY_MAX = Number.MAX_SAFE_INTEGER;
