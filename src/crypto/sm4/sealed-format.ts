/**
 * The format of sealed streams, version 1, as docs/SM4.md writes it down: a head with a salt, then
 * chunks under SM4-GCM, each with its number and whether it is the last one in its IV. Here are
 * head, keys and chunks, at once and on any thread; sealed-stream.ts has the streams.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { SluiceError } from '../../base/errors.js';
import { nativeCrypto } from '../native.js';
import { hmacSm3Now, wipe } from '../sm3-state.js';
import { GCM_IV_BYTES, GCM_TAG_BYTES, SM4_KEY_BYTES } from './gcm-now.js';

const MAGIC = Buffer.from('SLSEALED', 'latin1');
const VERSION = 1;
/** SM4-GCM with tags of 16 bytes, keys by HKDF (RFC 5869) over HMAC-SM3. */
const SUITE_SM4_GCM_HKDF_SM3 = 1;
const CHUNK_BITS = 16;
const SALT_BYTES = 32;
const KEY_CHECK_BYTES = 16;
const FIELDS_BYTES = MAGIC.length + 4;
const LABEL = Buffer.from('sluice sealed stream', 'latin1');

export const HEAD_BYTES = FIELDS_BYTES + SALT_BYTES + KEY_CHECK_BYTES;
/** Of plain text in a chunk; the last one may have less. */
export const CHUNK_BYTES = 1 << CHUNK_BITS;
export const SEALED_CHUNK_BYTES = CHUNK_BYTES + GCM_TAG_BYTES;

const FIELDS = Buffer.concat([
  MAGIC,
  Buffer.from([VERSION, SUITE_SM4_GCM_HKDF_SM3, CHUNK_BITS, 0]),
]);
const NO_AAD = new Uint8Array(0);

/** A head and the key of its chunks. Wipe the key. */
export interface Opening {
  readonly head: Buffer;
  readonly chunkKey: Buffer;
}

/** A new head, whose salt makes its chunk key its own. */
export function newHead(key: Uint8Array, context: Uint8Array): Opening {
  const salt = randomBytes(SALT_BYTES);
  const { chunkKey, check } = derived(key, salt, context);
  return { head: Buffer.concat([FIELDS, salt, check]), chunkKey };
}

/**
 * The chunk key of a head.
 * @throws SluiceError invalid_argument: no head, another version, another key or context
 */
export function readHead(key: Uint8Array, head: Buffer, context: Uint8Array): Opening {
  if (head.length < HEAD_BYTES || !head.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw refused('is not sealed by Sluice');
  }
  const [version, suite, bits, zero] = head.subarray(MAGIC.length, FIELDS_BYTES);
  if (version !== VERSION) throw refused(`is of version ${version}; this program reads ${VERSION}`);
  if (suite !== SUITE_SM4_GCM_HKDF_SM3 || bits !== CHUNK_BITS || zero !== 0) {
    throw refused('has a head that version 1 does not have');
  }
  const salt = head.subarray(FIELDS_BYTES, FIELDS_BYTES + SALT_BYTES);
  const { chunkKey, check } = derived(key, salt, context);
  if (!timingSafeEqual(check, head.subarray(FIELDS_BYTES + SALT_BYTES, HEAD_BYTES))) {
    wipe(chunkKey);
    throw refused('is sealed with another key, or its head is damaged');
  }
  return { head, chunkKey };
}

/** Chunks that lie one behind the other; the first has this number. */
export interface ChunkRun {
  readonly chunkKey: Uint8Array;
  readonly first: number;
  readonly bytes: Uint8Array;
  /** The last of them is the last of the stream. */
  readonly last: boolean;
}

/** Seals whole chunks, of which the stream's last may be shorter or empty. */
export function sealChunks({ chunkKey, first, bytes, last }: ChunkRun): Uint8Array<ArrayBuffer> {
  const count = Math.max(1, Math.ceil(bytes.length / CHUNK_BYTES));
  const sealed = new Uint8Array(bytes.length + count * GCM_TAG_BYTES);
  for (let i = 0; i < count; i++) {
    const plain = bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES);
    const out = sealed.subarray(i * SEALED_CHUNK_BYTES, i * SEALED_CHUNK_BYTES + plain.length);
    const end = i * SEALED_CHUNK_BYTES + plain.length;
    const tag = sealed.subarray(end, end + GCM_TAG_BYTES);
    const iv = chunkIv(first + i, last && i === count - 1);
    nativeCrypto().sm4GcmSeal(chunkKey, iv, NO_AAD, plain, out, tag);
  }
  return sealed;
}

/** The plain text of sealed chunks. @throws SluiceError invalid_argument that says where it ends */
export function openChunks({ chunkKey, first, bytes, last }: ChunkRun): Uint8Array<ArrayBuffer> {
  const count = Math.max(1, Math.ceil(bytes.length / SEALED_CHUNK_BYTES));
  const plainBytes = bytes.length - count * GCM_TAG_BYTES;
  if (plainBytes < (count - 1) * CHUNK_BYTES) throw broken(first + count - 1);
  const plain = new Uint8Array(plainBytes);
  for (let i = 0; i < count; i++) {
    const sealed = bytes.subarray(i * SEALED_CHUNK_BYTES, (i + 1) * SEALED_CHUNK_BYTES);
    const length = sealed.length - GCM_TAG_BYTES;
    const out = plain.subarray(i * CHUNK_BYTES, i * CHUNK_BYTES + length);
    const iv = chunkIv(first + i, last && i === count - 1);
    const tag = sealed.subarray(length);
    const input = sealed.subarray(0, length);
    if (!nativeCrypto().sm4GcmOpen(chunkKey, iv, NO_AAD, input, out, tag)) throw broken(first + i);
  }
  return plain;
}

/** Three zeros, the number in 8 bytes, and 1 for the last chunk: never the same twice for a key. */
function chunkIv(number: number, last: boolean): Buffer {
  const iv = Buffer.alloc(GCM_IV_BYTES);
  iv.writeBigUInt64BE(BigInt(number), 3);
  iv[GCM_IV_BYTES - 1] = last ? 1 : 0;
  return iv;
}

/** HKDF with one block of output: the chunk key, and a value that tells another key by. */
function derived(
  key: Uint8Array,
  salt: Uint8Array,
  context: Uint8Array,
): { readonly chunkKey: Buffer; readonly check: Buffer } {
  const extracted = hmacSm3Now(salt, key);
  const block = hmacSm3Now(extracted, Buffer.concat([LABEL, FIELDS, context, Buffer.from([1])]));
  wipe(extracted);
  const chunkKey = Buffer.alloc(SM4_KEY_BYTES, block.subarray(0, SM4_KEY_BYTES));
  return { chunkKey, check: block.subarray(SM4_KEY_BYTES) };
}

function broken(chunk: number): SluiceError {
  const at = HEAD_BYTES + chunk * SEALED_CHUNK_BYTES;
  return refused(`is damaged, cut off or put together otherwise in the chunk at byte ${at}`);
}

function refused(message: string): SluiceError {
  return new SluiceError('invalid_argument', message, { field: 'sealed' });
}
