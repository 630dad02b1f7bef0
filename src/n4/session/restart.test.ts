/** What a peer establishes after its restart, while its sessions from before are given up. */
import { describe, expect, it } from 'vitest';
import { MemoryStoreContents } from '../../store/memory.js';
import { addressOf } from '../peers/peer-address.js';
import {
  accepted,
  ask,
  deleteAll,
  elementsOf,
  establishment,
  FakePeer,
  type Loose,
  modification,
  startSessions,
} from './session.fixture.js';

/** A power of two: products with odd factors go through all numbers. */
const SESSIONS = 128;

/** A session with the CP F-SEID, TEID and UE address of these numbers. */
function session(seid: number, teid: number, ue: number): Uint8Array {
  return establishment(1 + seid, (wanted: Loose) => {
    const [uplink, downlink] = wanted['Create PDR'];
    uplink.PDI['F-TEID'] = { flags: ['V4'], teid: 0x100 + teid, ipv4: '192.0.2.1' };
    downlink.PDI['UE IP Address'] = [{ flags: ['V4'], ipv4: `10.60.${1 + (ue >> 8)}.${ue & 255}` }];
  });
}

describe('what a peer establishes after its restart', () => {
  it('is kept while the earlier ones are given up, whatever the clock does', async () => {
    let nowMs = 1_800_000_000_000;
    const contents = new MemoryStoreContents();
    const bench = await startSessions(contents, () => nowMs);
    const peer = new FakePeer();
    for (let number = 1; number < 40; number++) await accepted(bench, peer, establishment(number));
    const restart = await bench.requests.divide(peer);
    const gone = bench.requests.deleteAll(peer, restart);
    nowMs -= 3_600_000;
    // One of them is established again while it is given up.
    await Promise.all([40, 41, 1].map((number) => accepted(bench, peer, establishment(number))));
    await gone;
    expect(bench.engine.count).toBe(3);
    await bench.engine.shutdown();

    const next = await startSessions(contents, () => nowMs);
    const goesOn = next.requests.deleteAll(peer, restart);
    await accepted(next, peer, establishment(42));
    expect([await goesOn, next.engine.count]).toEqual([0, 4]);
    expect(await deleteAll(next.requests, peer)).toBe(4);
  });

  it('has the SEIDs, TEIDs and addresses of its past', async () => {
    const bench = await startSessions();
    const peer = new FakePeer();
    const other = new FakePeer('10.0.0.60');
    await accepted(bench, other, session(0, 0, 0));
    for (let i = 1; i < SESSIONS; i++) await accepted(bench, peer, session(i, i, i));
    peer.givenUpBefore = await bench.requests.divide(peer);
    const of = (number: number) => number % SESSIONS;
    const again = (i: number) => ask(bench, peer, session(of(5 * i), of(7 * i), of(11 * i)));
    const causes = [];
    // The first ones find them live, the others on their way out.
    for (let i = 1; i < 20; i++) causes.push(elementsOf(await again(i)).Cause);
    const gone = bench.requests.deleteAll(peer, peer.givenUpBefore);
    const rest = Array.from({ length: SESSIONS - 20 }, (_, i) => again(i + 20));
    for (const answer of await Promise.all(rest)) causes.push(elementsOf(answer).Cause);
    await gone;
    expect(new Set(causes)).toEqual(new Set(['Request accepted']));
    expect(bench.engine.count).toBe(SESSIONS);
    // What another peer has is not to be had, and of its own what is from after the restart.
    const taken = [session(600, 0, 600), session(600, 600, 0), session(600, 7 * 3, 600)];
    for (const request of taken) {
      expect(elementsOf(await ask(bench, peer, request)).Cause).not.toBe('Request accepted');
    }
    expect(bench.engine.count).toBe(SESSIONS);
    expect(await deleteAll(bench.requests, peer)).toBe(SESSIONS - 1);
  });
});

/** CP F-SEIDs of the SEIDs 1, 2… */
const CP_ADDRESSES = [
  { flags: ['V4'], ipv4: '10.0.0.1' },
  { flags: ['V4'], ipv4: '10.0.0.7' },
  { flags: ['V6'], ipv6: 'fd00::7' },
  { flags: ['V6', 'V4'], ipv4: '10.0.0.8', ipv6: 'fd00::7' },
  { flags: ['V6', 'V4'], ipv4: '10.0.0.7', ipv6: 'fd00::8' },
];

async function ofSeveralAddresses() {
  const bench = await startSessions();
  const peer = new FakePeer();
  const seids: bigint[] = [];
  for (const [i, address] of CP_ADDRESSES.entries()) {
    const request = establishment(1 + i, (wanted: Loose) => {
      Object.assign(wanted['F-SEID'], { ipv4: undefined, ...address });
      const fTeid = { flags: ['V4'], teid: 0x100 + i, ipv4: '192.0.2.1' };
      wanted['Create PDR'][0].PDI['F-TEID'] = fTeid;
    });
    seids.push((await accepted(bench, peer, request)).seid);
  }
  const left = () => seids.map((seid) => (bench.engine.get(peer.owner, { seid }) ? 1 : 0));
  return { bench, peer, seids, left };
}

describe('what a peer asks to be retained over its restart', () => {
  const retained = ['10.0.0.7', 'fd00::7'].map((text) => addressOf(text)!);

  it('is what its CP F-SEIDs say now', async () => {
    const { bench, peer, seids, left } = await ofSeveralAddresses();
    const moved = { flags: ['V4'], seid: '0x0000000000000002', ipv4: '10.0.0.9' };
    await accepted(bench, peer, modification(seids[1]!, { 'F-SEID': moved }));
    const before = await bench.requests.divide(peer);
    expect(await bench.requests.deleteAll(peer, before, retained)).toBe(2);
    expect(left()).toEqual([0, 0, 1, 1, 1]);
  });

  it('keeps its TEIDs, which the others have to give away at once', async () => {
    const { bench, peer, left } = await ofSeveralAddresses();
    peer.givenUpBefore = await bench.requests.divide(peer);
    peer.retained = retained;
    const causes = [];
    for (const taken of [0, 2]) {
      const request = session(600 + taken, taken, 600 + taken);
      causes.push(elementsOf(await ask(bench, peer, request)).Cause);
    }
    expect(causes).toEqual(['Request accepted', 'Invalid F-TEID allocation option']);
    expect(left()).toEqual([0, 1, 1, 1, 1]);
  });
});
