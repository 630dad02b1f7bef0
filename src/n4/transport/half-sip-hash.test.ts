import { expect, it } from 'vitest';
import { HalfSipHash } from './half-sip-hash.js';

it('has the vectors of the reference code (HalfSipHash-2-4, 64 bits)', () => {
  const hash = new HalfSipHash(0x03020100, 0x07060504, 2, 4);
  const input = new Uint8Array(64).map((_, index) => index);
  const of = (length: number): string => {
    hash.of(input, 0, length);
    const out = Buffer.alloc(8);
    out.writeUInt32LE(hash.low, 0);
    out.writeUInt32LE(hash.high, 4);
    return out.toString('hex');
  };
  expect(of(0)).toBe('218d1f59b9b83cc8');
  expect(of(1)).toBe('be552412f8387315');
});
