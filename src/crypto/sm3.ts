import { SluiceError } from '../base/errors.js';
import { runTask } from './pool/pool.js';
import { chunksOf, type Source, type WorkOptions } from './pool/source.js';
import { finishSm3, type Sm3Progress, startSm3, wipe } from './sm3-state.js';

/** A chunk takes a thread half a millisecond, against some ten microseconds to get there and back. */
const CHUNK_BYTES = 256 * 1024;
/** Up to here the way to a thread takes longer than the work. */
const INLINE_BYTES_MAX = 16 * 1024;

/**
 * SM3 (GB/T 32905-2016): 32 bytes. Short messages are done at once, all else on the pool, chunk by
 * chunk; a stream is read no faster than it is hashed.
 * @throws the signal's reason when it aborts, what the stream throws, resource_exhausted
 */
export function sm3(source: Source, options: WorkOptions = {}): Promise<Buffer> {
  return digestOf(undefined, source, options);
}

/**
 * HMAC-SM3 (RFC 2104, GM/T 0042-2015): 32 bytes; otherwise as {@link sm3}.
 * @param key  of any length but none; one of less than 32 bytes is weaker than the digest
 */
export function hmacSm3(
  key: Uint8Array,
  source: Source,
  options: WorkOptions = {},
): Promise<Buffer> {
  return digestOf(key, source, options);
}

async function digestOf(
  key: Uint8Array | undefined,
  source: Source,
  options: WorkOptions,
): Promise<Buffer> {
  if (key?.length === 0) {
    throw new SluiceError('invalid_argument', 'must not be empty', { field: 'key' });
  }
  options.signal?.throwIfAborted();
  const start = startSm3(key);
  if (source instanceof Uint8Array && source.length <= INLINE_BYTES_MAX) {
    return finishSm3(start, source);
  }
  let progress = start;
  let under: Promise<Sm3Progress> | undefined;
  try {
    for await (const { bytes, last } of chunksOf(source, CHUNK_BYTES, options)) {
      // The next chunk was read while this one was worked on.
      if (under !== undefined) progress = await under;
      under = undefined;
      if (last) return finishSm3(progress, bytes);
      under = runTask({ kind: 'absorbSm3', progress, blocks: bytes }, [
        bytes.buffer,
        progress.state.buffer,
      ]);
      // Looked at in the next round; until then a failure must not count as unhandled.
      under.catch(() => {});
    }
    throw new SluiceError('internal', 'a source ended without a last chunk');
  } finally {
    wipe(progress.state);
  }
}
