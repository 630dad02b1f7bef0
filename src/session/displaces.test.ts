import { describe, expect, it, vi } from 'vitest';
import * as layout from '../model/record-layout.js';
import { OWNER, recordOf, type Shape, session, startEngine, teidsOf } from './engine.fixture.js';

const seidOf = (record: Uint32Array) =>
  (BigInt(record[layout.HEADER_SEID_HIGH]!) << 32n) | BigInt(record[layout.HEADER_SEID_LOW]!);

/** A session, and others whose addresses it is to get: what they are made of, by name. */
async function bench(shapes: readonly Shape[]) {
  const started = await startEngine();
  const { engine } = started;
  const seids: bigint[] = [];
  const teids: number[] = [];
  for (const shape of shapes) {
    const { record } = await engine.create(OWNER, recordOf(session(shape)));
    seids.push(seidOf(record));
    teids.push(teidsOf(record)[0]!);
  }
  /** The first one is another session now, which displaces the others, or some of them. */
  const replace = (shape: Shape, displaces = seids.slice(1)) =>
    engine.update(OWNER, recordOf(session(shape)), { afresh: true, renames: true, displaces });
  const create = (shape: Shape) => engine.create(OWNER, recordOf(session(shape)));
  return { ...started, seids, teids, replace, create };
}
const at = (teid: number) => [{ teid, ipv4: '192.0.2.1' }];
const ue = (ipv4: string) => ({ ipv4 });
const dual = (ipv4: string, ipv6: string) => ({ ipv4, ipv6_prefix: ipv6 });

describe('a session that displaces others', () => {
  it('has the addresses of several, of pools and TEIDs, and all is free when it is gone', async () => {
    const { engine, datapath, replace, create, teids } = await bench([
      { name: 'a' },
      { name: 'b', ueAddress: ue('10.60.0.9') },
      { name: 'c', ueAddress: dual('10.60.0.10', 'fd00:60:0:9::/64'), fTeids: at(0x77) },
    ]);
    const both = dual('10.60.0.9', 'fd00:60:0:9::/64');
    const fTeids = [...at(teids[1]!), ...at(0x77)];
    const { record } = await replace({ name: 'a', ueAddress: both, fTeids });
    expect(teidsOf(record)).toEqual([teids[1], 0x77]);
    expect(engine.count).toBe(1);
    const freed = { name: 'd', ueAddress: ue('10.60.0.10') };
    await create(freed);
    const taken = create({ name: 'e', ueAddress: ue('10.60.0.9') });
    await expect(taken).rejects.toMatchObject({ code: 'already_exists' });
    for (const name of ['a', 'd']) await engine.delete(OWNER, { name });
    expect(engine.choices.registry.size).toBe(0);
    expect(datapath.keysHeld).toBe(0);
    await create({ name: 'f', ueAddress: both, fTeids });
  });

  it('is refused for one that it does not displace, and the holder is named', async () => {
    const { engine, datapath, seids, replace } = await bench([
      { name: 'a' },
      { name: 'b', ueAddress: ue('10.60.0.9') },
      { name: 'c', fTeids: at(0x77) },
    ]);
    const before = datapath.keysHeld;
    const wanted = { name: 'a', ueAddress: ue('10.60.0.9'), fTeids: at(0x77) };
    await expect(replace(wanted, [seids[1]!])).rejects.toMatchObject({
      code: 'already_exists',
      holder: seids[2],
    });
    expect(engine.count).toBe(3);
    expect(datapath.keysHeld).toBe(before);
    expect(datapath.preparedHeld).toBe(0);
    await replace(wanted, seids.slice(1));
    expect(engine.count).toBe(1);
  });

  it('finds one gone, on its way out, or of another owner', async () => {
    const { engine, seids, replace } = await bench([{ name: 'a' }, { name: 'b' }]);
    const foreign = await engine.create('grpc:other', recordOf(session({ name: 'x' })));
    for (const wrong of [seids[1]! + (1n << 32n), seidOf(foreign.record)]) {
      await expect(replace({ name: 'a' }, [wrong])).rejects.toMatchObject({ code: 'not_found' });
    }
    const going = engine.delete(OWNER, { name: 'b' });
    await expect(replace({ name: 'a' }, [seids[1]!])).rejects.toMatchObject({ code: 'not_found' });
    await going;
    expect(engine.count).toBe(2);
  });

  it('leaves them when the store fails; what waits for one of them finds what became of it', async () => {
    const { engine, store, replace, create } = await bench([
      { name: 'a' },
      { name: 'b', ueAddress: ue('10.60.0.9') },
    ]);
    vi.spyOn(store, 'commit').mockRejectedValueOnce(new Error('full'));
    const wanted = { name: 'a', ueAddress: ue('10.60.0.9') };
    const failed = replace(wanted);
    const waits = engine.update(
      OWNER,
      recordOf(session({ name: 'b', ueAddress: ue('10.60.0.9') })),
    );
    await expect(failed).rejects.toMatchObject({ message: 'full' });
    await waits;
    expect(engine.count).toBe(2);
    const [replaced, gone] = await Promise.allSettled([
      replace(wanted),
      engine.delete(OWNER, { name: 'b' }),
    ]);
    expect([replaced.status, gone.status]).toEqual(['fulfilled', 'rejected']);
    expect(engine.count).toBe(1);
    await create({ name: 'b' });
  });
});
