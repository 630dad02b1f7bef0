/** A store in memory: for tests, and for runs that need nothing to survive. */
import { SluiceError } from '../base/errors.js';
import type { NumberedRecords, RecordVisitor, Store } from './store.js';

/** What outlives one MemoryStore, as a folder outlives an embedded one. */
export class MemoryStoreContents {
  readonly records = new Map<number, Uint8Array>();
  readonly reports = new Map<number, Uint8Array>();
  readonly meta = new Map<string, Uint8Array>();
  recoveryTimeStamp = Math.floor(Date.now() / 1000);
}

class MemoryRecords implements NumberedRecords {
  /** @param gather  takes each write, to be made with the commit. */
  constructor(
    private readonly records: Map<number, Uint8Array>,
    private readonly gather: (write: () => void) => void,
  ) {}

  put(key: number, chunk: Uint8Array, offset: number, length: number): void {
    // Copied when the commit is made, not now: a caller that changes the bytes shall notice.
    this.gather(() => {
      this.records.set(key, chunk.slice(offset, offset + length));
    });
  }
  remove(key: number): void {
    this.gather(() => {
      this.records.delete(key);
    });
  }
  recordCount(): number {
    return this.records.size;
  }
  lastKey(): number {
    let last = -1;
    for (const key of this.records.keys()) last = Math.max(last, key);
    return last;
  }
  scan(after: number, visit: RecordVisitor): void {
    const keys = [...this.records.keys()].filter((key) => key > after);
    for (const key of keys.sort((a, b) => a - b)) {
      const bytes = this.records.get(key)!;
      if (!visit(key, bytes, bytes.length)) return;
    }
  }
}

export class MemoryStore extends MemoryRecords implements Store {
  readonly lost = '';
  readonly reports: NumberedRecords;
  /** Commits from now on that are to fail. */
  failCommits = 0;
  /** While set, commits take effect only when it resolves. */
  hold: Promise<void> | null = null;
  commits = 0;
  #gathered: (() => void)[] = [];
  #last: Promise<void> = Promise.resolve();

  constructor(readonly contents = new MemoryStoreContents()) {
    const gather = (write: () => void) => {
      this.#gathered.push(write);
    };
    super(contents.records, gather);
    this.reports = new MemoryRecords(contents.reports, gather);
  }

  get recoveryTimeStamp(): number {
    return this.contents.recoveryTimeStamp;
  }

  putMeta(name: string, value: Uint8Array): void {
    const copy = value.slice();
    this.#gathered.push(() => {
      this.contents.meta.set(name, copy);
    });
  }

  commit(): Promise<void> {
    const gathered = this.#gathered;
    this.#gathered = [];
    this.commits++;
    const fails = this.failCommits > 0;
    if (fails) this.failCommits--;
    const hold = this.hold;
    const done = this.#last.then(async () => {
      if (hold !== null) await hold;
      if (fails) throw new SluiceError('unavailable', 'the store failed: told to');
      for (const write of gathered) write();
    });
    this.#last = done.catch(() => undefined);
    return done;
  }

  getMeta(name: string): Uint8Array | undefined {
    return this.contents.meta.get(name)?.slice();
  }

  async close(): Promise<void> {
    await this.#last;
  }
}
