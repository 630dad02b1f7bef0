import { createECDH, ECDH } from 'node:crypto';
import { wipe } from '../sm3-state.js';
import { SM2_CURVE, SM2_FIELD_BYTES } from './key-bytes.js';

/** Of the curve's field. Source: GB/T 32918.5-2017. */
const PRIME = 0xfffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffffn;

/** First octets of a compressed point. */
export const EVEN_Y = 2;
export const ODD_Y = 3;

/** The points of one encryption: C1 with its first octet 04, and x, y of what both sides share. */
export interface FreshPoints {
  readonly c1: Buffer;
  /** Wipe it. */
  readonly shared: Buffer;
}

/**
 * Draws a number k, and multiplies the curve's base point and the recipient's point with it.
 *
 * OpenSSL's ECDH multiplies in constant time and gives the x of k·P alone. Which of the two points
 * with that x it is follows from the x of (k + 1)·P: the sum of k·P and P has it for one of them.
 *
 * @param recipient  uncompressed, on the curve
 */
export function freshPoints(recipient: Buffer): FreshPoints {
  const ephemeral = createECDH(SM2_CURVE);
  const c1 = ephemeral.generateKeys();
  const x = ephemeral.computeSecret(recipient);
  const next = nextX(ephemeral.getPrivateKey(), recipient);
  const [even, odd] = [coordinatesOf(EVEN_Y, x), coordinatesOf(ODD_Y, x)];
  const point = recipient.subarray(1);
  const [shared, other] = sumHasX(even, point, next) ? [even, odd] : [odd, even];
  for (const secret of [x, next, other]) wipe(secret);
  return { c1, shared };
}

/** x and y, behind one another, of the point with this x and an even or odd y. */
export function coordinatesOf(sign: number, x: Buffer): Buffer {
  const compressed = Buffer.concat([Buffer.from([sign]), x]);
  const point = ECDH.convertKey(compressed, SM2_CURVE, undefined, undefined, 'uncompressed');
  wipe(compressed);
  return (point as Buffer).subarray(1);
}

/** The x of the recipient's point multiplied by k + 1. Wipes k. */
function nextX(k: Buffer, recipient: Buffer): Buffer {
  const scalar = Buffer.alloc(SM2_FIELD_BYTES);
  k.copy(scalar, SM2_FIELD_BYTES - k.length);
  let carry = 1;
  for (let i = SM2_FIELD_BYTES - 1; i >= 0; i--) {
    carry += scalar[i]!;
    scalar[i] = carry & 0xff;
    carry >>= 8;
  }
  const ecdh = createECDH(SM2_CURVE);
  // k + 1 is the curve's order with a probability of 2^-256; it would be refused here.
  ecdh.setPrivateKey(scalar);
  wipe(k);
  wipe(scalar);
  return ecdh.computeSecret(recipient);
}

/** Whether x(A + B) is the given one: (yA - yB)² = (x + xA + xB)·(xA - xB)², without a division. */
function sumHasX(a: Buffer, b: Buffer, x: Buffer): boolean {
  const [xa, ya] = [numberAt(a, 0), numberAt(a, SM2_FIELD_BYTES)];
  const [xb, yb] = [numberAt(b, 0), numberAt(b, SM2_FIELD_BYTES)];
  const rise = ya - yb;
  const run = xa - xb;
  return (rise * rise - (numberAt(x, 0) + xa + xb) * run * run) % PRIME === 0n;
}

function numberAt(bytes: Buffer, at: number): bigint {
  let number = 0n;
  for (let i = 0; i < SM2_FIELD_BYTES; i += 8) {
    number = (number << 64n) | bytes.readBigUInt64BE(at + i);
  }
  return number;
}
