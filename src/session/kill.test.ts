/** A process that is killed: what it had counted and not brought to anybody is not lost. */
import { describe, expect, it } from 'vitest';
import { EVENT_WORDS, EventWord } from '../datapath/datapath.js';
import { QUERY_REFERENCE_WORD } from '../datapath/usage-event.js';
import * as layout from '../model/record-layout.js';
import { MemoryStore, MemoryStoreContents } from '../store/memory.js';
import { type Bench, OWNER, recordOf, session, startEngine } from './engine.fixture.js';
import type { Report } from './engine.js';

const TERMINATION = 1 << 7;
const IMMEDIATE = 1 << 6;

/** One node after the other on the same store; the packet path's memory outlives each. */
class Life {
  readonly contents = new MemoryStoreContents();
  bench!: Bench;

  static async begin(): Promise<Life> {
    const life = new Life();
    life.bench = await startEngine(life.contents);
    return life;
  }
  /** Commits that were under way never happened. */
  async kill(): Promise<void> {
    const killed = this.bench.datapath;
    killed.onWake(() => undefined);
    this.bench = await startEngine(this.contents, { killed });
  }
  async create(name = 'ue-1'): Promise<number> {
    const { record } = await this.bench.engine.create(OWNER, recordOf(session({ name })));
    return record[layout.HEADER_SESSION_INDEX]!;
  }
  async reports(cursor = ''): Promise<readonly Report[]> {
    await this.bench.engine.reports.whenWritten();
    return this.bench.engine.watchReports(OWNER, cursor, []).read(1000);
  }
}
const uplink = (report: Report) => report.event[EventWord.UplinkBytes]!;
const sequence = (report: Report) => report.event[EventWord.Sequence]!;
const never = new Promise<void>(() => undefined);

describe('a kill', () => {
  it('leaves counters and sequence numbers where they were', async () => {
    const life = await Life.begin();
    const index = await life.create();
    life.bench.datapath.count(index, 1, 100, 1);
    life.bench.datapath.report(index, 1, 1 << 2);
    life.bench.datapath.count(index, 1, 20, 2);
    expect((await life.reports()).map(sequence)).toEqual([0]);
    await life.kill();
    life.bench.datapath.count(index, 1, 3, 4);
    const { usage } = await life.bench.engine.delete(OWNER, { name: 'ue-1' });
    expect(usage[EventWord.UplinkBytes]).toBe(23);
    expect(usage[EventWord.DownlinkBytes]).toBe(6);
    expect(usage[EventWord.Sequence]).toBe(1);
    expect((await life.reports()).map(uplink)).toEqual([100]);
  });

  it('takes no report from a watcher, and gives none twice after its acknowledgement', async () => {
    const life = await Life.begin();
    const index = await life.create();
    for (let i = 1; i <= 4; i++) {
      life.bench.datapath.count(index, 1, i, 0);
      life.bench.datapath.report(index, 1, 1 << 2);
    }
    const before = await life.reports();
    const reader = life.bench.engine.watchReports(OWNER, '', []);
    reader.acknowledge(before[0]!.cursor);
    await new Promise(setImmediate);
    await life.bench.engine.reports.whenWritten();
    await life.kill();
    const after = await life.reports();
    expect(after).toEqual(before.slice(1));
    expect(await life.reports(before[2]!.cursor)).toEqual(before.slice(3));
    life.bench.datapath.count(index, 1, 9, 0);
    life.bench.datapath.report(index, 1, 1 << 2);
    expect((await life.reports(before[3]!.cursor)).map(sequence)).toEqual([4]);
  });

  it('finds reports that were on their way into the store', async () => {
    const life = await Life.begin();
    const index = await life.create();
    life.bench.datapath.count(index, 1, 50, 0);
    life.bench.store.hold = never;
    life.bench.datapath.report(index, 1, 1 << 2);
    await new Promise(setImmediate);
    await life.kill();
    const reports = await life.reports();
    expect(reports.map(uplink)).toEqual([50]);
    expect(reports[0]).toMatchObject({ sessionName: 'ue-1', owner: OWNER });
  });

  it('finds each only once when they were in the store already', async () => {
    const life = await Life.begin();
    const index = await life.create();
    life.bench.datapath.release = () => undefined;
    for (let i = 0; i < 3; i++) {
      life.bench.datapath.count(index, 1, 10 + i, 0);
      life.bench.datapath.report(index, 1, 1 << 2);
    }
    await life.bench.engine.reports.whenWritten();
    expect(life.contents.reports.size).toBe(3);
    await life.kill();
    expect((await life.reports()).map(uplink)).toEqual([10, 11, 12]);
  });

  it('turns usage of a deletion whose answer never went out into a report', async () => {
    const life = await Life.begin();
    const index = await life.create();
    life.bench.datapath.count(index, 1, 77, 0);
    const { store } = life.bench;
    const commit = store.commit.bind(store);
    let commits = 0;
    // The transaction is made, and the process ends before it hears of it.
    store.commit = () => {
      commits++;
      return commit().then(() => never);
    };
    void life.bench.engine.delete(OWNER, { name: 'ue-1' });
    while (life.contents.records.size > 0) await new Promise(setImmediate);
    expect(commits).toBeGreaterThan(0);
    await life.kill();
    expect(life.bench.engine.count).toBe(0);
    const reports = await life.reports();
    expect(reports.map(uplink)).toEqual([77]);
    expect(reports[0]).toMatchObject({ sessionName: 'ue-1', owner: OWNER });
    expect(reports[0]!.event[EventWord.Triggers]).toBe(TERMINATION);
  });

  it('lets a deletion be repeated that the store had not', async () => {
    const life = await Life.begin();
    const index = await life.create();
    life.bench.datapath.count(index, 1, 77, 0);
    life.bench.store.hold = never;
    void life.bench.engine.delete(OWNER, { name: 'ue-1' });
    while (life.bench.datapath.sessions.size > 0) await new Promise(setImmediate);
    await life.kill();
    expect(life.bench.engine.count).toBe(1);
    const { usage } = await life.bench.engine.delete(OWNER, { name: 'ue-1' });
    const sums = [...(await life.reports()).map(uplink), usage[EventWord.UplinkBytes]];
    expect(sums).toEqual([77, 0]);
  });

  it('keeps an answer for a moment after it went out, under its sequence number', async () => {
    const life = await Life.begin();
    const index = await life.create();
    life.bench.datapath.count(index, 1, 5, 0);
    const record = recordOf(session({ name: 'ue-1' }));
    const options = { queryUrrIds: [1], queryReference: 7 };
    const { usage } = await life.bench.engine.update(OWNER, record, options);
    expect(usage[EventWord.Triggers]).toBe(IMMEDIATE);
    expect(usage.slice(QUERY_REFERENCE_WORD, QUERY_REFERENCE_WORD + 2)).toEqual(
      Uint32Array.of(7, 1),
    );
    await life.bench.engine.reports.whenWritten();
    expect(await life.reports()).toEqual([]);
    await life.kill();
    const [again] = await life.reports();
    expect(again!.event.slice(0, EVENT_WORDS)).toEqual(usage);
  });

  it('while restoring loses nothing', async () => {
    const life = await Life.begin();
    const index = await life.create();
    life.bench.datapath.count(index, 1, 40, 0);
    life.bench.datapath.report(index, 1, 1 << 2);
    life.bench.datapath.count(index, 1, 2, 0);
    for (let i = 0; i < 3; i++) {
      await life.kill();
      // As if it had come just before the end.
      life.bench.datapath.restored = false;
    }
    await life.kill();
    const { usage } = await life.bench.engine.delete(OWNER, { name: 'ue-1' });
    expect((await life.reports()).map(uplink)).toEqual([40]);
    expect(usage[EventWord.UplinkBytes]).toBe(2);
    expect(usage[EventWord.Sequence]).toBe(1);
  });
});

it('a store that lost everything starts new cursors', async () => {
  const life = await Life.begin();
  const index = await life.create();
  life.bench.datapath.report(index, 1, 1 << 2);
  const [report] = await life.reports();
  const other = await startEngine();
  const { record } = await other.engine.create(OWNER, recordOf(session()));
  other.datapath.report(record[layout.HEADER_SESSION_INDEX]!, 1, 1 << 2);
  await other.engine.reports.whenWritten();
  expect(other.engine.watchReports(OWNER, report!.cursor, []).read(10)).toHaveLength(1);
  expect(other.store).toBeInstanceOf(MemoryStore);
});
