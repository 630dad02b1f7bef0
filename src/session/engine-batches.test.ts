import { describe, expect, it } from 'vitest';
import { PrepareStatus } from '../datapath/datapath.js';
import { refText } from '../model/record.js';
import * as layout from '../model/record-layout.js';
import {
  type Bench,
  footprint,
  OWNER,
  recordOf,
  type Shape,
  seidOf,
  session,
  startEngine,
  teidsOf,
} from './engine.fixture.js';
import type { OperationBatch, RecordPlace } from './engine.js';

const create = ({ engine }: Bench, shape: Shape = {}, owner = OWNER) =>
  engine.create(owner, recordOf(session(shape)));
const update = ({ engine }: Bench, shape: Shape, options?: Parameters<typeof engine.update>[2]) =>
  engine.update(OWNER, recordOf(session(shape)), options);

/** Runs operations as one batch; results in their order. */
function batch(bench: Bench, operate: (batch: OperationBatch) => void) {
  return new Promise<string[]>((resolve) => {
    const open = bench.engine.openBatch(OWNER, (done) => {
      const results = Array.from({ length: done.count }, (_, i) => done.error(i)?.code ?? 'ok');
      resolve(results);
    });
    operate(open);
    open.submit();
  });
}

describe('a scan', () => {
  it('shows the sessions of its owner, also in the order of the store, from where it stopped', async () => {
    const bench = await startEngine();
    for (const name of ['a', 'b', 'c']) await create(bench, { name });
    await create(bench, { name: 'd' }, 'grpc:other');
    // A new version is a new record, behind the others.
    await update(bench, { name: 'a', fTeids: [{ choose_id: 2 }] });
    const seen = (order: 'table' | 'store', from: number, max: number) => {
      const names: string[] = [];
      const visit = ({ words, start }: RecordPlace) =>
        names.push(refText(words, start, words[start + layout.HEADER_NAME]!)) < max;
      return { next: bench.engine.scan(OWNER, from, visit, order), names };
    };
    expect(seen('table', 0, 9).names.sort()).toEqual(['a', 'b', 'c']);
    expect(seen('store', 0, 9)).toEqual({ next: -1, names: ['b', 'c', 'a'] });
    const first = seen('store', 0, 1);
    expect(first.names).toEqual(['b']);
    expect(seen('store', first.next, 9)).toEqual({ next: -1, names: ['c', 'a'] });
  });
});

describe('batches', () => {
  it('give results in order; one that fails stops no other', async () => {
    const bench = await startEngine();
    const results = await batch(bench, (open) => {
      open.create(recordOf(session({ name: 'a' })));
      open.create(recordOf(session({ name: 'b', instance: 'nowhere' })));
      open.deleteByName('nobody');
      open.deleteBySeid(5, 6);
      open.create(recordOf(session({ name: 'c' })));
    });
    expect(results).toEqual(['ok', 'failed_precondition', 'not_found', 'not_found', 'ok']);
  });

  it('take operations on one session one after another', async () => {
    const bench = await startEngine();
    const results = await batch(bench, (open) => {
      open.create(recordOf(session()));
      open.update(recordOf(session({ fTeids: [{ choose_id: 2 }] })));
      open.update(recordOf(session()), { expectedRevision: 2n });
      open.update(recordOf(session()), { expectedRevision: 2n });
      open.create(recordOf(session()));
      open.deleteByName('ue-1');
      open.update(recordOf(session()));
      open.create(recordOf(session({ fTeids: [{ choose_id: 9 }] })));
      open.deleteByName('ue-1');
      open.create(recordOf(session()));
    });
    const expected = ['ok', 'ok', 'ok', 'aborted', 'ok', 'ok', 'not_found', 'ok', 'ok', 'ok'];
    expect(results).toEqual(expected);
    expect(bench.engine.count).toBe(1);
    expect(bench.engine.slab.records).toBe(1);
  });

  it('show each result as it was, whatever others do meanwhile', async () => {
    const bench = await startEngine();
    await create(bench, { name: 'slow' });
    const seen: number[] = [];
    let release = () => {};
    const done = new Promise<void>((resolve) => {
      const open = bench.engine.openBatch(OWNER, (result) => {
        for (let i = 0; i < 2; i++) seen.push(result.record(i)[layout.HEADER_REVISION_LOW]!);
        resolve();
      });
      open.create(recordOf(session()));
      open.update(recordOf(session()));
      release = () => open.submit();
    });
    // The batch is open while its session changes and goes.
    for (let i = 0; i < 3; i++) await update(bench, {});
    await bench.engine.delete(OWNER, { name: 'ue-1' });
    await create(bench, { name: 'ue-2' });
    release();
    await done;
    expect(seen).toEqual([1, 2]);
    expect(bench.engine.slab.records).toBe(2);
  });

  it('carry many operations through several rounds', async () => {
    const bench = await startEngine();
    const empty = footprint(bench);
    const many = Array.from({ length: 3000 }, (_, i) => `ue-${i}`);
    const created = await batch(bench, (open) => {
      for (const name of many) open.create(recordOf(session({ name })));
    });
    expect(created.every((code) => code === 'ok')).toBe(true);
    const teids = new Set(many.flatMap((name) => teidsOf(bench.engine.get(OWNER, { name })!)));
    expect(teids.size).toBe(many.length);
    await batch(bench, (open) => {
      for (const name of many) open.deleteByName(name);
    });
    expect(footprint(bench)).toEqual(empty);
  });

  it('refuse some of a round and not the others', async () => {
    const bench = await startEngine();
    let calls = 0;
    bench.datapath.refuse = () => (calls++ % 3 === 0 ? PrepareStatus.Resources : PrepareStatus.Ok);
    const results = await batch(bench, (open) => {
      for (let i = 0; i < 9; i++) open.create(recordOf(session({ name: `ue-${i}` })));
    });
    expect(results.filter((code) => code === 'ok')).toHaveLength(6);
    results.forEach((code, i) => {
      const found = bench.engine.get(OWNER, { name: `ue-${i}` });
      expect(found === undefined).toBe(code !== 'ok');
    });
    expect(bench.datapath.sessions.size).toBe(6);
  });
});

describe('list', () => {
  it('pages through all sessions while others come and go', async () => {
    const bench = await startEngine();
    for (let i = 0; i < 25; i++) await create(bench, { name: `ue-${i}` });
    await create(bench, { name: 'foreign' }, 'grpc:other');
    const seen: bigint[] = [];
    let token = '';
    const stay = new Set<bigint>();
    for (let i = 5; i < 25; i++) stay.add(seidOf(bench.engine.get(OWNER, { name: `ue-${i}` })!));
    for (let page = 0; page === 0 || token !== ''; page++) {
      const { records, nextPageToken, total } = bench.engine.list(OWNER, 4, token);
      expect(total).toBe(25 - Math.min(5, page));
      seen.push(...records.map(seidOf));
      token = nextPageToken;
      if (page < 5) await bench.engine.delete(OWNER, { name: `ue-${page}` });
    }
    expect(new Set(seen).size).toBe(seen.length);
    for (const seid of stay) expect(seen).toContain(seid);
    expect(bench.engine.list('', 1000, '').total).toBe(21);
    expect(bench.engine.list('nobody', 10, '')).toEqual({
      records: [],
      nextPageToken: '',
      total: 0,
    });
    expect(() => bench.engine.list('', 1, '!')).toThrow(
      expect.objectContaining({ code: 'invalid_argument', field: 'page_token' }),
    );
  });
});

describe('reports', () => {
  it('come with the name of their session, and not from one that is gone', async () => {
    const bench = await startEngine();
    const { record } = await create(bench);
    const index = record[layout.HEADER_SESSION_INDEX]!;
    const reader = bench.engine.watchReports(OWNER, '', []);
    bench.datapath.count(index, 1, 5_000_000_000, 7);
    bench.datapath.report(index, 1, 1 << 2);
    expect(reader.read(10)).toEqual([]);
    await bench.engine.reports.whenWritten();
    const [report] = reader.read(10);
    expect(report).toMatchObject({ sessionName: 'ue-1', owner: OWNER, seid: seidOf(record) });
    const stale = report!.event.slice();
    await bench.engine.delete(OWNER, { name: 'ue-1' });
    bench.datapath.emit(stale);
    expect(reader.read(10)).toEqual([]);
    expect(bench.engine.statistics().reportsStale).toBe(1);
  });

  it('have all usage after a shutdown, for those who watch', async () => {
    const bench = await startEngine();
    const urrs = [1, 2].map((id) => ({ id, measure_volume: true }));
    for (let i = 0; i < 1500; i++) {
      const { record } = await create(bench, { name: `ue-${i}`, urrs });
      bench.datapath.count(record[layout.HEADER_SESSION_INDEX]!, 2, i, 1);
    }
    const reader = bench.engine.watchReports('', '', []);
    await bench.engine.shutdown();
    const reports = reader.read(10_000);
    expect(reports).toHaveLength(3000);
    const bytes = reports.reduce((sum, one) => sum + one.event[6]! + one.event[8]!, 0);
    expect(bytes).toBe((1499 * 1500) / 2 + 1500);
    expect(() => bench.engine.openBatch(OWNER, () => undefined)).toThrow(
      expect.objectContaining({ code: 'unavailable' }),
    );
  });

  it('waits in a shutdown for what is under way', async () => {
    const bench = await startEngine();
    bench.datapath.autoComplete = false;
    const creation = create(bench);
    let over = false;
    const shutdown = bench.engine.shutdown().then(() => {
      over = true;
    });
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    expect(over).toBe(false);
    bench.datapath.completeAll();
    await shutdown;
    expect((await creation).record.length).toBeGreaterThan(0);
  });
});
