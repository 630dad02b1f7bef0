import { describe, expect, it } from 'vitest';
import { OperationKind, PrepareStatus } from '../datapath/datapath.js';
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
  ueIpv4Of,
} from './engine.fixture.js';

const create = ({ engine }: Bench, shape: Shape = {}, owner = OWNER) =>
  engine.create(owner, recordOf(session(shape)));
const update = ({ engine }: Bench, shape: Shape, options?: Parameters<typeof engine.update>[2]) =>
  engine.update(OWNER, recordOf(session(shape)), options);

describe('create', () => {
  it('chooses what was left open, and shows the session', async () => {
    const bench = await startEngine();
    const { record } = await create(bench, { ueAddress: { ipv4: 'auto', ipv6_prefix: 'auto' } });
    const [teid] = teidsOf(record);
    const index = record[layout.HEADER_SESSION_INDEX]!;
    expect(teid).not.toBe(0);
    // TEID, place and addresses carry the same bucket.
    const bucket = teid! >>> 24;
    expect(record[layout.HEADER_PLACE]! >>> 16).toBe(bucket);
    expect(Math.floor(index / bench.engine.table.slots.slotsPerBucket)).toBe(bucket);
    expect(ueIpv4Of(record)).toMatch(new RegExp(`^10\\.60\\.\\d+\\.${bucket}$`));
    expect(record[layout.HEADER_UE_PREFIX_HIGH]).toBe(0xfd000060);
    expect(record[layout.HEADER_UE_PREFIX_LOW]! & 0xff).toBe(bucket);
    expect(refText(record, 0, record[layout.HEADER_OWNER]!)).toBe(OWNER);
    expect(seidOf(record)).not.toBe(0n);
    const pdr = layout.HEADER_WORDS;
    expect(record[pdr + layout.PDR_LOCAL_IPV4]).toBe(0xc0000201);
    expect(record[pdr + layout.PDR_LOCAL_IPV6]).toBe(0x20010db8);

    expect(bench.engine.count).toBe(1);
    expect(bench.engine.get(OWNER, { name: 'ue-1' })).toEqual(record);
    expect(bench.engine.get('other', { seid: seidOf(record) })).toEqual(record);
    expect(bench.engine.get('other', { name: 'ue-1' })).toEqual(record);
    expect(bench.engine.get(OWNER, { name: 'ue-2', seid: seidOf(record) })).toBeUndefined();
    expect([...bench.store.contents.records.values()]).toEqual([
      new Uint8Array(record.buffer, record.byteOffset, record.byteLength),
    ]);
    expect(bench.datapath.sessions.has(index)).toBe(true);
  });

  it('lets a name find what one other owner has, but not which of two', async () => {
    const bench = await startEngine();
    const own = await create(bench);
    const other = await create(bench, {}, 'grpc:other');
    expect(bench.engine.get(OWNER, { name: 'ue-1' })).toEqual(own.record);
    expect(bench.engine.get('grpc:other', { name: 'ue-1' })).toEqual(other.record);
    expect(bench.engine.get('grpc:third', { name: 'ue-1' })).toBeUndefined();
    await expect(bench.engine.delete('grpc:third', { name: 'ue-1' })).rejects.toMatchObject({
      code: 'not_found',
    });
    await bench.engine.delete(OWNER, { name: 'ue-1' });
    await expect(bench.engine.delete(OWNER, { name: 'ue-1' })).rejects.toMatchObject({
      code: 'permission_denied',
      message: "the session is grpc:other's, who alone changes it",
    });
    expect(bench.engine.count).toBe(1);
  });

  it('is idempotent by name and content', async () => {
    const bench = await startEngine();
    const first = await create(bench);
    const again = await create(bench);
    expect(again.record).toEqual(first.record);
    await expect(create(bench, { fTeids: [{ choose_id: 2 }] })).rejects.toMatchObject({
      code: 'already_exists',
      field: 'session.name',
    });
    const other = await create(bench, {}, 'grpc:other');
    expect(seidOf(other.record)).not.toBe(seidOf(first.record));
    expect(bench.engine.count).toBe(2);
  });

  it('gives one TEID per choose ID, and others of the same bucket', async () => {
    const bench = await startEngine();
    const fTeids = [{ choose_id: 1 }, { choose_id: 2 }, { choose_id: 1 }];
    const { record } = await create(bench, { fTeids });
    const [a, b, c] = teidsOf(record);
    expect(a).toBe(c);
    expect(a).not.toBe(b);
    expect(a! >>> 24).toBe(b! >>> 24);
  });

  it.each([
    [{ instance: 'nowhere' }, 'failed_precondition', 'session.fars[0].forward.network_instance'],
    [
      { ueAddress: { ipv4: '10.60.0.1' } },
      'invalid_argument',
      'session.pdrs[1].pdi.ue_address.ipv4',
    ],
    [
      { instance: 'ims', ueAddress: { ipv6_prefix: 'auto' } },
      'failed_precondition',
      'session.pdrs[1].pdi.ue_address.ipv6_prefix',
    ],
  ])('refuses %j and leaves nothing behind', async (shape, code, field) => {
    const bench = await startEngine();
    const before = footprint(bench);
    await expect(create(bench, shape)).rejects.toMatchObject({ code, field });
    expect(footprint(bench)).toEqual(before);
  });

  it.each([
    [PrepareStatus.TeidTaken, 'already_exists'],
    [PrepareStatus.Resources, 'resource_exhausted'],
    [PrepareStatus.Malformed, 'internal'],
  ])('leaves nothing behind when the packet path says %i', async (status, code) => {
    const bench = await startEngine();
    const before = footprint(bench);
    bench.datapath.refuse = () => status;
    const fTeids = [{ choose_id: 1 }, { choose_id: 2 }, { teid: 77, ipv4: '192.0.2.1' }];
    await expect(create(bench, { fTeids })).rejects.toMatchObject({ code });
    expect(footprint(bench)).toEqual(before);
    bench.datapath.refuse = null;
    await create(bench, { fTeids });
    expect(bench.engine.count).toBe(1);
  });

  it('leaves nothing behind when the store fails', async () => {
    const bench = await startEngine();
    const before = footprint(bench);
    bench.store.failCommits = 1;
    await expect(create(bench)).rejects.toMatchObject({ code: 'unavailable' });
    expect(footprint(bench)).toEqual(before);
    await create(bench);
    expect(bench.engine.count).toBe(1);
  });

  it('takes a TEID that is the place of a session which has others', async () => {
    const bench = await startEngine();
    const first = await create(bench);
    const [direct] = teidsOf(first.record);
    const wanted = [{ teid: direct!, ipv4: '192.0.2.1' }];
    await update(bench, { fTeids: [{ teid: 0x1234, ipv4: '192.0.2.1' }] });
    await create(bench, { name: 'ue-2', fTeids: wanted });
    // Its place is another's now, so it gets a TEID from elsewhere.
    const { record } = await update(bench, { fTeids: [{ choose_id: 1 }] });
    expect(teidsOf(record)[0]).not.toBe(direct);
    await expect(create(bench, { name: 'ue-3', fTeids: wanted })).rejects.toMatchObject({
      code: 'already_exists',
      field: 'session.pdrs[0].pdi.local_f_teid.teid',
    });
  });

  it('says which TEID or address another session has', async () => {
    const bench = await startEngine();
    const taken = await create(bench, {
      fTeids: [{ teid: 0x1234, ipv4: '192.0.2.1' }],
      ueAddress: { ipv4: '172.16.0.9' },
    });
    const second = await create(bench, { name: 'ue-2' });
    const [direct] = teidsOf(second.record);
    const before = footprint(bench);
    const ueAddress = { ipv4: '172.16.0.9' };
    await expect(create(bench, { name: 'ue-3', ueAddress })).rejects.toMatchObject({
      code: 'already_exists',
      holder: seidOf(taken.record),
    });
    for (const teid of [0x1234, direct!]) {
      const fTeids = [{ teid, ipv4: '192.0.2.1' }];
      await expect(create(bench, { name: 'ue-3', fTeids })).rejects.toMatchObject({
        code: 'already_exists',
        field: 'session.pdrs[0].pdi.local_f_teid.teid',
        holder: seidOf(teid === direct ? second.record : taken.record),
      });
    }
    const pooled = ueIpv4Of(bench.engine.get(OWNER, { name: 'ue-2' })!);
    const claim = create(bench, { name: 'ue-3', ueAddress: { ipv4: pooled } });
    await expect(claim).rejects.toMatchObject({
      code: 'already_exists',
      field: 'session.pdrs[1].pdi.ue_address.ipv4',
      holder: seidOf(second.record),
    });
    expect(footprint(bench)).toEqual(before);
    // The same address in another instance is another one.
    await create(bench, { name: 'ue-4', instance: 'ims', ueAddress: { ipv4: '172.16.0.9' } });
    expect(taken.record).toEqual(bench.engine.get(OWNER, { name: 'ue-1' }));
  });

  it('stops at the limit of sessions', async () => {
    const bench = await startEngine(undefined, { sessionsMax: 3 });
    for (let i = 0; i < 3; i++) await create(bench, { name: `ue-${i}` });
    await expect(create(bench, { name: 'ue-3' })).rejects.toMatchObject({
      code: 'resource_exhausted',
    });
    await bench.engine.delete(OWNER, { name: 'ue-0' });
    await create(bench, { name: 'ue-3' });
  });

  it('gives all addresses of a small pool, and then says so', async () => {
    const bench = await startEngine();
    const found = new Set<string>();
    // 10.60.0.0/29 without its network address, ours, and broadcast.
    for (let i = 0; i < 5; i++) {
      found.add(ueIpv4Of((await create(bench, { name: `ue-${i}`, instance: 'ims' })).record));
    }
    expect([...found].sort()).toEqual([2, 3, 4, 5, 6].map((octet) => `10.60.0.${octet}`));
    const before = footprint(bench);
    await expect(create(bench, { name: 'ue-5', instance: 'ims' })).rejects.toMatchObject({
      code: 'resource_exhausted',
      field: 'session.pdrs[1].pdi.ue_address.ipv4',
    });
    expect(footprint(bench)).toEqual(before);
    const gone = await bench.engine.delete(OWNER, { name: 'ue-2' });
    const next = await create(bench, { name: 'ue-5', instance: 'ims' });
    expect(ueIpv4Of(next.record)).toBe(ueIpv4Of(gone.record));
  });
});

describe('update', () => {
  it('replaces the rules and keeps what was chosen', async () => {
    const bench = await startEngine();
    const before = await create(bench);
    const fTeids = [{ choose_id: 2 }, { choose_id: 1 }];
    const { record } = await update(bench, { fTeids });
    expect(record[layout.HEADER_REVISION_LOW]).toBe(2);
    expect(seidOf(record)).toBe(seidOf(before.record));
    expect(teidsOf(record)[1]).toBe(teidsOf(before.record)[0]);
    expect(teidsOf(record)[0]).not.toBe(teidsOf(record)[1]);
    expect(ueIpv4Of(record)).toBe(ueIpv4Of(before.record));
    expect(bench.engine.get(OWNER, { name: 'ue-1' })).toEqual(record);
    expect(bench.store.contents.records.size).toBe(1);
    expect(bench.engine.slab.records).toBe(1);
    // What the new version no longer has is free again.
    await update(bench, { ueAddress: { ipv4: '172.16.0.1' } });
    await update(bench, { ueAddress: { ipv4: '172.16.0.1' } });
    await bench.engine.delete(OWNER, { name: 'ue-1' });
    expect(footprint(bench)).toEqual(footprint(await startEngine()));
  });

  it('finds the session by SEID, and keeps its name', async () => {
    const bench = await startEngine();
    const { record } = await create(bench, { name: 'a.long-name:of_a_session' });
    const seid = seidOf(record);
    const updated = await update(bench, { name: '', seid: `${seid}` });
    expect(bench.engine.get(OWNER, { name: 'a.long-name:of_a_session' })).toEqual(updated.record);
    const wrong = update(bench, { name: 'other', seid: `${seid}` });
    await expect(wrong).rejects.toMatchObject({ code: 'not_found' });
    const foreign = bench.engine.update(
      'grpc:other',
      recordOf(session({ name: '', seid: `${seid}` })),
    );
    await expect(foreign).rejects.toMatchObject({ code: 'permission_denied' });
  });

  it('refuses another revision, an unknown session, an unknown URR', async () => {
    const bench = await startEngine();
    await expect(update(bench, {})).rejects.toMatchObject({ code: 'not_found' });
    await create(bench);
    const before = footprint(bench);
    await expect(update(bench, {}, { expectedRevision: 9n })).rejects.toMatchObject({
      code: 'aborted',
      field: 'expected_revision',
    });
    await expect(update(bench, {}, { queryUrrIds: [1, 8] })).rejects.toMatchObject({
      code: 'invalid_argument',
      field: 'query_urr_ids[1]',
    });
    expect(footprint(bench)).toEqual(before);
    await update(bench, {}, { expectedRevision: 1n });
  });

  it.each(['packet path', 'store'])('leaves the old version when the %s fails', async (what) => {
    const bench = await startEngine();
    const old = await create(bench);
    const before = footprint(bench);
    if (what === 'store') bench.store.failCommits = 1;
    else bench.datapath.refuse = () => PrepareStatus.Resources;
    const change = {
      fTeids: [{ choose_id: 7 }, { choose_id: 8 }],
      ueAddress: { ipv4: '10.60.9.9' },
    };
    await expect(update(bench, change)).rejects.toThrow();
    expect(footprint(bench)).toEqual(before);
    expect(bench.engine.get(OWNER, { name: 'ue-1' })).toEqual(old.record);
    bench.datapath.refuse = null;
    await update(bench, change);
  });

  it('returns the usage that was asked for, and that of a URR that went', async () => {
    const bench = await startEngine();
    const urrs = [1, 2, 3].map((id) => ({ id, measure_volume: true }));
    const { record } = await create(bench, { urrs });
    const index = record[layout.HEADER_SESSION_INDEX]!;
    for (const urr of [1, 2, 3]) bench.datapath.count(index, urr, urr * 100, urr);
    const { usage } = await update(bench, { urrs: urrs.slice(0, 2) }, { queryUrrIds: [2] });
    expect(usage.length).toBe(2 * 32);
    expect([usage[3], usage[6], usage[3 + 32], usage[6 + 32]]).toEqual([2, 200, 3, 300]);
    const last = await bench.engine.delete(OWNER, { name: 'ue-1' });
    expect(last.usage.length).toBe(2 * 32);
    expect([last.usage[3], last.usage[6], last.usage[8]]).toEqual([1, 100, 1]);
  });
});

describe('delete', () => {
  it('goes from the packet path first, then from the store, and answers last', async () => {
    const bench = await startEngine();
    const empty = footprint(bench);
    const { record } = await create(bench);
    const steps: string[] = [];
    let release = () => {};
    bench.store.hold = new Promise<void>((resolve) => {
      release = resolve;
    });
    const done = bench.engine.delete(OWNER, { seid: seidOf(record) }).then((result) => {
      steps.push('answered');
      return result;
    });
    while (bench.datapath.sessions.size > 0) await new Promise(setImmediate);
    expect(bench.store.contents.records.size).toBe(1);
    steps.push('store');
    release();
    const { usage } = await done;
    expect(usage.length).toBe(32);
    expect(steps).toEqual(['store', 'answered']);
    expect(footprint(bench)).toEqual(empty);
    await expect(bench.engine.delete(OWNER, { name: 'ue-1' })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('can be tried again when the store failed', async () => {
    const bench = await startEngine();
    const empty = footprint(bench);
    await create(bench);
    // The final usage and the removal are one transaction of a store that has some.
    bench.store.failCommits = 2;
    const first = bench.engine.delete(OWNER, { name: 'ue-1' });
    await expect(first).rejects.toMatchObject({ code: 'unavailable' });
    expect(bench.datapath.sessions.size).toBe(0);
    await expect(update(bench, {})).rejects.toMatchObject({ code: 'failed_precondition' });
    await expect(create(bench)).rejects.toMatchObject({ code: 'failed_precondition' });
    await bench.engine.delete(OWNER, { name: 'ue-1' });
    expect(footprint(bench)).toEqual(empty);
  });

  it('keeps the session when the packet path refuses', async () => {
    const bench = await startEngine();
    const { record } = await create(bench);
    bench.datapath.refuse = (kind) =>
      kind === OperationKind.Delete ? PrepareStatus.Resources : PrepareStatus.Ok;
    await expect(bench.engine.delete(OWNER, { name: 'ue-1' })).rejects.toThrow();
    expect(bench.engine.get(OWNER, { name: 'ue-1' })).toEqual(record);
  });
});
