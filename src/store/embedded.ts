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
import { LmdbRecords, openRecords } from './lmdb-records.js';
import type { RecordVisitor, Store } from './store.js';

export interface EmbeddedStoreOptions {
  readonly path: string;
  readonly durability: 'async' | 'sync';
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

const DATABASE_FILE = 'data.mdb';

/** A promise of lmdb: settled when committed; `flushed` when on disk. */
type Committed = Promise<boolean> & { readonly flushed?: Promise<unknown> };
export class EmbeddedStore implements Store {
  readonly reports: LmdbRecords;
  readonly #sessions: LmdbRecords;
  #pending: Committed[] = [];
  #last: Promise<unknown> = Promise.resolve();
  /** Behind a commit that failed, lmdb's own waits for what is under way may never end. */
  #lastFailed = false;
  #closed: Promise<void> | null = null;

  private constructor(
    private readonly folder: string,
    private readonly sync: boolean,
    private readonly lock: FolderLock,
    private readonly root: RootDatabase,
    private readonly meta: Database<Buffer, string>,
    readonly recoveryTimeStamp: number,
    readonly lost: string,
  ) {
    const gather = (promise: Promise<boolean>) => this.#gather(promise);
    hearOut(root);
    this.#sessions = new LmdbRecords(openRecords(root, 'records'), gather);
    this.reports = new LmdbRecords(openRecords(root, 'reports'), gather);
  }

  /** Opens or makes the folder; a SluiceError says what is wrong with it. */
  static open(options: EmbeddedStoreOptions): EmbeddedStore {
    const folder = options.path;
    const sync = options.durability === 'sync';
    makeFolder(folder);
    const lock = takeLock(folder);
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
      const meta = root.openDB<Buffer, string>({ name: 'meta', encoding: 'binary' });
      return new EmbeddedStore(folder, sync, lock, root, meta, stamp, lost);
    } catch (error) {
      lock.release();
      throw cannotOpen(folder, error);
    }
  }

  put(key: number, chunk: Uint8Array, offset: number, length: number): void {
    this.#sessions.put(key, chunk, offset, length);
  }
  remove(key: number): void {
    this.#sessions.remove(key);
  }
  putMeta(name: string, value: Uint8Array): void {
    this.#gather(this.meta.put(name, Buffer.from(value)));
  }

  commit(): Promise<void> {
    const pending = this.#pending;
    if (pending.length === 0) return Promise.resolve();
    this.#pending = [];
    const done = this.#settle(pending);
    this.#last = done.catch(() => undefined);
    return done;
  }

  getMeta(name: string): Uint8Array | undefined {
    return this.meta.get(name);
  }
  recordCount(): number {
    return this.#sessions.recordCount();
  }
  lastKey(): number {
    return this.#sessions.lastKey();
  }
  scan(after: number, visit: RecordVisitor): void {
    this.#sessions.scan(after, visit);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Writes of one turn of the event loop share a promise, until lmdb begins a new buffer. */
  #gather(promise: Promise<boolean>): void {
    if (promise !== this.#pending.at(-1)) this.#pending.push(promise as Committed);
  }

  async #settle(pending: readonly Committed[]): Promise<void> {
    try {
      await Promise.all(pending);
      if (this.sync) await Promise.all(pending.map(({ flushed }) => flushed));
      this.#lastFailed = false;
    } catch (error) {
      this.#lastFailed = true;
      const cause = (error as { commitError?: unknown }).commitError;
      const why = await reason(cause ?? error);
      throw new SluiceError('unavailable', `the store failed: ${why}`, { cause: error });
    }
  }

  async #close(): Promise<void> {
    await this.#last;
    if (!this.#lastFailed) {
      await this.root.flushed;
      await this.root.close();
    }
    try {
      flushDatabase(this.folder);
      writeState(this.folder, state(true, this.recoveryTimeStamp));
    } finally {
      this.lock.release();
    }
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

function takeLock(folder: string): FolderLock {
  try {
    return FolderLock.take(folder);
  } catch (error) {
    throw cannotOpen(folder, error);
  }
}

function cannotOpen(folder: string, error: unknown): SluiceError {
  if (error instanceof SluiceError) return error;
  return new SluiceError(
    'failed_precondition',
    `the store in ${folder} can't be opened: ${(error as Error).message}`,
    { field: 'store.path', cause: error },
  );
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

/**
 * The end of a turn's writes is a write of lmdb's own, whose promise nobody is given: when the
 * commit fails, it is rejected like those that commit() waits for, and has to be heard.
 */
function hearOut(root: RootDatabase): void {
  const ignore = (): void => undefined;
  root.on('beforecommit', () => queueMicrotask(() => root.committed.then(ignore, ignore)));
}

async function reason(error: unknown): Promise<string> {
  try {
    const settled = await error;
    return settled instanceof Error ? settled.message : String(settled);
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}
