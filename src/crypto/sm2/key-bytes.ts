import { createECDH, createPrivateKey, createPublicKey, ECDH, type KeyObject } from 'node:crypto';
import { SluiceError } from '../../base/errors.js';
import { wipe } from '../sm3-state.js';
import {
  DER_BIT_STRING,
  DER_INTEGER,
  DER_OCTET_STRING,
  DER_SEQUENCE,
  type DerValue,
  readDer,
  readSequence,
} from './der.js';

/** OpenSSL's name of the curve. */
export const SM2_CURVE = 'SM2';
export const SM2_FIELD_BYTES = 32;
/** First octet of a point that is x and y. */
const UNCOMPRESSED = 4;

const PKCS8_HEAD = Buffer.from(
  '308187020100301306072a8648ce3d020106082a811ccf5501822d046d306b0201010420',
  'hex',
);
const PKCS8_POINT_HEAD = Buffer.from('a144034200', 'hex');

/** OBJECT IDENTIFIERs: of keys on curves, and of the curve, 1.2.156.10197.1.301. */
const EC_KEY = Buffer.from('06072a8648ce3d0201', 'hex');
const NAMED_CURVE = Buffer.from('06082a811ccf5501822d', 'hex');
// The curve where it has no name but its parameters: field, a and b, G, and its order.
const FIELD = Buffer.from(
  '302c06072a8648ce3d0101022100fffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffff',
  'hex',
);
const COEFFICIENTS = Buffer.from(
  '0420fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc' +
    '042028e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93',
  'hex',
);
const BASE_POINT = Buffer.from(
  '0432c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7' +
    'bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0',
  'hex',
);
const ORDER = Buffer.from(
  '022100fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123',
  'hex',
);

/** The uncompressed point of a public key, or of the public half of a private one. */
export function pointOf(key: KeyObject): Buffer {
  const half = key.type === 'private' ? createPublicKey(key) : key;
  if (half.type !== 'public') throw wrongKind(key, 'a public');
  const der = half.export({ type: 'spki', format: 'der' });
  const [algorithm, point] = readSequence(der, [DER_SEQUENCE, DER_BIT_STRING]) ?? [];
  if (point === undefined || !isOnCurve(algorithm)) throw offCurve();
  // In front is the number of bits that are none of the point's.
  return uncompressed(point.content.subarray(1));
}

/** The number that a private key is. Wipe it. */
export function scalarOf(key: KeyObject): Buffer {
  if (key.type !== 'private') throw wrongKind(key, 'a private');
  const der = key.export({ type: 'pkcs8', format: 'der' });
  const tags = [DER_INTEGER, DER_SEQUENCE, DER_OCTET_STRING];
  const [, algorithm, inside] = readSequence(der, tags) ?? [];
  const [whole] = inside === undefined ? [] : (readDer(inside.content) ?? []);
  const [, scalar] = whole === undefined ? [] : (readDer(whole.content) ?? []);
  if (scalar?.content.length === SM2_FIELD_BYTES && isOnCurve(algorithm)) return scalar.content;
  wipe(der);
  throw offCurve();
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

function isOnCurve(algorithm: DerValue | undefined): boolean {
  const [kind, curve] = (algorithm && readDer(algorithm.content)) ?? [];
  if (kind?.whole.equals(EC_KEY) !== true || curve === undefined) return false;
  return curve.tag === DER_SEQUENCE ? isSpelledOut(curve) : curve.whole.equals(NAMED_CURVE);
}

/** Whether parameters are those of the curve, whose seed and cofactor may be there or not. */
function isSpelledOut({ content }: DerValue): boolean {
  const [, field, coefficients, base, order] = readDer(content) ?? [];
  return (
    field?.whole.equals(FIELD) === true &&
    coefficients?.content.subarray(0, COEFFICIENTS.length).equals(COEFFICIENTS) === true &&
    order?.whole.equals(ORDER) === true &&
    base !== undefined &&
    uncompressed(base.content).equals(BASE_POINT)
  );
}

function uncompressed(point: Buffer): Buffer {
  if (point[0] === UNCOMPRESSED) return point;
  return ECDH.convertKey(point, SM2_CURVE, undefined, undefined, 'uncompressed') as Buffer;
}

const wrongKind = (key: KeyObject, wanted: string): SluiceError =>
  new SluiceError('invalid_argument', `is a ${key.type} key; ${wanted} SM2 key is asked for`);
const offCurve = (): SluiceError =>
  new SluiceError('invalid_argument', 'is no key on the curve SM2 (1.2.156.10197.1.301)');
