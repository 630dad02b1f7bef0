import { describe, expect, it } from 'vitest';
import { PrepareStatus } from '../datapath/datapath.js';
import { MemoryDatapath } from '../datapath/memory-datapath.js';
import * as layout from '../model/record-layout.js';
import { MemoryStore, MemoryStoreContents } from '../store/memory.js';
import {
  footprint,
  OWNER,
  PORTS,
  recordOf,
  session,
  startEngine,
  teidsOf,
} from './engine.fixture.js';
import { createEngine } from './engine.js';
import { loadIdentity } from './identity.js';

const LARGE_PORTS = PORTS.map((port) =>
  port.name === 'n6' ? { ...port, uePools: ['10.0.0.0/8'] } : port,
);

describe('restart', () => {
  it('brings back the very same sessions, and keeps what they hold', async () => {
    const contents = new MemoryStoreContents();
    const first = await startEngine(contents);
    for (let i = 0; i < 200; i++) {
      const fTeids = i % 3 === 0 ? [{ choose_id: 1 }, { choose_id: 2 }] : [{ choose_id: 1 }];
      const ueAddress = { ipv4: i % 7 === 0 ? `172.16.0.${i + 1}` : 'auto', ipv6_prefix: 'auto' };
      const owner = i % 2 === 0 ? OWNER : 'n4:smf';
      await first.engine.create(owner, recordOf(session({ name: `ue-${i}`, fTeids, ueAddress })));
    }
    for (let i = 0; i < 200; i += 5) {
      await first.engine.delete(i % 2 === 0 ? OWNER : 'n4:smf', { name: `ue-${i}` });
    }
    const records = first.engine.list('', 1000, '').records;
    const before = footprint(first);

    const second = await startEngine(contents);
    expect(second.engine.list('', 1000, '').records).toEqual(records);
    expect(footprint(second)).toEqual(before);
    expect(second.engine.list('n4:smf', 1, '').total).toBe(80);
    expect(second.engine.get('n4:smf', { name: 'ue-1' })).toBeDefined();
    expect(second.engine.recoveryTimeStamp).toBe(first.engine.recoveryTimeStamp);

    expect(records).toHaveLength(160);
    for (let i = 0; i < 200; i++) {
      if (i % 5 === 0) continue;
      await second.engine.delete(i % 2 === 0 ? OWNER : 'n4:smf', { name: `ue-${i}` });
    }
    expect(footprint(second)).toEqual(footprint(await startEngine()));
  });

  it('never gives a TEID of an earlier run again, also of sessions that are gone', async () => {
    const contents = new MemoryStoreContents();
    const seen = new Set<number>();
    for (let run = 0; run < 5; run++) {
      const bench = await startEngine(contents);
      for (let i = 0; i < 300; i++) {
        const name = `ue-${run}-${i}`;
        const { record } = await bench.engine.create(OWNER, recordOf(session({ name })));
        for (const teid of teidsOf(record)) {
          expect(seen.has(teid)).toBe(false);
          seen.add(teid);
        }
        if (i % 10 !== 0) await bench.engine.delete(OWNER, { name });
      }
    }
    expect(seen.size).toBe(1500);
  });

  it('takes a larger limit of sessions, and refuses one that the store can not hold', async () => {
    const contents = new MemoryStoreContents();
    const first = await startEngine(contents, { sessionsMax: 100 });
    for (let i = 0; i < 50; i++) {
      await first.engine.create(OWNER, recordOf(session({ name: `ue-${i}` })));
    }
    const teids = first.engine.list('', 100, '').records.flatMap(teidsOf);
    const second = await startEngine(contents, { sessionsMax: 100_000 });
    const records = second.engine.list('', 100, '').records;
    expect(records.flatMap(teidsOf).sort()).toEqual(teids.sort());
    expect(second.engine.table.slots.slotsPerBucket).toBeGreaterThan(400);
    for (const record of records) {
      const place = record[layout.HEADER_PLACE]!;
      const index = (place >>> 16) * second.engine.table.slots.slotsPerBucket + (place & 0xffff);
      expect(record[layout.HEADER_SESSION_INDEX]).toBe(index);
      expect(second.datapath.sessions.has(index)).toBe(true);
    }
    await expect(loadIdentity(new MemoryStore(contents), 8_000_000)).rejects.toMatchObject({
      code: 'failed_precondition',
      field: 'limits.sessions',
    });
    // A smaller limit keeps the places.
    const third = await startEngine(contents, { sessionsMax: 10 });
    expect(third.engine.count).toBe(50);
  });

  it.each([
    ['an unknown version', (words: Uint32Array) => (words[layout.HEADER_MAGIC] = 7), 'version'],
    ['a wrong length', (words: Uint32Array) => (words[layout.HEADER_BYTES]! += 8), 'cut short'],
    ['no place', (words: Uint32Array) => (words[layout.HEADER_PLACE] = 0xffff_ffff), 'place'],
  ])('refuses a record of %s by its key', async (_what, spoil, why) => {
    const contents = new MemoryStoreContents();
    const first = await startEngine(contents);
    await first.engine.create(OWNER, recordOf(session()));
    const [key, bytes] = [...contents.records][0]!;
    spoil(new Uint32Array(bytes.buffer, bytes.byteOffset, layout.HEADER_WORDS));
    await expect(startEngine(contents)).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringMatching(new RegExp(`record ${key} .*${why}`)),
    });
  });

  it('says which session the configuration has no place for any more', async () => {
    const contents = new MemoryStoreContents();
    const first = await startEngine(contents);
    await first.engine.create(OWNER, recordOf(session({ name: 'the-one' })));
    const datapath = new MemoryDatapath();
    datapath.refuse = () => PrepareStatus.Instance;
    const store = new MemoryStore(contents);
    const identity = await loadIdentity(store, 10_000);
    const engine = createEngine({ datapath, store, identity, ports: PORTS, sessionsMax: 10_000 });
    await expect(engine.restore()).rejects.toMatchObject({
      message: expect.stringMatching(/session "the-one": no port carries this network instance/),
    });
  });

  it('goes back to nothing after a hundred thousand sessions came and went', async () => {
    const bench = await startEngine(undefined, { sessionsMax: 100_000, ports: LARGE_PORTS });
    const empty = footprint(bench);
    const { engine } = bench;
    const record = recordOf(session({ name: 'ue-000000' }));
    const at = (record.words[layout.HEADER_NAME]! >>> 16) * 4;
    const bytes = new Uint8Array(record.words.buffer);
    const run = (operate: (open: ReturnType<typeof engine.openBatch>, name: string) => void) =>
      new Promise<number>((resolve) => {
        const open = engine.openBatch(OWNER, (done) => {
          let failed = 0;
          for (let i = 0; i < done.count; i++) if (done.error(i) !== undefined) failed++;
          resolve(failed);
        });
        for (let i = 0; i < 100_000; i++) operate(open, `ue-${String(i).padStart(6, '0')}`);
        open.submit();
      });
    const create = (open: ReturnType<typeof engine.openBatch>, name: string) => {
      bytes.set(Buffer.from(name), at);
      open.create(record);
    };
    expect(await run(create)).toBe(0);
    expect(engine.count).toBe(100_000);
    expect(await run((open, name) => open.deleteByName(name))).toBe(0);
    expect(footprint(bench)).toEqual(empty);
  });
});
