import { randomFillSync } from 'node:crypto';
import { SluiceError } from '../../base/errors.js';
import { nativeCrypto } from '../native.js';

export const SM4_KEY_BYTES = 16;
export const GCM_IV_BYTES = 12;
export const GCM_TAG_BYTES = 16;
/** What a sealed message has more than the message. */
export const GCM_ADDED_BYTES = GCM_IV_BYTES + GCM_TAG_BYTES;

const NO_AAD = new Uint8Array(0);

/** @throws SluiceError invalid_argument */
export function checkSm4Key(key: Uint8Array): void {
  if (key.length === SM4_KEY_BYTES) return;
  throw new SluiceError('invalid_argument', `must have ${SM4_KEY_BYTES} bytes, not ${key.length}`, {
    field: 'key',
  });
}

/** Seals on this thread, with a random IV. @returns IV, ciphertext, tag */
export function sealNow(
  key: Uint8Array,
  message: Uint8Array,
  aad: Uint8Array = NO_AAD,
): Uint8Array<ArrayBuffer> {
  const sealed = new Uint8Array(GCM_ADDED_BYTES + message.length);
  const iv = randomFillSync(sealed.subarray(0, GCM_IV_BYTES));
  const end = GCM_IV_BYTES + message.length;
  const out = sealed.subarray(GCM_IV_BYTES, end);
  nativeCrypto().sm4GcmSeal(key, iv, aad, message, out, sealed.subarray(end));
  return sealed;
}

/** @throws SluiceError invalid_argument, the same for all that is wrong with it */
export function openNow(
  key: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array = NO_AAD,
): Uint8Array<ArrayBuffer> {
  const length = sealed.length - GCM_ADDED_BYTES;
  if (length >= 0) {
    const message = new Uint8Array(length);
    const iv = sealed.subarray(0, GCM_IV_BYTES);
    const input = sealed.subarray(GCM_IV_BYTES, GCM_IV_BYTES + length);
    const tag = sealed.subarray(GCM_IV_BYTES + length);
    if (nativeCrypto().sm4GcmOpen(key, iv, aad, input, message, tag)) return message;
  }
  throw new SluiceError('invalid_argument', 'is damaged, or sealed with another key', {
    field: 'sealed',
  });
}
