import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SLAB_CHUNK_BYTES } from '../../base/limits.js';
import { RECORD_BYTES_MAX } from '../../model/record-layout.js';
import { Slab } from './slab.js';

/** A slab whose memory is zero once it was given back, as the system does it. */
function makeSlab(): { slab: Slab; chunks: Uint8Array[]; released: { bytes: number } } {
  const chunks: Uint8Array[] = [];
  const released = { bytes: 0 };
  const slab = new Slab({
    registerSlabChunk: (chunk) => chunks.push(chunk),
    releaseSlabMemory: (chunk, offset, bytes) => {
      chunks[chunk]!.fill(0, offset, offset + bytes);
      released.bytes += bytes;
    },
  });
  return { slab, chunks, released };
}

describe('slab', () => {
  it('never overlaps records, and gives all memory back', () => {
    const size = fc.oneof(
      fc.integer({ min: 1, max: 3000 }),
      fc.integer({ min: 1, max: RECORD_BYTES_MAX }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(size, fc.boolean()), { maxLength: 300 }), (steps) => {
        const { slab } = makeSlab();
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
    const { slab } = makeSlab();
    for (let bytes = 512; bytes <= 16_384; bytes += 8) {
      const before = slab.bytesUsed;
      const handle = slab.allocate(bytes);
      const slot = slab.bytesUsed - before;
      expect(slot).toBeGreaterThanOrEqual(bytes);
      expect((slot - bytes) / slot).toBeLessThan(0.125);
      slab.free(handle);
    }
  });

  it('gives the memory of empty pages back, but for some, and takes it again', () => {
    const { slab, chunks, released } = makeSlab();
    const all = () => Array.from({ length: 100_000 }, () => slab.allocate(1000));
    for (let round = 0; round < 3; round++) {
      for (const handle of all()) slab.free(handle);
      expect(slab.pagesUsed).toBe(0);
    }
    const bytes = chunks.length * SLAB_CHUNK_BYTES;
    expect(chunks.length).toBe(Math.ceil(100_000 / (16_384 * 0.99)));
    // 64 of 256 kB stay, in each of three rounds.
    expect(released.bytes).toBeGreaterThan(3 * (100_000 * 1024 - 17 * 1024 * 1024));
    expect(released.bytes).toBeLessThan(3 * bytes);
  });

  it('numbers chunks in the order in which it makes them known', () => {
    const { slab, chunks } = makeSlab();
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
