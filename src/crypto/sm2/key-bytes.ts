import { createECDH, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { SluiceError } from '../../base/errors.js';
import { wipe } from '../sm3-state.js';

/** OpenSSL's name of the curve. */
export const SM2_CURVE = 'SM2';
export const SM2_FIELD_BYTES = 32;
/** 04, x, y. */
export const SM2_POINT_BYTES = 65;

// The only forms that OpenSSL writes for the curve 1.2.156.10197.1.301.
const SPKI_HEAD = Buffer.from('3059301306072a8648ce3d020106082a811ccf5501822d034200', 'hex');
const PKCS8_HEAD = Buffer.from(
  '308187020100301306072a8648ce3d020106082a811ccf5501822d046d306b0201010420',
  'hex',
);
const PKCS8_POINT_HEAD = Buffer.from('a144034200', 'hex');

/** The uncompressed point of a public key, or of the public half of a private one. */
export function pointOf(key: KeyObject): Buffer {
  const half = key.type === 'private' ? createPublicKey(key) : key;
  return behind(half, half.type === 'public' ? spkiOf(half) : undefined, SPKI_HEAD).subarray(
    0,
    SM2_POINT_BYTES,
  );
}

/** The number that a private key is. Wipe it. */
export function scalarOf(key: KeyObject): Buffer {
  const der = key.type === 'private' ? key.export({ type: 'pkcs8', format: 'der' }) : undefined;
  return behind(key, der, PKCS8_HEAD).subarray(0, SM2_FIELD_BYTES);
}

/** A private key of its number, whose point is worked out. */
export function privateKeyOf(scalar: Uint8Array): KeyObject {
  const ecdh = createECDH(SM2_CURVE);
  ecdh.setPrivateKey(scalar);
  const der = Buffer.concat([PKCS8_HEAD, scalar, PKCS8_POINT_HEAD, ecdh.getPublicKey()]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  wipe(der);
  return key;
}

/**
 * A private key in the form in which OpenSSL signs by SM2: as node:crypto generates one it would
 * sign by ECDSA, as it reads one from PKCS #8 it does not.
 */
export function signingKey(key: KeyObject): KeyObject {
  if (key.asymmetricKeyType !== 'ec') return key;
  wipe(scalarOf(key));
  const der = key.export({ type: 'pkcs8', format: 'der' });
  const read = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  wipe(der);
  return read;
}

/** The same of a public key. */
export function verifyingKey(key: KeyObject): KeyObject {
  if (key.asymmetricKeyType !== 'ec') return key;
  return createPublicKey(key.export({ type: 'spki', format: 'pem' }));
}

function spkiOf(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' });
}

function behind(key: KeyObject, der: Buffer | undefined, head: Buffer): Buffer {
  if (der?.subarray(0, head.length).equals(head) === true) return der.subarray(head.length);
  const wanted = head === SPKI_HEAD ? 'a public' : 'a private';
  throw new SluiceError(
    'invalid_argument',
    der === undefined
      ? `is a ${key.type} key; ${wanted} SM2 key is asked for`
      : 'is no key on the curve SM2 (1.2.156.10197.1.301)',
  );
}
