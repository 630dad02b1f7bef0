/**
 * Sessions that are given up: at a release before its answer; after a restart while the peer is
 * served already.
 */
import { describe, expect, it } from 'vitest';
import * as Message from '../codec/message-type.js';
import { associated, Bed, type FakeSmf } from '../endpoint.fixture.js';

const OWNER = 'n4:10.0.0.2';
/** Giving up the sessions of a peer takes that long; an SMF repeats itself after 1 to 3 s. */
const PURGE_MS = 8_000;

async function restarted(): Promise<{ bed: Bed; smf: FakeSmf }> {
  const { bed, smf } = await associated();
  smf.establish();
  smf.establish();
  await bed.run(20);
  expect(bed.sessions.of(OWNER).size).toBe(2);
  bed.sessions.purgeMs = PURGE_MS;
  smf.received.length = 0;
  smf.stamp += 10;
  smf.setUp();
  await bed.run(20);
  return { bed, smf };
}

describe('a peer that leaves', () => {
  it('is answered once, when its sessions are gone, however often it asks', async () => {
    const { bed, smf } = await associated();
    smf.establish();
    await bed.run(20);
    bed.sessions.purgeMs = PURGE_MS;
    smf.received.length = 0;
    const release = smf.release();
    for (let i = 0; i < 3; i++) {
      await bed.run(1000, 50);
      smf.repeat(release);
    }
    await bed.run(20);
    expect(smf.take(Message.AssociationReleaseResponse)).toEqual([]);
    await bed.run(PURGE_MS, 50);
    expect(smf.take(Message.AssociationReleaseResponse)).toMatchObject([{ cause: 1 }]);
    smf.repeat(release);
    await bed.run(20);
    expect(smf.take(Message.AssociationReleaseResponse)).toMatchObject([{ cause: 1 }]);
    expect(bed.endpoint.peers()).toEqual([]);
  });
});

describe('a peer that has restarted', () => {
  it('is answered before its sessions are gone, and keeps what it establishes then', async () => {
    const { bed, smf } = await restarted();
    expect(smf.take(Message.AssociationSetupResponse)).toMatchObject([{ cause: 1 }]);
    smf.establish(100);
    await bed.run(20);
    expect(smf.take(Message.SessionEstablishmentResponse)).toMatchObject([{ cause: 1 }]);
    expect(bed.sessions.of(OWNER).size).toBe(3);
    await bed.run(PURGE_MS + 100, 50);
    expect([...bed.sessions.of(OWNER).keys()]).toEqual([100]);
  });

  it('keeps it, too, when the node is killed before the others are gone', async () => {
    const { bed, smf } = await restarted();
    smf.establish(100);
    await bed.run(20);
    await bed.kill();
    bed.open();
    expect(bed.sessions.of(OWNER).size).toBe(3);
    await bed.run(PURGE_MS + 100, 50);
    expect([...bed.sessions.of(OWNER).keys()]).toEqual([100]);
    expect(bed.endpoint.peers()).toMatchObject([{ associated: true, sessions: 1 }]);
    // What is done is done: the next run gives up nothing.
    smf.establish(101);
    await bed.run(20);
    await bed.kill();
    bed.open();
    await bed.run(PURGE_MS + 100, 50);
    expect([...bed.sessions.of(OWNER).keys()]).toEqual([100, 101]);
  });

  it('loses its past, too, when the node is killed before it is settled what that is', async () => {
    const bed = new Bed();
    const [smf, other] = [bed.smf('10.0.0.2:8805'), bed.smf('10.0.0.3:8805')];
    smf.setUp();
    other.setUp();
    await bed.run(20);
    smf.establish();
    await bed.run(20);
    bed.sessions.serviceMs = 500;
    smf.stamp += 10;
    const setUp = smf.setUp();
    await bed.run(20);
    // That one is answered at once, and all peers are saved.
    other.setUp();
    await bed.run(20);
    await bed.kill();
    bed.open();
    smf.repeat(setUp);
    await bed.run(1500, 50);
    expect(smf.take(Message.AssociationSetupResponse).at(-1)).toMatchObject({ cause: 1 });
    expect(bed.sessions.of(OWNER).size).toBe(0);
  });

  it('may restart again meanwhile, or leave', async () => {
    const { bed, smf } = await restarted();
    smf.establish(100);
    await bed.run(20);
    smf.stamp += 10;
    smf.setUp();
    smf.establish(200);
    await bed.run(20);
    await bed.run(2 * PURGE_MS + 100, 50);
    expect([...bed.sessions.of(OWNER).keys()]).toEqual([200]);
    smf.stamp += 10;
    smf.setUp();
    await bed.run(20);
    smf.release();
    await bed.run(3 * PURGE_MS + 100, 50);
    expect(smf.take(Message.AssociationReleaseResponse)).toMatchObject([{ cause: 1 }]);
    expect([...bed.sessions.of(OWNER).keys()]).toEqual([]);
    expect(bed.endpoint.peers()).toEqual([]);
  });
});
