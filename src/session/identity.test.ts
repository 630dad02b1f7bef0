import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../store/memory.js';
import { TeidPermutation } from './allocators/teid.js';
import { loadIdentity, slotsFor } from './identity.js';

const SESSIONS = 1000;

describe('identity of a store', () => {
  it('is made once, tells buckets apart, and persists', async () => {
    const store = new MemoryStore();
    const made = await loadIdentity(store, SESSIONS);
    expect(made.teidKey[4] & 1).toBe(1);
    expect(await loadIdentity(store, SESSIONS)).toEqual(made);
  });

  it('of one from before buckets had permutations of their own goes on as it was', async () => {
    const store = new MemoryStore();
    const bytes = new Uint8Array(24);
    const view = new DataView(bytes.buffer);
    const words = [0xdeadbeef, 0x12345678, 0x9abcdef1, 0x0f1e2d3c, 13, slotsFor(SESSIONS)];
    words.forEach((word, at) => {
      view.setUint32(at * 4, word);
    });
    store.putMeta('identity', bytes);
    await store.commit();
    const identity = await loadIdentity(store, SESSIONS);
    expect(identity.teidKey).toEqual([...words.slice(0, 4), 0]);
    const permutation = new TeidPermutation(identity.teidKey, identity.slotBits);
    expect(permutation.permute(255, 77)).toBe(permutation.permute(0, 77));
    // More sessions: the identity is written anew, and stays what it was.
    await loadIdentity(store, 50 * SESSIONS);
    expect((await loadIdentity(store, 50 * SESSIONS)).teidKey).toEqual(identity.teidKey);
  });
});
