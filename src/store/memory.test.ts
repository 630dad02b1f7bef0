import { expect, it } from 'vitest';
import { MemoryStore, MemoryStoreContents } from './memory.js';
import { storeContract } from './store.contract.js';

storeContract('memory', () => {
  const contents = new MemoryStoreContents();
  return { open: () => new MemoryStore(contents), cleanUp: () => undefined };
});

it('writes nothing of a commit that fails, and all of the next', async () => {
  const store = new MemoryStore();
  store.failCommits = 1;
  store.put(1, new Uint8Array(8), 0, 8);
  const failed = store.commit();
  store.put(2, new Uint8Array(8), 0, 8);
  const done = store.commit();
  await expect(failed).rejects.toMatchObject({ code: 'unavailable' });
  await done;
  expect([...store.contents.records.keys()]).toEqual([2]);
});
