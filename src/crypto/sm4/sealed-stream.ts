import { runTask } from '../pool/pool.js';
import { chunksOf, headOf, type Source, type WorkOptions } from '../pool/source.js';
import { wipe } from '../sm3-state.js';
import { checkSm4Key } from './gcm-now.js';
import { CHUNK_BYTES, HEAD_BYTES, newHead, readHead, SEALED_CHUNK_BYTES } from './sealed-format.js';

/** A megabyte a task: half a millisecond, with the way to a thread and back a small part of it. */
const RUN_CHUNKS = 16;
/** Runs under way for one stream, so that all threads have something to do. */
const RUNS_AHEAD = 3;

export interface SealOptions extends WorkOptions {
  /** What the stream is for, such as the name of a record; to open it the same has to be given. */
  readonly context?: Uint8Array | undefined;
}

const NO_CONTEXT = new Uint8Array(0);

/**
 * Seals a source of any size, part by part in order; it is read as fast as parts are taken.
 * @param key  16 bytes, of which each stream uses a derivation of its own
 */
export async function* sealStream(
  key: Uint8Array,
  source: Source,
  options: SealOptions = {},
): AsyncGenerator<Buffer> {
  checkSm4Key(key);
  options.signal?.throwIfAborted();
  const { head, chunkKey } = newHead(key, options.context ?? NO_CONTEXT);
  try {
    yield head;
    yield* inRuns('sealChunks', chunkKey, source, CHUNK_BYTES, options);
  } finally {
    wipe(chunkKey);
  }
}

/**
 * Opens what {@link sealStream} wrote. Each part is authentic when it comes, but only the end of the
 * iteration says that none is missing.
 * @throws SluiceError invalid_argument: another key or context; damaged, cut off, put in another order
 */
export async function* openStream(
  key: Uint8Array,
  source: Source,
  options: SealOptions = {},
): AsyncGenerator<Buffer> {
  checkSm4Key(key);
  options.signal?.throwIfAborted();
  const { head, rest, end } = await headOf(source, HEAD_BYTES, options);
  try {
    const { chunkKey } = readHead(key, head, options.context ?? NO_CONTEXT);
    try {
      yield* inRuns('openChunks', chunkKey, rest, SEALED_CHUNK_BYTES, options);
    } finally {
      wipe(chunkKey);
    }
  } finally {
    await end();
  }
}

/** Runs of chunks on the pool, several at once, given back in their order. */
async function* inRuns(
  kind: 'sealChunks' | 'openChunks',
  chunkKey: Uint8Array,
  source: Source,
  chunkBytes: number,
  options: WorkOptions,
): AsyncGenerator<Buffer> {
  const under: Promise<Uint8Array<ArrayBuffer>>[] = [];
  let first = 0;
  try {
    for await (const { bytes, last } of chunksOf(source, RUN_CHUNKS * chunkBytes, options)) {
      // The thread gets a key of its own, which is moved there and wiped there.
      const own = Uint8Array.from(chunkKey);
      const task = { kind, chunkKey: own, first, bytes, last };
      const run = runTask(task, [bytes.buffer, own.buffer]);
      // Waited for in its turn; a failure before that must not count as unhandled.
      run.catch(() => {});
      under.push(run);
      first += RUN_CHUNKS;
      if (under.length > RUNS_AHEAD) yield* part(await under.shift()!);
    }
    while (under.length > 0) yield* part(await under.shift()!);
  } finally {
    // Whoever stops early leaves no work behind.
    await Promise.allSettled(under);
  }
}

function* part(bytes: Uint8Array<ArrayBuffer>): Generator<Buffer> {
  if (bytes.length > 0) yield Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
