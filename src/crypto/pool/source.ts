import { SluiceError } from '../../base/errors.js';

/** What is hashed, signed or sealed: bytes in memory, or a stream of them of any size. */
export type Source = Uint8Array | AsyncIterable<Uint8Array>;

export interface WorkOptions {
  /** Ends the work between two chunks; the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A piece of a source in memory of its own, which may be handed to another thread. */
export interface Chunk {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly last: boolean;
}

/**
 * Cuts a source into chunks of exactly `size` bytes, but for the last, which may have any number up
 * to that, none included. A stream is read only as far as chunks are asked for; it is ended when
 * the caller stops early or the signal aborts, also while it waits for data.
 */
export async function* chunksOf(
  source: Source,
  size: number,
  { signal }: WorkOptions = {},
): AsyncGenerator<Chunk> {
  let chunk = new Uint8Array(size);
  let filled = 0;
  for await (const part of partsOf(source, signal)) {
    checkPart(part);
    for (let at = 0; at < part.length; ) {
      if (filled === size) {
        signal?.throwIfAborted();
        yield { bytes: chunk, last: false };
        chunk = new Uint8Array(size);
        filled = 0;
      }
      const taken = Math.min(size - filled, part.length - at);
      chunk.set(part.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
    }
  }
  signal?.throwIfAborted();
  yield { bytes: chunk.subarray(0, filled), last: true };
}

export interface Headed {
  readonly head: Buffer;
  readonly rest: AsyncIterable<Uint8Array>;
  readonly end: () => Promise<void>;
}

/** The first bytes of a source, fewer if it has no more, what follows them, and how to end it. */
export async function headOf(
  source: Source,
  size: number,
  options: WorkOptions = {},
): Promise<Headed> {
  const parts = partsOf(source, options.signal);
  const taken: Uint8Array[] = [];
  let length = 0;
  while (length < size) {
    const next = await parts.next();
    if (next.done === true) break;
    checkPart(next.value);
    taken.push(next.value);
    length += next.value.length;
  }
  const all = Buffer.concat(taken);
  const rest = (async function* () {
    if (all.length > size) yield all.subarray(size);
    yield* parts;
  })();
  const end = async (): Promise<void> => {
    await parts.return(undefined);
  };
  return { head: all.subarray(0, size), rest, end };
}

async function* partsOf(
  source: Source,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  if (source instanceof Uint8Array) yield source;
  else yield* abortable(source, signal);
}

function checkPart(part: unknown): asserts part is Uint8Array {
  if (part instanceof Uint8Array) return;
  const found = typeof part === 'string' ? 'text; leave its encoding unset' : typeof part;
  throw new SluiceError('invalid_argument', `the stream has to bring bytes, but brought ${found}`);
}

/** A stream that ends with the signal's reason even while it waits. */
async function* abortable(
  stream: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  if (signal === undefined) {
    yield* stream;
    return;
  }
  signal.throwIfAborted();
  const iterator = stream[Symbol.asyncIterator]();
  let abort: () => void = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
  });
  // Nobody may be waiting for it when it comes.
  aborted.catch(() => {});
  signal.addEventListener('abort', abort);
  let ended = false;
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), aborted]);
      if (next.done === true) {
        ended = true;
        return;
      }
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    // Not waited for: a stream that hangs may never answer.
    if (!ended) void iterator.return?.()?.catch(() => {});
  }
}
