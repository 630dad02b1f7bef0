/**
 * TEIDs: bucket (8 bits) ‖ keyed permutation of {generation, slot} (24 bits), the same here
 * and in the packet path, which so finds a session from its direct TEID by index. Each bucket
 * has a permutation of its own: all begin with the same generation and slots, and a TEID must
 * say nothing of those in other buckets.
 */
import { TEID_LOW_BITS, TEID_LOW_MASK } from '../../base/limits.js';

/**
 * The last word, times the bucket, is what makes each bucket's permutation another one; it is 0
 * in stores from before that was so.
 */
export type TeidKey = readonly [number, number, number, number, number];

export class TeidPermutation {
  readonly #k0: number;
  readonly #k1: number;
  readonly #k2: number;
  readonly #k3: number;
  readonly #step: number;
  readonly #i1: number;
  readonly #i2: number;
  readonly #i3: number;

  constructor(
    key: TeidKey,
    readonly slotBits: number,
  ) {
    this.#k0 = key[0];
    this.#k1 = key[1] | 1;
    this.#k2 = key[2] | 1;
    this.#k3 = key[3] | 1;
    this.#step = key[4];
    this.#i1 = inverse(this.#k1);
    this.#i2 = inverse(this.#k2);
    this.#i3 = inverse(this.#k3);
  }

  permute(bucket: number, plain: number): number {
    let x = (plain ^ this.#own(bucket)) & TEID_LOW_MASK;
    x = Math.imul(x, this.#k1) & TEID_LOW_MASK;
    x ^= x >>> 12;
    x = Math.imul(x, this.#k2) & TEID_LOW_MASK;
    x ^= x >>> 12;
    return Math.imul(x, this.#k3) & TEID_LOW_MASK;
  }

  /** The plain value of the low 24 bits of a direct TEID. */
  unpermute(bucket: number, low: number): number {
    let x = Math.imul(low, this.#i3) & TEID_LOW_MASK;
    // 24 bits folded by 12: the fold is its own inverse.
    x ^= x >>> 12;
    x = Math.imul(x, this.#i2) & TEID_LOW_MASK;
    x ^= x >>> 12;
    return ((Math.imul(x, this.#i1) ^ this.#own(bucket)) & TEID_LOW_MASK) >>> 0;
  }

  /** What makes the permutation that of a bucket. */
  #own(bucket: number): number {
    return this.#k0 ^ Math.imul(bucket, this.#step);
  }

  /** The direct TEID of a slot in one generation, of which the low 24 - slotBits bits count. */
  teid(bucket: number, generation: number, slot: number): number {
    const plain = ((generation << this.slotBits) | slot) & TEID_LOW_MASK;
    return ((bucket << TEID_LOW_BITS) | this.permute(bucket, plain)) >>> 0;
  }
}

/** Inverse of an odd number modulo 2^32, by Newton's iteration: the right bits double each time. */
function inverse(odd: number): number {
  let x = odd;
  for (let i = 0; i < 5; i++) x = Math.imul(x, 2 - Math.imul(odd, x));
  return x;
}
