/** What every store promises; each implementation's test runs this suite. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NumberedRecords, Store } from './store.js';

export interface StoreUnderTest {
  /** Opens the same contents again; the store before was closed. */
  open(): Store;
  cleanUp(): void;
}

const chunk = new Uint8Array(4096).map((_, i) => i & 0xff);

function all(store: NumberedRecords, after = -1): [number, number[]][] {
  const found: [number, number[]][] = [];
  store.scan(after, (key, bytes, length) => {
    found.push([key, [...bytes.subarray(0, length)]]);
    return true;
  });
  return found;
}
const part = (offset: number, length: number) => [...chunk.subarray(offset, offset + length)];

export function storeContract(name: string, make: () => StoreUnderTest): void {
  describe(`store contract: ${name}`, () => {
    let under: StoreUnderTest;
    let store: Store;
    const reopen = async () => {
      await store.close();
      store = under.open();
    };
    beforeEach(() => {
      under = make();
      store = under.open();
    });
    afterEach(async () => {
      await store.close();
      under.cleanUp();
    });

    it('starts with no values', () => {
      expect(store.getMeta('a')).toBeUndefined();
      expect(store.lost).toBe('');
    });

    describe.each(['sessions', 'reports'] as const)('%s', (which) => {
      const records = (): NumberedRecords => (which === 'sessions' ? store : store.reports);

      it('starts empty', () => {
        expect(records().recordCount()).toBe(0);
        expect(records().lastKey()).toBe(-1);
        expect(all(records())).toEqual([]);
      });

      it('shows what was committed, in ascending order of keys', async () => {
        const keys = [0, 1, 255, 256, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 7];
        for (const key of [...keys].reverse()) records().put(key, chunk, key % 97, 16);
        await store.commit();
        expect(all(records())).toEqual(keys.map((key) => [key, part(key % 97, 16)]));
        expect(records().recordCount()).toBe(keys.length);
        expect(records().lastKey()).toBe(2 ** 40 + 7);
      });

      it.each([0, 1, 255])('knows %d for its last key when it has no other', async (key) => {
        records().put(key, chunk, 0, 16);
        await store.commit();
        expect(records().lastKey()).toBe(key);
        records().remove(key);
        await store.commit();
        expect(records().lastKey()).toBe(-1);
      });

      it('shows nothing of what was gathered before the commit is done', async () => {
        records().put(1, chunk, 0, 8);
        const done = store.commit();
        expect(all(records())).toEqual([]);
        await done;
        expect(all(records())).toHaveLength(1);
      });

      it('takes a chunk that lies inside other memory', async () => {
        records().put(1, chunk.subarray(1000, 2000), 10, 16);
        records().put(2, chunk.subarray(33), 0, 8);
        await store.commit();
        expect(all(records())).toEqual([
          [1, part(1010, 16)],
          [2, part(33, 8)],
        ]);
      });

      it('replaces and removes', async () => {
        records().put(1, chunk, 0, 8);
        records().put(2, chunk, 8, 8);
        await store.commit();
        records().put(1, chunk, 100, 12);
        records().remove(2);
        records().remove(77);
        await store.commit();
        expect(all(records())).toEqual([[1, part(100, 12)]]);
      });

      it('keeps the order of commits that are under way together', async () => {
        const commits: Promise<void>[] = [];
        for (let i = 0; i < 50; i++) {
          records().put(7, chunk, i, 8);
          if (i % 2 === 1) records().remove(6);
          else records().put(6, chunk, i, 8);
          commits.push(store.commit());
        }
        await Promise.all(commits);
        expect(all(records())).toEqual([[7, part(49, 8)]]);
      });

      it('scans from behind a key and stops when told to', async () => {
        for (let key = 0; key < 10; key++) records().put(key * 10, chunk, key, 8);
        await store.commit();
        expect(all(records(), 40).map(([key]) => key)).toEqual([50, 60, 70, 80, 90]);
        const seen: number[] = [];
        records().scan(-1, (key) => seen.push(key) < 3);
        expect(seen).toEqual([0, 10, 20]);
      });

      it('keeps records of every size', async () => {
        const large = new Uint8Array(256 * 1024).map((_, i) => (i * 31) & 0xff);
        records().put(1, large, 0, large.length);
        records().put(2, large, 5, 1);
        records().put(3, large, 1, 100_001);
        await store.commit();
        await reopen();
        const sizes = all(records()).map(([, bytes]) => bytes.length);
        expect(sizes).toEqual([large.length, 1, 100_001]);
        expect(all(records())[2]![1]).toEqual([...large.subarray(1, 100_002)]);
      });
    });

    it('keeps sessions and reports apart, and commits them together', async () => {
      store.put(5, chunk, 0, 8);
      store.reports.put(5, chunk, 16, 8);
      store.reports.put(9, chunk, 24, 8);
      const done = store.commit();
      expect([all(store), all(store.reports)]).toEqual([[], []]);
      await done;
      store.remove(5);
      store.reports.put(10, chunk, 32, 8);
      await store.commit();
      await reopen();
      expect(all(store)).toEqual([]);
      expect(all(store.reports)).toEqual([
        [5, part(16, 8)],
        [9, part(24, 8)],
        [10, part(32, 8)],
      ]);
    });

    it('copies named values when they are given', async () => {
      const value = Uint8Array.of(1, 2, 3);
      store.putMeta('key', value);
      value[0] = 9;
      await store.commit();
      expect([...store.getMeta('key')!]).toEqual([1, 2, 3]);
    });

    it('has everything again after closing', async () => {
      for (let key = 0; key < 1000; key++) store.put(key, chunk, key, 64);
      store.putMeta('key', Uint8Array.of(4));
      await store.commit();
      const stamp = store.recoveryTimeStamp;
      await reopen();
      expect(store.recordCount()).toBe(1000);
      expect(all(store)).toEqual(Array.from({ length: 1000 }, (_, key) => [key, part(key, 64)]));
      expect([...store.getMeta('key')!]).toEqual([4]);
      expect(store.recoveryTimeStamp).toBe(stamp);
      expect(store.lost).toBe('');
    });

    it('resolves a commit of nothing, and closes twice', async () => {
      await store.commit();
      await store.close();
      await store.close();
    });
  });
}
