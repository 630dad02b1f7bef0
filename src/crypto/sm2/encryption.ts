import { createECDH, type KeyObject, timingSafeEqual } from 'node:crypto';
import { SluiceError } from '../../base/errors.js';
import { SM3_DIGEST_BYTES, sm3Now, wipe } from '../sm3-state.js';
import {
  DER_INTEGER,
  DER_OCTET_STRING,
  DER_SEQUENCE,
  readSequence,
  unsignedOf,
  writeDer,
  writeUnsigned,
} from './der.js';
import { coordinatesOf, EVEN_Y, freshPoints, ODD_Y } from './fresh-points.js';
import { pointOf, SM2_CURVE, SM2_FIELD_BYTES, scalarOf } from './key-bytes.js';

/** SM2 is for keys and short secrets; more is a matter of SM4. */
const MESSAGE_BYTES_MAX = 64 * 1024;
const UNCOMPRESSED = 4;

/**
 * Encrypts a short message, on this thread.
 * @returns DER: x and y of C1, C3, C2. Source: GM/T 0009-2012 clause 7.2
 */
export function encryptNow(publicKey: KeyObject, message: Uint8Array): Buffer {
  if (message.length === 0 || message.length > MESSAGE_BYTES_MAX) {
    throw new SluiceError('invalid_argument', `must have 1 to ${MESSAGE_BYTES_MAX} bytes`, {
      field: 'message',
    });
  }
  const recipient = pointOf(publicKey);
  for (;;) {
    const { c1, shared } = freshPoints(recipient);
    const c2 = keyStream(shared, message.length);
    const used = addTo(c2, message);
    const c3 = checkOf(shared, message);
    wipe(shared);
    // A key stream of zeros has to be drawn again (step A5); it happens with messages of one byte.
    if (!used) continue;
    return writeDer(
      DER_SEQUENCE,
      writeUnsigned(c1.subarray(1, 1 + SM2_FIELD_BYTES)),
      writeUnsigned(c1.subarray(1 + SM2_FIELD_BYTES)),
      writeDer(DER_OCTET_STRING, c3),
      writeDer(DER_OCTET_STRING, c2),
    );
  }
}

/**
 * Decrypts what {@link encryptNow} wrote, on this thread. The multiplication by the private key is
 * OpenSSL's, which takes constant time.
 * @throws SluiceError invalid_argument, the same for all that is wrong
 */
export function decryptNow(privateKey: KeyObject, ciphertext: Uint8Array): Buffer {
  const parts = partsOf(ciphertext);
  const shared = parts === undefined ? undefined : sharedX(privateKey, parts.c1);
  if (parts === undefined || shared === undefined) throw undecryptable();
  try {
    // ECDH gives x alone; C3 says which of the two points with that x it is.
    for (const sign of [EVEN_Y, ODD_Y]) {
      const message = openedWith(coordinatesOf(sign, shared), parts);
      if (message !== undefined) return message;
    }
  } finally {
    wipe(shared);
  }
  throw undecryptable();
}

interface Parts {
  readonly c1: Buffer;
  readonly c2: Buffer;
  readonly c3: Buffer;
}

function partsOf(ciphertext: Uint8Array): Parts | undefined {
  const tags = [DER_INTEGER, DER_INTEGER, DER_OCTET_STRING, DER_OCTET_STRING];
  const members = readSequence(ciphertext, tags);
  if (members === undefined) return undefined;
  const x = unsignedOf(members[0]!, SM2_FIELD_BYTES);
  const y = unsignedOf(members[1]!, SM2_FIELD_BYTES);
  const c3 = members[2]!.content;
  const c2 = members[3]!.content;
  const fits = c3.length === SM3_DIGEST_BYTES && c2.length > 0;
  if (x === undefined || y === undefined || !fits) return undefined;
  return { c1: Buffer.concat([Buffer.from([UNCOMPRESSED]), x, y]), c2, c3 };
}

function sharedX(privateKey: KeyObject, c1: Buffer): Buffer | undefined {
  const scalar = scalarOf(privateKey);
  try {
    const ecdh = createECDH(SM2_CURVE);
    ecdh.setPrivateKey(scalar);
    return ecdh.computeSecret(c1);
  } catch (error) {
    // A point that is not on the curve.
    if ((error as NodeJS.ErrnoException).code !== 'ERR_CRYPTO_ECDH_INVALID_PUBLIC_KEY') throw error;
    return undefined;
  } finally {
    wipe(scalar);
  }
}

/** Source: GB/T 32918.4-2016 clause 7.1, steps B4 to B6. */
function openedWith(point: Buffer, { c2, c3 }: Parts): Buffer | undefined {
  const message = keyStream(point, c2.length);
  const used = addTo(message, c2);
  const opened = timingSafeEqual(checkOf(point, message), c3) && used;
  wipe(point);
  if (opened) return message;
  wipe(message);
  return undefined;
}

/** Adds bytes to a key stream. @returns whether the stream had anything but zeros */
function addTo(stream: Buffer, bytes: Uint8Array): boolean {
  let used = 0;
  for (let i = 0; i < stream.length; i++) {
    used |= stream[i]!;
    stream[i]! ^= bytes[i]!;
  }
  return used !== 0;
}

/** C3: x, the message, y. */
function checkOf(point: Buffer, message: Uint8Array): Buffer {
  return sm3Now(point.subarray(0, SM2_FIELD_BYTES), message, point.subarray(SM2_FIELD_BYTES));
}

/** Source: GB/T 32918.4-2016 clause 5.4.3. */
function keyStream(shared: Buffer, bytes: number): Buffer {
  const stream = Buffer.alloc(bytes);
  const counter = Buffer.alloc(4);
  for (let at = 0, count = 1; at < bytes; at += SM3_DIGEST_BYTES, count++) {
    counter.writeUInt32BE(count);
    sm3Now(shared, counter).copy(stream, at);
  }
  return stream;
}

function undecryptable(): SluiceError {
  return new SluiceError('invalid_argument', 'cannot be decrypted with this key', {
    field: 'ciphertext',
  });
}
