/** Writes records until it is killed, and prints each key when its commit was acknowledged. */
import { writeSync } from 'node:fs';
import { EmbeddedStore } from './embedded.js';

const store = EmbeddedStore.open({ path: process.argv[2]!, durability: 'async' });
for (let key = 0; ; key++) {
  store.put(key, new Uint8Array(64).fill(key & 0xff), 0, 64);
  await store.commit();
  writeSync(1, `${key}\n`);
}
