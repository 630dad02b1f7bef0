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
    return bufferOf(await runTask({ kind: 'sealSm4', key, bytes: message, aad }));
  },

  /** @throws SluiceError invalid_argument: damaged, another key or other additional data */
  async open(key: Uint8Array, sealed: Uint8Array, options: GcmOptions = {}): Promise<Buffer> {
    checkSm4Key(key);
    options.signal?.throwIfAborted();
    const { aad } = options;
    if (sealed.length <= INLINE_BYTES_MAX) return bufferOf(openNow(key, sealed, aad));
    return bufferOf(await runTask({ kind: 'openSm4', key, bytes: sealed, aad }));
  },

  sealStream,
  openStream,
};

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
