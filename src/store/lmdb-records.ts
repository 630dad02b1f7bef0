/**
 * Numbered records in one of lmdb's databases. Keys only grow, because appending costs a
 * seventh of inserting at random. Owner: the control thread.
 */
import type { Database, RootDatabase } from 'lmdb';
import type { NumberedRecords, RecordVisitor } from './store.js';

const WORD = 2 ** 32;

/** Where lmdb leaves a value while scanning: valid until it moves on. */
interface Sight {
  bytes: Uint8Array;
  length: number;
}

export class LmdbRecords implements NumberedRecords {
  /** @param gather  takes the promise of each write. */
  constructor(
    private readonly records: Database<unknown, number>,
    private readonly gather: (promise: Promise<boolean>) => void,
  ) {}

  put(key: number, chunk: Uint8Array, offset: number, length: number): void {
    this.gather(this.records.put(key, span(chunk, offset, length)));
  }
  remove(key: number): void {
    this.gather(this.records.remove(key));
  }
  recordCount(): number {
    return (this.records.getStats() as { entryCount: number }).entryCount;
  }
  lastKey(): number {
    for (const key of this.records.getKeys({ reverse: true, limit: 1 })) return key;
    // lmdb's way down ends before a key of zeros alone.
    return this.records.doesExist(0) ? 0 : -1;
  }
  scan(after: number, visit: RecordVisitor): void {
    for (const { key, value } of this.records.getRange({ start: after + 1 })) {
      const { bytes, length } = value as Sight;
      if (!visit(key, bytes, length)) return;
    }
  }
}

export function openRecords(root: RootDatabase, name: string): Database<unknown, number> {
  return root.openDB<unknown, number>({ name, ...recordOptions() });
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

/** What lmdb's put() takes in place of a view: bytes of its memory from start to end. */
interface Span extends Uint8Array {
  start?: number;
  end?: number;
}

/** Marks a part of a chunk. A view for each put would cost more than the rest of it here. */
function span(chunk: Uint8Array, offset: number, length: number): Span {
  const marked = chunk as Span;
  // Counted from where the memory begins, which need not be where the chunk does.
  marked.start = chunk.byteOffset + offset;
  marked.end = marked.start + length;
  return marked;
}
