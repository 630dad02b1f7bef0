/**
 * UE addresses of one pool, one bit each. An address carries the bucket of its session (IPv4:
 * last octet; IPv6: last octet of the /64), so that packets to it reach their worker at once;
 * when the bucket has none left, another bucket's free address is taken.
 *
 * An address is a number here: its row (the bits above the bucket octet) × columns + column.
 * Freed addresses come back as late as the search order allows. Owner: the control thread.
 */
import { parsePrefix } from '../../base/config/prefix.js';
import { SluiceError } from '../../base/errors.js';
import { BUCKETS } from '../../base/limits.js';

/** Rows of an IPv6 pool in use: 2^24 prefixes, as many as there can be sessions. */
const ROWS_MAX = 1 << 16;

export const enum Claim {
  /** The address is no part of this pool. */
  Outside = 0,
  Taken = 1,
  /** Kept for the network itself: its address, broadcast, and the first host, which is ours. */
  Reserved = 2,
  Claimed = 3,
}

export class AddressPool {
  readonly family: 4 | 6;
  /** Columns: addresses that differ in the bucket octet only. */
  readonly #columns: number;
  readonly #rows: number;
  readonly #rowWords: number;
  /** Bit set: in use or reserved. A column's rows lie together. */
  readonly #bits: Uint32Array;
  readonly #free: Uint32Array;
  /** Per column: the row where the next search starts. */
  readonly #cursor: Uint16Array;
  /** The first address, IPv4 as one word; IPv6: the two words of the /64. */
  readonly #high: number;
  readonly #low: number;
  readonly #reserved: readonly number[];
  #freeTotal = 0;

  /** @param text  a CIDR: IPv4 of /8 to /30, IPv6 of /16 to /64. */
  constructor(readonly text: string) {
    const prefix = parsePrefix(text);
    if (prefix === undefined) throw poolError(text, 'is no IP prefix');
    this.family = prefix.family;
    const longest = this.family === 4 ? 30 : 63;
    if (prefix.length > longest) {
      throw poolError(text, `is too small: at most /${longest} leaves addresses to give`);
    }
    if (prefix.length < (this.family === 4 ? 8 : 16)) throw poolError(text, 'is too large');
    const bits = (this.family === 4 ? 32 : 64) - prefix.length;
    this.#columns = Math.min(BUCKETS, 2 ** bits);
    this.#rows = Math.min(ROWS_MAX, Math.max(1, 2 ** (bits - 8)));
    this.#rowWords = Math.ceil(this.#rows / 32);
    this.#bits = new Uint32Array(this.#columns * this.#rowWords);
    this.#free = new Uint32Array(this.#columns).fill(this.#rows);
    this.#cursor = new Uint16Array(this.#columns);
    this.#freeTotal = this.#columns * this.#rows;
    const start = this.family === 4 ? prefix.bits : prefix.bits >> 64n;
    this.#high = Number((start >> 32n) & 0xffff_ffffn);
    this.#low = Number(start & 0xffff_ffffn);
    // The TUN device has the first host address; of IPv6 the whole first /64 goes with it.
    this.#reserved = this.family === 4 ? [0, 1, this.#columns * this.#rows - 1] : [0];
    for (const offset of this.#reserved) this.#mark(offset);
    if (this.#rows % 32 !== 0) this.#fillTails();
  }

  get free(): number {
    return this.#freeTotal;
  }
  /** Whether a session of the bucket can have an address that leads to it. */
  hasRoom(bucket: number): boolean {
    const column = bucket & (this.#columns - 1);
    return ((bucket ^ this.#low) & 0xff & -this.#columns) === 0 && this.#free[column]! > 0;
  }

  /** Offset of a free address, of the bucket while it has one; -1: the pool is used up. */
  take(bucket: number): number {
    if (this.#freeTotal === 0) return -1;
    let column = bucket & (this.#columns - 1);
    while (this.#free[column] === 0) column = (column + 1) & (this.#columns - 1);
    const first = column * this.#rowWords;
    const start = this.#cursor[column]!;
    let word = start >>> 5;
    let free = ~this.#bits[first + word]! & (-1 << (start & 31));
    while (free === 0) {
      word = word + 1 === this.#rowWords ? 0 : word + 1;
      free = ~this.#bits[first + word]!;
    }
    const row = word * 32 + 31 - Math.clz32(free & -free);
    // The next search starts behind this one: an address that is freed now waits its turn.
    this.#cursor[column] = row + 1 === this.#rows ? 0 : row + 1;
    const offset = row * this.#columns + column;
    this.#mark(offset);
    return offset;
  }

  /** Takes a given address. IPv4: high is 0. */
  claim(high: number, low: number): Claim {
    const offset = this.#offset(high, low);
    if (offset < 0) return Claim.Outside;
    if (this.#reserved.includes(offset)) return Claim.Reserved;
    if (this.#isMarked(offset)) return Claim.Taken;
    this.#mark(offset);
    return Claim.Claimed;
  }

  contains(high: number, low: number): boolean {
    return this.#offset(high, low) >= 0;
  }

  /** Gives an address back; false when it is outside. One that is free already is ignored. */
  release(high: number, low: number): boolean {
    const offset = this.#offset(high, low);
    if (offset < 0) return false;
    if (this.#reserved.includes(offset) || !this.#isMarked(offset)) return true;
    const column = offset & (this.#columns - 1);
    const row = Math.floor(offset / this.#columns);
    this.#bits[column * this.#rowWords + (row >>> 5)]! &= ~(1 << (row & 31));
    this.#free[column]!++;
    this.#freeTotal++;
    return true;
  }

  /** Upper word of every /64 of the pool; IPv4: 0. */
  get high(): number {
    return this.#high;
  }
  /** The IPv4 address, or the lower word of the /64, at an offset from take(). */
  lowAt(offset: number): number {
    return (this.#low + offset) >>> 0;
  }

  #offset(high: number, low: number): number {
    if (high !== this.#high) return -1;
    const offset = low - this.#low;
    return offset < 0 || offset >= this.#columns * this.#rows ? -1 : offset;
  }

  #isMarked(offset: number): boolean {
    const column = offset & (this.#columns - 1);
    const row = Math.floor(offset / this.#columns);
    return ((this.#bits[column * this.#rowWords + (row >>> 5)]! >>> (row & 31)) & 1) === 1;
  }

  #mark(offset: number): void {
    const column = offset & (this.#columns - 1);
    const row = Math.floor(offset / this.#columns);
    this.#bits[column * this.#rowWords + (row >>> 5)]! |= 1 << (row & 31);
    this.#free[column]!--;
    this.#freeTotal--;
  }

  /** Bits behind the last row are no addresses. */
  #fillTails(): void {
    const tail = (-1 << (this.#rows % 32)) >>> 0;
    for (let column = 0; column < this.#columns; column++) {
      this.#bits[(column + 1) * this.#rowWords - 1]! |= tail;
    }
  }
}

function poolError(text: string, what: string): SluiceError {
  return new SluiceError('invalid_argument', `UE pool ${text} ${what}`, { field: 'ports.uePools' });
}
