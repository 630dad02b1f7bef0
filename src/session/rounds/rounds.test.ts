import { describe, expect, it, vi } from 'vitest';
import { ROUND_OPERATIONS_MAX } from '../../base/limits.js';
import { type Bench, OWNER, recordOf, session, startEngine } from '../engine.fixture.js';
import type { OperationBatch } from '../engine.js';

function batch(bench: Bench, operate: (batch: OperationBatch) => void) {
  return new Promise<string[]>((resolve) => {
    const open = bench.engine.openBatch(OWNER, (done) => {
      resolve(Array.from({ length: done.count }, (_, i) => done.error(i)?.code ?? 'ok'));
    });
    operate(open);
    open.submit();
  });
}
const createOne = (bench: Bench, name: string) =>
  batch(bench, (open) => open.create(recordOf(session({ name }))));

/** Commits of the store, as many a turn of the event loop as there are: those are one transaction. */
function commitsByTurn(bench: Bench): number[] {
  const turns: number[] = [];
  let counting = false;
  const commit = bench.store.commit.bind(bench.store);
  vi.spyOn(bench.store, 'commit').mockImplementation(() => {
    if (!counting) {
      turns.push(0);
      counting = true;
      queueMicrotask(() => {
        counting = false;
      });
    }
    turns[turns.length - 1]!++;
    return commit();
  });
  return turns;
}

describe('rounds', () => {
  it('take deletions and creations of one turn to the store together', async () => {
    const bench = await startEngine();
    await createOne(bench, 'old');
    const turns = commitsByTurn(bench);
    const results = await batch(bench, (open) => {
      open.create(recordOf(session({ name: 'new-1' })));
      open.deleteByName('old');
      open.create(recordOf(session({ name: 'new-2' })));
    });
    expect(results).toEqual(['ok', 'ok', 'ok']);
    // Both kinds, and the record of what the deletion answered.
    expect(turns).toEqual([3]);
    expect(bench.store.contents.records.size).toBe(2);
  });

  it('gather while two are under way, and go when one is done', async () => {
    const bench = await startEngine();
    const commits = vi.spyOn(bench.store, 'commit');
    let letGo = () => {};
    bench.store.hold = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const all: Promise<string[]>[] = [];
    for (let i = 0; i < 8; i++) {
      all.push(createOne(bench, `ue-${i}`));
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(commits).toHaveBeenCalledTimes(2);
    letGo();
    expect(await Promise.all(all)).toEqual(Array.from({ length: 8 }, () => ['ok']));
    expect(commits).toHaveBeenCalledTimes(3);
    await bench.engine.shutdown();
  });

  it('go in their turn while full ones of deletions follow each other', async () => {
    const bench = await startEngine(undefined, { sessionsMax: 20_000 });
    const names = Array.from({ length: 12 * ROUND_OPERATIONS_MAX }, (_, i) => `ue-${i}`);
    await batch(bench, (open) => {
      for (const name of names) open.create(recordOf(session({ name })));
    });
    const deleteAll = async () => {
      while (names.length > 0) {
        const some = names.splice(0, ROUND_OPERATIONS_MAX);
        await batch(bench, (open) => {
          for (const name of some) open.deleteByName(name);
        });
      }
    };
    const deleted = Promise.all([deleteAll(), deleteAll()]);
    expect(await createOne(bench, 'new')).toEqual(['ok']);
    expect(names.length).toBeGreaterThan(ROUND_OPERATIONS_MAX);
    await deleted;
    expect(bench.engine.count).toBe(1);
  });

  it('refuse both kinds when their transaction fails, and creations leave nothing', async () => {
    const bench = await startEngine();
    await createOne(bench, 'old');
    bench.store.failCommits = 3; // the third is the record of what the deletion answered
    const results = await batch(bench, (open) => {
      open.deleteByName('old');
      open.create(recordOf(session({ name: 'new' })));
    });
    expect(results).toEqual(['unavailable', 'unavailable']);
    expect(bench.engine.get(OWNER, { name: 'new' })).toBeUndefined();
    expect(await batch(bench, (open) => open.deleteByName('old'))).toEqual(['ok']);
    expect(bench.engine.slab.records).toBe(0);
  });
});

describe('deletion by a name in bytes', () => {
  const deleteAt = (bench: Bench, text: string, extra = '') => {
    const bytes = Buffer.from(`<<${text}${extra}`);
    return batch(bench, (open) => {
      open.deleteByNameAt(bytes, 2, Buffer.byteLength(text));
      bytes.fill(0);
    });
  };

  it('finds the session, and no other one', async () => {
    const bench = await startEngine();
    for (const name of ['ue-1', 'ue-12', 'ue-123', 'ue-1234', 'ue-12345']) {
      await createOne(bench, name);
    }
    expect(await deleteAt(bench, 'ue-1234', '567')).toEqual(['ok']);
    expect(await deleteAt(bench, 'ue-1234', '567')).toEqual(['not_found']);
    expect(await deleteAt(bench, 'ue-12345678')).toEqual(['not_found']);
    expect(await deleteAt(bench, '')).toEqual(['not_found']);
    expect(await deleteAt(bench, 'u'.repeat(5000))).toEqual(['not_found']);
    expect(bench.engine.count).toBe(4);
  });

  it('keeps the name for an operation that has to wait', async () => {
    const bench = await startEngine();
    const created = createOne(bench, 'ue-1');
    const deleted = deleteAt(bench, 'ue-1');
    const other = deleteAt(bench, 'ue-2');
    expect(await Promise.all([created, deleted, other])).toEqual([['ok'], ['ok'], ['not_found']]);
    expect(bench.engine.count).toBe(0);
  });
});
