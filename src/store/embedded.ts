/**
 * The embedded store: lmdb in the data folder. Keys only grow (an update of a session is a
 * new key and the removal of the old one), because appending costs a seventh of inserting at
 * random. A commit is one transaction on lmdb's own thread.
 *
 * async: acknowledged when committed, which a crash of the process survives; after a crash of
 * the machine the folder starts empty with a later recovery time stamp. sync: acknowledged
 * when flushed to disk. Owner: the control thread.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import { SluiceError } from '../base/errors.js';
import { bootId, FolderLock } from './folder-lock.js';
import { flushFile, readState, STORE_FORMAT, writeState } from './folder-state.js';
import type { RecordVisitor, Store } from './store.js';

export interface EmbeddedStoreOptions {
  readonly path: string;
  readonly durability: 'async' | 'sync';
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

const DATABASE_FILE = 'data.mdb';
const WORD = 2 ** 32;

/** A promise of lmdb: settled when committed; `flushed` when on disk. */
type Committed = Promise<boolean> & { readonly flushed?: Promise<unknown> };
/** Where lmdb leaves a value while scanning: valid until it moves on. */
interface Sight {
  bytes: Uint8Array;
  length: number;
}

export class EmbeddedStore implements Store {
  #pending: Committed | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | null = null;

  private constructor(
    private readonly folder: string,
    private readonly sync: boolean,
    private readonly lock: FolderLock,
    private readonly root: RootDatabase,
    private readonly records: Database<unknown, number>,
    private readonly meta: Database<Buffer, string>,
    readonly recoveryTimeStamp: number,
    readonly lost: string,
  ) {}

  /** Opens or makes the folder; a SluiceError says what is wrong with it. */
  static open(options: EmbeddedStoreOptions): EmbeddedStore {
    const folder = options.path;
    const sync = options.durability === 'sync';
    makeFolder(folder);
    const lock = FolderLock.take(folder);
    try {
      const found = readState(folder);
      const lost = found === undefined ? '' : giveUp(folder, found.flushed, found.bootId);
      const now = Math.floor((options.now ?? Date.now)() / 1000);
      // Strictly later, also when the clock was set back.
      const renewed = Math.max(now, (found?.recoveryTimeStamp ?? 0) + 1);
      const stamp = found === undefined || lost !== '' ? renewed : found.recoveryTimeStamp;
      // What an async run left in the page cache is not the next flush's to care for.
      if (sync && found?.flushed === false && lost === '') flushDatabase(folder);
      // From here on until close() an async folder may hold what is not on disk.
      writeState(folder, state(sync, stamp));
      const root = openRoot(folder, sync);
      const records = root.openDB<unknown, number>({ name: 'records', ...recordOptions() });
      const meta = root.openDB<Buffer, string>({ name: 'meta', encoding: 'binary' });
      return new EmbeddedStore(folder, sync, lock, root, records, meta, stamp, lost);
    } catch (error) {
      lock.release();
      if (error instanceof SluiceError) throw error;
      throw new SluiceError(
        'failed_precondition',
        `the store in ${folder} can't be opened: ${(error as Error).message}`,
        { field: 'store.path', cause: error },
      );
    }
  }

  put(key: number, chunk: Uint8Array, offset: number, length: number): void {
    this.#gather(this.records.put(key, span(chunk, offset, length)));
  }
  remove(key: number): void {
    this.#gather(this.records.remove(key));
  }
  putMeta(name: string, value: Uint8Array): void {
    this.#gather(this.meta.put(name, Buffer.from(value)));
  }

  commit(): Promise<void> {
    const pending = this.#pending;
    this.#pending = null;
    if (pending === null) return Promise.resolve();
    const done = this.#settle(pending);
    this.#last = done.catch(() => undefined);
    return done;
  }

  getMeta(name: string): Uint8Array | undefined {
    return this.meta.get(name);
  }
  recordCount(): number {
    return (this.records.getStats() as { entryCount: number }).entryCount;
  }
  lastKey(): number {
    for (const key of this.records.getKeys({ reverse: true, limit: 1 })) return key;
    return -1;
  }

  scan(after: number, visit: RecordVisitor): void {
    for (const { key, value } of this.records.getRange({ start: after + 1 })) {
      const { bytes, length } = value as Sight;
      if (!visit(key, bytes, length)) return;
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** All writes of one turn of the event loop share one promise. */
  #gather(promise: Promise<boolean>): void {
    this.#pending = promise as Committed;
  }

  async #settle(pending: Committed): Promise<void> {
    try {
      await pending;
      if (this.sync) await pending.flushed;
    } catch (error) {
      const cause = (error as { commitError?: unknown }).commitError;
      const why = await reason(cause ?? error);
      throw new SluiceError('unavailable', `the store failed: ${why}`, { cause: error });
    }
  }

  async #close(): Promise<void> {
    await this.#last;
    await this.root.flushed;
    await this.root.close();
    flushDatabase(this.folder);
    writeState(this.folder, state(true, this.recoveryTimeStamp));
    this.lock.release();
  }
}

function state(flushed: boolean, recoveryTimeStamp: number) {
  return { format: STORE_FORMAT, bootId: bootId(), flushed, recoveryTimeStamp };
}

function flushDatabase(folder: string): void {
  flushFile(join(folder, DATABASE_FILE));
}

/** One level after the other: Node's own recursion never ends where the kernel takes none. */
function makeFolders(folder: string): void {
  if (existsSync(folder)) return;
  makeFolders(dirname(folder));
  mkdirSync(folder, { mode: 0o700 });
}

function makeFolder(folder: string): void {
  try {
    makeFolders(folder);
  } catch (error) {
    throw new SluiceError(
      'failed_precondition',
      `the data folder ${folder} can't be made: ${(error as Error).message}; set another store.path`,
      { field: 'store.path', cause: error },
    );
  }
}

/** Puts aside a database that the machine's crash may have torn; says why, '' when it is whole. */
function giveUp(folder: string, flushed: boolean, writtenInBoot: string): string {
  if (flushed || writtenInBoot === bootId()) return '';
  const torn = join(folder, 'data.mdb.torn');
  rmSync(torn, { force: true });
  try {
    renameSync(join(folder, DATABASE_FILE), torn);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return (
    'the machine stopped before the store was flushed (store.durability is async): ' +
    `its sessions are lost, the old file is ${torn}`
  );
}

function openRoot(folder: string, sync: boolean): RootDatabase {
  const common = { path: folder, noSubdir: false, maxDbs: 4, encoding: 'binary' } as const;
  return sync
    ? open({ ...common, overlappingSync: true, separateFlushed: true })
    : open({ ...common, noSync: true, overlappingSync: false });
}

/** What lmdb's put() takes in place of a view: bytes from start to end, read during the call. */
interface Span extends Uint8Array {
  start?: number;
  end?: number;
}

/** Marks a part of a chunk. A view for each put would cost more than the rest of it here. */
function span(chunk: Uint8Array, offset: number, length: number): Span {
  const marked = chunk as Span;
  marked.start = offset;
  marked.end = offset + length;
  return marked;
}

/** Keys of 8 bytes, most significant first; values as they are, and seen in place. */
function recordOptions() {
  const sight: Sight = { bytes: new Uint8Array(0), length: 0 };
  return {
    keyEncoder: { writeKey, readKey },
    encoder: {
      encode: (value: unknown) => value,
      decode: (bytes: Uint8Array, length: number) => {
        sight.bytes = bytes;
        sight.length = length;
        return sight;
      },
    },
  };
}

function writeKey(key: number, target: Uint8Array, start: number): number {
  let high = Math.floor(key / WORD);
  let low = key >>> 0;
  for (let i = 3; i >= 0; i--) {
    target[start + i] = high & 0xff;
    high >>>= 8;
    target[start + 4 + i] = low & 0xff;
    low >>>= 8;
  }
  return start + 8;
}

function readKey(source: Uint8Array, start: number): number {
  let high = 0;
  let low = 0;
  for (let i = 0; i < 4; i++) {
    high = high * 256 + source[start + i]!;
    low = low * 256 + source[start + 4 + i]!;
  }
  return high * WORD + low;
}

async function reason(error: unknown): Promise<string> {
  try {
    const settled = await error;
    return settled instanceof Error ? settled.message : String(settled);
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}
