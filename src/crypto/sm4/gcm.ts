import { runTask } from '../pool/pool.js';
import type { WorkOptions } from '../pool/source.js';
import { checkSm4Key, openNow, sealNow } from './gcm-now.js';
import { openStream, sealStream } from './sealed-stream.js';

/** Up to here the way to a thread takes longer than the work. */
const INLINE_BYTES_MAX = 64 * 1024;

export interface GcmOptions extends WorkOptions {
  /** Authenticated beside the message and not in it; to open it the same has to be given. */
  readonly aad?: Uint8Array | undefined;
}

/**
 * SM4-GCM. `seal` and `open` are for messages in memory, up to some megabytes and 2^32 of them with
 * one key; `sealStream` and `openStream` for what is larger, in the format of docs/SM4.md.
 */
export const sm4Gcm = {
  /** @param key  16 bytes. @returns a random IV of 12 bytes, the ciphertext, the tag of 16 bytes */
  async seal(key: Uint8Array, message: Uint8Array, options: GcmOptions = {}): Promise<Buffer> {
    checkSm4Key(key);
    options.signal?.throwIfAborted();
    const { aad } = options;
    if (message.length <= INLINE_BYTES_MAX) return bufferOf(sealNow(key, message, aad));
    return onPool('sealSm4', key, message, aad);
  },

  /** @throws SluiceError invalid_argument: damaged, another key or other additional data */
  async open(key: Uint8Array, sealed: Uint8Array, options: GcmOptions = {}): Promise<Buffer> {
    checkSm4Key(key);
    options.signal?.throwIfAborted();
    const { aad } = options;
    if (sealed.length <= INLINE_BYTES_MAX) return bufferOf(openNow(key, sealed, aad));
    return onPool('openSm4', key, sealed, aad);
  },

  sealStream,
  openStream,
};

/** The thread gets a key of its own, which is moved there and wiped there. */
async function onPool(
  kind: 'sealSm4' | 'openSm4',
  key: Uint8Array,
  bytes: Uint8Array,
  aad: Uint8Array | undefined,
): Promise<Buffer> {
  const own = Uint8Array.from(key);
  return bufferOf(await runTask({ kind, key: own, bytes, aad }, [own.buffer]));
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
