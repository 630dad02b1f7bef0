/** Commits until the database can't grow, once more, and closes; prints what came of each. */
import { writeSync } from 'node:fs';
import { EmbeddedStore } from './embedded.js';

const [, , path, durability] = process.argv;
const store = EmbeddedStore.open({ path: path!, durability: durability as 'async' | 'sync' });
const tell = (what: object): number => writeSync(1, `${JSON.stringify(what)}\n`);
let key = 0;
const commit = async (): Promise<string> => {
  for (let i = 0; i < 64; i++) store.put(key++, new Uint8Array(600), 0, 600);
  return store.commit().then(
    () => '',
    (error: Error) => error.message,
  );
};

process.on('unhandledRejection', () => tell({ unhandled: true }));
let why = '';
let acknowledged = 0;
while (why === '') {
  why = await commit();
  if (why === '') acknowledged = key;
}
tell({ acknowledged, why });
tell({ again: await commit() });
await store.close();
tell({ closed: true });
