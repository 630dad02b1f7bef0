import { createECDH, ECDH, type KeyObject, timingSafeEqual } from 'node:crypto';
import { createRequire } from 'node:module';
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
import { pointOf, SM2_FIELD_BYTES, scalarOf } from './key-bytes.js';

/** SM2 is for keys and short secrets; more is a matter of SM4. */
const MESSAGE_BYTES_MAX = 64 * 1024;
const CURVE = 'SM2';
const UNCOMPRESSED = 4;
const C1C3C2 = 1;

type SmCrypto = typeof import('sm-crypto-v2');

/** Loaded when it is needed first: nothing else of a node needs it. */
function smCrypto(): SmCrypto {
  return createRequire(import.meta.url)('sm-crypto-v2') as SmCrypto;
}

/**
 * Encrypts a short message, on this thread. node:crypto has no SM2 encryption, and its ECDH gives no
 * y, so this side, which has no lasting secret, is sm-crypto-v2's.
 * @returns DER: x and y of C1, C3, C2. Source: GM/T 0009-2012 clause 7.2
 */
export function encryptNow(publicKey: KeyObject, message: Uint8Array): Buffer {
  if (message.length === 0 || message.length > MESSAGE_BYTES_MAX) {
    throw new SluiceError('invalid_argument', `must have 1 to ${MESSAGE_BYTES_MAX} bytes`, {
      field: 'message',
    });
  }
  const point = pointOf(publicKey).toString('hex');
  for (;;) {
    const raw = Buffer.from(smCrypto().sm2.doEncrypt(message, point, C1C3C2), 'hex');
    const x = raw.subarray(0, SM2_FIELD_BYTES);
    const y = raw.subarray(SM2_FIELD_BYTES, 2 * SM2_FIELD_BYTES);
    const c3 = raw.subarray(2 * SM2_FIELD_BYTES, 2 * SM2_FIELD_BYTES + SM3_DIGEST_BYTES);
    const c2 = raw.subarray(2 * SM2_FIELD_BYTES + SM3_DIGEST_BYTES);
    // A key stream of zeros has to be drawn again (step A5); it happens with messages of one byte.
    if (c2.equals(message)) continue;
    return writeDer(
      DER_SEQUENCE,
      writeUnsigned(x),
      writeUnsigned(y),
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
    for (const sign of [2, 3]) {
      const message = openedWith(uncompressed(sign, shared), parts);
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
    const ecdh = createECDH(CURVE);
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

/** The coordinates of the point with this x whose y is even (2) or odd (3). */
function uncompressed(sign: number, x: Buffer): Buffer {
  const compressed = Buffer.concat([Buffer.from([sign]), x]);
  const point = ECDH.convertKey(compressed, CURVE, undefined, undefined, 'uncompressed') as Buffer;
  return point.subarray(1);
}

/** Source: GB/T 32918.4-2016 clause 7.1, steps B4 to B6. */
function openedWith(point: Buffer, { c2, c3 }: Parts): Buffer | undefined {
  const message = keyStream(point, c2.length);
  let used = 0;
  for (let i = 0; i < c2.length; i++) {
    used |= message[i]!;
    message[i]! ^= c2[i]!;
  }
  const [x, y] = [point.subarray(0, SM2_FIELD_BYTES), point.subarray(SM2_FIELD_BYTES)];
  const opened = timingSafeEqual(sm3Now(x, message, y), c3) && used !== 0;
  wipe(point);
  if (opened) return message;
  wipe(message);
  return undefined;
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
