import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SLAB_CHUNK_BYTES } from '../../base/limits.js';
import { RECORD_BYTES_MAX } from '../../model/record-layout.js';
import { Slab } from './slab.js';

describe('slab', () => {
  it('never overlaps records, and gives all memory back', () => {
    const size = fc.oneof(
      fc.integer({ min: 1, max: 3000 }),
      fc.integer({ min: 1, max: RECORD_BYTES_MAX }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(size, fc.boolean()), { maxLength: 300 }), (steps) => {
        const slab = new Slab(() => undefined);
        const live: { handle: number; bytes: number; mark: number }[] = [];
        steps.forEach(([bytes, allocate], mark) => {
          if (allocate || live.length === 0) {
            const handle = slab.allocate(bytes);
            const start = slab.offsetOf(handle);
            const chunk = slab.chunkBytes[slab.chunkOf(handle)]!;
            expect(start % 64).toBe(0);
            expect(start + bytes).toBeLessThanOrEqual(SLAB_CHUNK_BYTES);
            chunk.fill(mark & 0xff, start, start + bytes);
            live.push({ handle, bytes, mark: mark & 0xff });
          } else {
            slab.free(live.splice(bytes % live.length, 1)[0]!.handle);
          }
          expect(slab.records).toBe(live.length);
        });
        for (const { handle, bytes, mark } of live) {
          const start = slab.offsetOf(handle);
          const chunk = slab.chunkBytes[slab.chunkOf(handle)]!;
          const other = chunk.subarray(start, start + bytes).findIndex((byte) => byte !== mark);
          expect(other).toBe(-1);
        }
        for (const { handle } of live) slab.free(handle);
        expect([slab.bytesUsed, slab.records, slab.pagesUsed]).toEqual([0, 0, 0]);
      }),
      { numRuns: 20 },
    );
  });

  it('wastes at most an eighth of a record of 512 bytes to 16 kB', () => {
    const slab = new Slab(() => undefined);
    for (let bytes = 512; bytes <= 16_384; bytes += 8) {
      const before = slab.bytesUsed;
      const handle = slab.allocate(bytes);
      const slot = slab.bytesUsed - before;
      expect(slot).toBeGreaterThanOrEqual(bytes);
      expect((slot - bytes) / slot).toBeLessThan(0.125);
      slab.free(handle);
    }
  });

  it('numbers chunks in the order in which it makes them known', () => {
    const chunks: Uint8Array[] = [];
    const slab = new Slab((chunk) => chunks.push(chunk));
    const handles = Array.from({ length: 200 }, () => slab.allocate(RECORD_BYTES_MAX));
    expect(new Set(handles).size).toBe(200);
    expect(chunks).toHaveLength(Math.ceil(200 / 64));
    for (const handle of handles) expect(slab.chunkBytes[slab.chunkOf(handle)]).toBeDefined();
    chunks.forEach((chunk, i) => {
      expect(slab.chunkBytes[i]).toBe(chunk);
    });
    expect(slab.view(handles[0]!)).toHaveLength(0);
  });
});
