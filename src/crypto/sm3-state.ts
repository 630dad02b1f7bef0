import { type NativeCrypto, nativeCrypto, type Tier } from './native.js';

export const SM3_DIGEST_BYTES = 32;
export const SM3_BLOCK_BYTES = 64;
const HMAC_STATE_BYTES = 64;

/** How far a digest has come: what a message to another thread carries. */
export interface Sm3Progress {
  /** 32 bytes, of an HMAC 64, which are as secret as its key. */
  readonly state: Uint8Array<ArrayBuffer>;
  /** Bytes that the state has taken: whole blocks. An HMAC's begin with the block of its key. */
  readonly taken: number;
}

/** A digest, or with a key an HMAC-SM3, that has taken nothing yet. */
export function startSm3(key?: Uint8Array): Sm3Progress {
  const native = nativeCrypto();
  if (key === undefined) {
    const state = new Uint8Array(SM3_DIGEST_BYTES);
    native.sm3Start(state);
    return { state, taken: 0 };
  }
  const state = new Uint8Array(HMAC_STATE_BYTES);
  native.hmacSm3Start(state, key);
  return { state, taken: SM3_BLOCK_BYTES };
}

/** Takes whole blocks. The state is changed in place. */
export function absorbSm3(progress: Sm3Progress, blocks: Uint8Array, tier?: Tier): Sm3Progress {
  nativeCrypto().sm3Absorb(progress.state, blocks, tier);
  return { state: progress.state, taken: progress.taken + blocks.length };
}

/** Takes the last bytes, of any number. The state is wiped. */
export function finishSm3(progress: Sm3Progress, rest: Uint8Array, tier?: Tier): Buffer {
  const digest = Buffer.alloc(SM3_DIGEST_BYTES);
  nativeCrypto().sm3Finish(progress.state, rest, progress.taken, digest, tier);
  return digest;
}

/** The digest of a message of a few parts, on this thread. */
export function sm3Now(...parts: readonly Uint8Array[]): Buffer {
  return finishSm3(startSm3(), parts.length === 1 ? parts[0]! : Buffer.concat(parts));
}

/** The HMAC of a short message, on this thread. */
export function hmacSm3Now(key: Uint8Array, message: Uint8Array): Buffer {
  return finishSm3(startSm3(key), message);
}

/** As {@link NativeCrypto.wipe}. */
export const wipe: NativeCrypto['wipe'] = (bytes) => nativeCrypto().wipe(bytes);
