/** Branded numbers: a Teid is no port, a Seid no revision. */

export type Teid = number & { readonly brand: 'Teid' };
export type Seid = bigint & { readonly brand: 'Seid' };

/** Joins two words, low first as in a record, into a 64-bit value. */
export function joinWords(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
export function lowWord(value: bigint): number {
  return Number(value & 0xffff_ffffn);
}
export function highWord(value: bigint): number {
  return Number((value >> 32n) & 0xffff_ffffn);
}
