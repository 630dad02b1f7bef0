import { describe, expect, it, vi } from 'vitest';
import {
  accepted,
  ask,
  deletion,
  elementsOf,
  establishment,
  FakePeer,
  type Loose,
  modification,
  type N4Bench,
  shown,
  startSessions,
} from './session.fixture.js';

function withUe(ipv4: string, more?: (wanted: Loose) => void): (wanted: Loose) => void {
  return (wanted) => {
    wanted['Create PDR'][1].PDI['UE IP Address'] = [{ flags: ['V4'], ipv4 }];
    more?.(wanted);
  };
}
const sameUe = withUe('10.60.0.9');
const cpFSeid = (seid: string) => ({ 'F-SEID': { flags: ['V4'], seid, ipv4: '10.0.0.1' } });
const names = (bench: N4Bench) =>
  bench.engine
    .list('', 100, '')
    .records.map((record) => Buffer.from(record.buffer).toString('latin1'));

describe('a session whose UE another session of its peer has', () => {
  it('takes its place in one step: a store that fails leaves the old one', async () => {
    const bench = await startSessions();
    const peer = new FakePeer();
    const older = await accepted(bench, peer, establishment(1, sameUe));
    const before = shown(bench, peer, older.seid);
    const commit = vi.spyOn(bench.store, 'commit').mockRejectedValueOnce(new Error('full'));
    const answer = elementsOf(await ask(bench, peer, establishment(2, sameUe)));
    expect(commit).toHaveBeenCalledOnce();
    expect(answer.Cause).not.toBe('Request accepted');
    expect(shown(bench, peer, older.seid)).toEqual(before);
    // The name that it would have got is free, and so is the way there.
    const newer = await accepted(bench, peer, establishment(2, sameUe));
    expect(shown(bench, peer, older.seid)).toBeUndefined();
    expect(shown(bench, peer, newer.seid)).toBeDefined();
    expect(bench.engine.count).toBe(1);
  });

  it('stays when the new one is refused for another reason', async () => {
    const bench = await startSessions();
    const peer = new FakePeer();
    const withTeid = (teid: number) => (wanted: Loose) => {
      wanted['Create PDR'][0].PDI['F-TEID'] = { flags: ['V4'], teid, ipv4: '192.0.2.1' };
    };
    await accepted(bench, peer, establishment(1, withUe('10.60.0.10', withTeid(0x77))));
    const older = await accepted(bench, peer, establishment(2, sameUe));
    const before = shown(bench, peer, older.seid);
    const both = establishment(3, withUe('10.60.0.9', withTeid(0x77)));
    const answer = elementsOf(await ask(bench, peer, both));
    expect(answer.Cause).toBe('Invalid F-TEID allocation option');
    expect(shown(bench, peer, older.seid)).toEqual(before);
    expect(bench.engine.count).toBe(2);
  });

  it('has its own name, also after a restart; the old one names nothing', async () => {
    const bench = await startSessions();
    const peer = new FakePeer();
    await accepted(bench, peer, establishment(1, sameUe));
    const newer = await accepted(bench, peer, establishment(2, sameUe));
    await bench.engine.shutdown();
    const again = await startSessions(bench.store.contents);
    // The old CP F-SEID makes a session beside it, its own one takes its place.
    await accepted(again, peer, establishment(1, withUe('10.60.0.10')));
    expect(shown(again, peer, newer.seid)).toBeDefined();
    expect(again.engine.count).toBe(2);
    await accepted(again, peer, establishment(2, sameUe));
    expect(shown(again, peer, newer.seid)).toBeUndefined();
    expect(again.engine.count).toBe(2);
  });

  it('waits for what is under way on the old one, which is deleted then', async () => {
    const bench = await startSessions();
    const peer = new FakePeer();
    const older = await accepted(bench, peer, establishment(1, sameUe));
    const [gone, newer, twin] = await Promise.all([
      accepted(bench, peer, deletion(older.seid)),
      accepted(bench, peer, establishment(2, sameUe)),
      accepted(bench, peer, establishment(2, sameUe)),
    ]);
    expect(gone.elements.Cause).toBe('Request accepted');
    expect(shown(bench, peer, newer.seid)).toBeUndefined();
    expect(shown(bench, peer, twin.seid)).toBeDefined();
    expect(bench.engine.count).toBe(1);
  });

  it('gives up a second one: one has the IPv4 address, the other the CP F-SEID', async () => {
    const bench = await startSessions();
    const peer = new FakePeer();
    await accepted(bench, peer, establishment(1, sameUe));
    await accepted(bench, peer, establishment(2, withUe('10.60.0.10')));
    const last = await accepted(bench, peer, establishment(2, sameUe));
    expect(shown(bench, peer, last.seid)).toBeDefined();
    expect(bench.engine.count).toBe(1);
    await accepted(bench, peer, deletion(last.seid));
    expect(bench.engine.count).toBe(0);
  });
});

describe('a session that takes the place of one and the UE of another', () => {
  const withTeid = (teid: number) => (wanted: Loose) => {
    wanted['Create PDR'][0].PDI['F-TEID'] = { flags: ['V4'], teid, ipv4: '192.0.2.1' };
  };
  /** CP F-SEID 1, and 2 with the UE of the one that is tried, and 3 with a TEID. */
  async function three() {
    const bench = await startSessions();
    const peer = new FakePeer();
    const made = [
      await accepted(bench, peer, establishment(1, withUe('10.60.0.10'))),
      await accepted(bench, peer, establishment(2, sameUe)),
      await accepted(bench, peer, establishment(3, withUe('10.60.0.11', withTeid(0x77)))),
    ];
    const all = () => made.map(({ seid }) => shown(bench, peer, seid));
    return { bench, peer, all, before: all(), held: bench.datapath.keysHeld };
  }

  it('changes nothing when it is refused for a third one', async () => {
    const { bench, peer, all, before, held } = await three();
    const request = establishment(1, withUe('10.60.0.9', withTeid(0x77)));
    const answer = elementsOf(await ask(bench, peer, request));
    expect(answer.Cause).toBe('Invalid F-TEID allocation option');
    expect(all()).toEqual(before);
    expect(bench.datapath.keysHeld).toBe(held);
    expect(bench.datapath.preparedHeld).toBe(0);
  });

  it('changes nothing when the store fails, and has both places when it does not', async () => {
    const { bench, peer, all, before, held } = await three();
    const commit = vi.spyOn(bench.store, 'commit');
    // Refused for the other session's address, and tried again with that.
    commit.mockRejectedValueOnce(new Error('full'));
    const answer = elementsOf(await ask(bench, peer, establishment(1, sameUe)));
    expect(commit).toHaveBeenCalledOnce();
    expect(answer.Cause).not.toBe('Request accepted');
    expect(all()).toEqual(before);
    expect(bench.datapath.keysHeld).toBe(held);
    const newest = await accepted(bench, peer, establishment(1, sameUe));
    expect(all().map((one) => one !== undefined)).toEqual([false, false, true]);
    expect(shown(bench, peer, newest.seid).pdrs[1].pdi.ue_address.ipv4).toBe('10.60.0.9');
    // What both had and it does not ask for is free again.
    await accepted(bench, peer, establishment(4, withUe('10.60.0.10')));
    await accepted(bench, peer, deletion(newest.seid));
    await accepted(bench, peer, establishment(5, sameUe));
    expect(bench.engine.count).toBe(3);
  });

  it('waits for what is under way on either', async () => {
    const { bench, peer, all } = await three();
    const requests = [1, 1, 2].map((seid) => accepted(bench, peer, establishment(seid, sameUe)));
    const made = await Promise.all(requests);
    // One after the other, each in the place of those before.
    const there = made.filter(({ seid }) => shown(bench, peer, seid) !== undefined);
    expect(there).toHaveLength(1);
    expect(all().map((one) => one !== undefined)).toEqual([false, false, true]);
    expect(bench.engine.count).toBe(2);
  });

  it('is back after a restart, alone', async () => {
    const { bench, peer } = await three();
    const newest = await accepted(bench, peer, establishment(1, sameUe));
    await bench.engine.shutdown();
    const again = await startSessions(bench.store.contents);
    expect(shown(again, peer, newest.seid)).toBeDefined();
    expect(again.engine.count).toBe(2);
  });
});

describe('a session that is given another CP F-SEID', () => {
  it('is listed under it, and found by it', async () => {
    const bench = await startSessions();
    const peer = new FakePeer();
    const first = await accepted(bench, peer, establishment(1, sameUe));
    await accepted(bench, peer, modification(first.seid, cpFSeid('0x0000000000000777')));
    expect(names(bench)).toHaveLength(1);
    expect(names(bench)[0]).toContain('cp-0000000000000777-10.0.0.1');
    await accepted(bench, peer, modification(first.seid, { 'User Plane Inactivity Timer': 9 }));
    expect(names(bench)[0]).toContain('cp-0000000000000777-10.0.0.1');
    const next = await accepted(bench, peer, establishment(0x777, withUe('10.60.0.11')));
    expect(shown(bench, peer, first.seid)).toBeUndefined();
    expect(shown(bench, peer, next.seid)).toBeDefined();
  });

  it('is not given that of another session', async () => {
    const bench = await startSessions();
    const peer = new FakePeer();
    const first = await accepted(bench, peer, establishment(1, sameUe));
    const other = await accepted(bench, peer, establishment(2, withUe('10.60.0.10')));
    const before = [shown(bench, peer, first.seid), shown(bench, peer, other.seid)];
    const taken = modification(first.seid, cpFSeid('0x0000000000000002'));
    expect(elementsOf(await ask(bench, peer, taken))).toMatchObject({
      Cause: 'Mandatory IE incorrect',
      'Offending IE': 57,
    });
    expect([shown(bench, peer, first.seid), shown(bench, peer, other.seid)]).toEqual(before);
  });
});
