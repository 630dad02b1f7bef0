import { createSign, createVerify, type KeyObject } from 'node:crypto';
import { SluiceError } from '../../base/errors.js';
import { sm3Now } from '../sm3-state.js';
import { pointOf, signingKey, verifyingKey } from './key-bytes.js';

/** Of the signer, where nothing else was agreed. Source: GM/T 0009-2012 clause 10. */
export const SM2_DEFAULT_ID = '1234567812345678';
/** Its length in bits is a number of 16 bits. */
const ID_BYTES_MAX = 8191;

// The curve, as it enters the digest of an identity: a, b, xG, yG. Source: GB/T 32918.5-2017.
const CURVE = Buffer.from(
  'fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc' +
    '28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93' +
    '32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7' +
    'bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0',
  'hex',
);

/**
 * Z, what stands before each message: it ties a signature to an identity and a key.
 * Source: GB/T 32918.2-2016 clause 5.5.
 */
export function identityDigest(key: KeyObject, id: string | Uint8Array = SM2_DEFAULT_ID): Buffer {
  const bytes = Buffer.from(id as Uint8Array);
  if (bytes.length > ID_BYTES_MAX) {
    throw new SluiceError('invalid_argument', `must be at most ${ID_BYTES_MAX} bytes`, {
      field: 'id',
    });
  }
  const bits = Buffer.alloc(2);
  bits.writeUInt16BE(8 * bytes.length);
  return sm3Now(bits, bytes, CURVE, pointOf(key).subarray(1));
}

/** A signature or its check under way. It takes parts of the message in their order. */
export class Sm2Signer {
  readonly #key: KeyObject;
  readonly #sign = createSign('sm3');

  constructor(privateKey: KeyObject, id?: string | Uint8Array) {
    this.#key = signingKey(privateKey);
    this.#sign.update(identityDigest(this.#key, id));
  }
  update(part: Uint8Array): void {
    this.#sign.update(part);
  }
  /** r and s as a DER SEQUENCE. Source: GM/T 0009-2012 clause 7.3. */
  finish(): Buffer {
    return this.#sign.sign(this.#key);
  }
}

export class Sm2Verifier {
  readonly #key: KeyObject;
  readonly #verify = createVerify('sm3');

  constructor(publicKey: KeyObject, id?: string | Uint8Array) {
    this.#key = verifyingKey(publicKey);
    this.#verify.update(identityDigest(this.#key, id));
  }
  update(part: Uint8Array): void {
    this.#verify.update(part);
  }
  /** False too for what is no signature at all. */
  finish(signature: Uint8Array): boolean {
    return this.#verify.verify(this.#key, signature);
  }
}

/** Signs a message that is in memory, on this thread. */
export function signNow(
  privateKey: KeyObject,
  message: Uint8Array,
  id?: string | Uint8Array,
): Buffer {
  const signer = new Sm2Signer(privateKey, id);
  signer.update(message);
  return signer.finish();
}

/** Whether a signature is that of the key's owner, on this thread. */
export function verifyNow(
  publicKey: KeyObject,
  message: Uint8Array,
  signature: Uint8Array,
  id?: string | Uint8Array,
): boolean {
  const verifier = new Sm2Verifier(publicKey, id);
  verifier.update(message);
  return verifier.finish(signature);
}
