import fc from 'fast-check';
import { expect, it } from 'vitest';
import { footprint } from '../../session/engine.fixture.js';
import * as Cause from '../codec/cause.js';
import * as Ie from '../codec/ie.js';
import { MessageReader } from '../codec/message-reader.js';
import { open5gsMessages } from '../codec/vectors.fixture.js';
import {
  accepted,
  ask,
  deleteAll,
  downlinkPdr,
  FakePeer,
  modification,
  richEstablishment,
  startSessions,
} from './session.fixture.js';

const HEADER_OCTETS = 16;
/** Numbers of sessions whose addresses differ from the first one's in two octets. */
const FRESH = 0x0202;
const FRESH_MAX = 0x02ff;

const change = fc.record({ at: fc.nat(4096), to: fc.integer({ min: 0, max: 255 }) });
const script = fc.array(
  fc.record({
    message: fc.nat(7),
    changes: fc.array(change, { maxLength: 3 }),
  }),
  { minLength: 1, maxLength: 6 },
);

it('messages with changed octets do all or nothing, and leave nothing behind', async () => {
  const bench = await startSessions();
  const peer = new FakePeer();
  const baseline = footprint(bench);
  const vectors = open5gsMessages().filter((message) => message[1] === 52);
  let refusals = 0;
  let fresh = FRESH;
  await fc.assert(
    fc.asyncProperty(script, async (steps) => {
      const { seid } = await accepted(bench, peer, richEstablishment(1));
      const messages = [
        // Another session each time: one of the same CP F-SEID or address takes another's place.
        richEstablishment(fresh),
        modification(seid, { 'Update FAR': [{ 'FAR ID': 2, 'Apply Action': ['DROP'] }] }),
        modification(seid, { 'Create PDR': [{ ...downlinkPdr(1), 'PDR ID': 9 }] }),
        modification(seid, { 'Remove PDR': [{ 'PDR ID': 3 }], 'Query URR': [{ 'URR ID': 1 }] }),
        ...vectors,
      ];
      for (const { message, changes } of steps) {
        messages[0] = richEstablishment(fresh);
        fresh = fresh === FRESH_MAX ? FRESH : fresh + 1;
        const bytes = messages[message % messages.length]!.slice();
        if (bytes[1] === 52) Buffer.from(bytes.buffer).writeBigUInt64BE(seid, 4);
        for (const { at, to } of changes) {
          bytes[HEADER_OCTETS + (at % (bytes.length - HEADER_OCTETS))] = to;
        }
        if (!new MessageReader().read(bytes, 0, bytes.length)) continue;
        const before = [footprint(bench), bench.engine.get(peer.owner, { seid })];
        const answer = await ask(bench, peer, bytes);
        if (answer.u8(answer.find(-1, Ie.Cause)) === Cause.Accepted) continue;
        refusals++;
        expect([footprint(bench), bench.engine.get(peer.owner, { seid })]).toEqual(before);
      }
      await deleteAll(bench.requests, peer);
      expect(footprint(bench)).toEqual(baseline);
    }),
    { numRuns: 300 },
  );
  expect(refusals).toBeGreaterThan(50);
}, 60_000);
