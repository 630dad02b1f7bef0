/** Set-ups that ask for sessions to be retained. */
import { describe, expect, it } from 'vitest';
import * as Message from '../codec/message-type.js';
import { associated, Bed } from '../endpoint.fixture.js';

const OWNER = 'n4:10.0.0.2';
/** PFCP Session Retention Information: of all; of CP F-SEIDs with 10.0.0.7, or fd00::7. */
const ALL = '00b70000';
const OF_SEVEN = '00b7001e00b90005020a00000700b9001101fd000000000000000000000000000007';
/** PFCPASRsp-Flags: PSREI. */
const RETAINED = /00b8000101/;

/** An SMF with two sessions of its own, 7 and 8, and one that 10.0.0.7 has, 9. */
async function withSessions() {
  const { bed, smf } = await associated();
  smf.establish(7);
  smf.establish(8);
  smf.cpAddress = 0x0a000007;
  smf.establish(9);
  await bed.run(20);
  smf.received.length = 0;
  const sessions = () => [...bed.sessions.of(OWNER).keys()];
  const setUp = async (more: string) => {
    smf.setUp(0, more);
    await bed.run(20);
    return smf.take(Message.AssociationSetupResponse)[0]?.hex ?? '';
  };
  return { bed, smf, sessions, setUp };
}

describe('a set-up that asks for sessions to be retained', () => {
  it('keeps them, whatever the stamp is, and says so', async () => {
    const { smf, sessions, setUp } = await withSessions();
    for (const later of [0, 10, -20]) {
      smf.stamp += later;
      expect(await setUp(ALL)).toMatch(RETAINED);
      expect(sessions()).toEqual([7, 8, 9]);
    }
    // The newest one is known, and the next one a restart like any other.
    smf.stamp += 20;
    expect(await setUp('')).not.toMatch(RETAINED);
    expect(sessions()).toEqual([7, 8, 9]);
    smf.stamp += 1;
    expect(await setUp('')).not.toMatch(RETAINED);
    expect(sessions()).toEqual([]);
  });

  it('is told where there was nothing to retain', async () => {
    const bed = new Bed();
    const smf = bed.smf('10.0.0.2:8805');
    smf.setUp(0, ALL);
    await bed.run(20);
    const [answer] = smf.take(Message.AssociationSetupResponse);
    expect(answer).toMatchObject({ cause: 1, hex: expect.not.stringMatching(RETAINED) });
  });

  it('of some CP functions keeps those, and is answered before the others are gone', async () => {
    const { bed, smf, sessions, setUp } = await withSessions();
    bed.sessions.purgeMs = 8_000;
    smf.stamp += 10;
    expect(await setUp(OF_SEVEN)).toMatch(RETAINED);
    smf.establish(10);
    await bed.run(20);
    expect(sessions()).toEqual([7, 8, 9, 10]);
    await bed.kill();
    bed.open();
    await bed.run(8_100, 50);
    expect(sessions()).toEqual([9, 10]);
    expect(bed.endpoint.peers()).toMatchObject([{ associated: true, sessions: 2 }]);
  });

  it('of some with the same stamp gives up the others, with an older one nothing', async () => {
    const { smf, sessions, setUp } = await withSessions();
    smf.stamp -= 5;
    expect(await setUp(OF_SEVEN)).toMatch(RETAINED);
    expect(sessions()).toEqual([7, 8, 9]);
    smf.stamp += 5;
    expect(await setUp(OF_SEVEN)).toMatch(RETAINED);
    expect(sessions()).toEqual([9]);
  });

  it('is told that they are gone as often as it asks, until it has made others', async () => {
    const { bed, smf, sessions, setUp } = await withSessions();
    smf.stamp += 10;
    // The node learns of the restart before the set-up comes, and the first answer is lost.
    await bed.run(bed.config.heartbeatSeconds * 1000 + 100, 50);
    expect(sessions()).toEqual([]);
    expect(await setUp(ALL)).not.toMatch(RETAINED);
    expect(await setUp(ALL)).not.toMatch(RETAINED);
    await bed.kill();
    bed.open();
    expect(await setUp(ALL)).not.toMatch(RETAINED);
    smf.establish(10);
    await bed.run(20);
    expect(await setUp(ALL)).toMatch(RETAINED);
    expect(sessions()).toEqual([10]);
  });

  it('is not told of sessions that are still being given up', async () => {
    const { bed, smf, sessions, setUp } = await withSessions();
    bed.sessions.purgeMs = 8_000;
    smf.stamp += 10;
    expect(await setUp('')).not.toMatch(RETAINED);
    expect(await setUp(ALL)).not.toMatch(RETAINED);
    expect(sessions()).toEqual([7, 8, 9]);
    smf.establish(10);
    await bed.run(20);
    expect(await setUp(ALL)).toMatch(RETAINED);
    await bed.run(8_100, 50);
    expect(sessions()).toEqual([10]);
  });
});
