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
  downlinkPdr,
  establishment,
  FakePeer,
  type Loose,
  modification,
  startSessions,
  uplinkPdr,
} from './session.fixture.js';

const HEADER_OCTETS = 16;
/** Numbers of sessions whose addresses differ from the first one's in two octets. */
const FRESH = 0x0202;
const FRESH_MAX = 0x02ff;

/** Everything that an establishment may have, so that changes of octets reach far. */
function rich(number: number): Uint8Array {
  return establishment(number, (elements: Loose) => {
    const named = uplinkPdr();
    named['PDR ID'] = 3;
    named.PDI = { 'Source Interface': 'Access', 'Traffic Endpoint ID': [4] };
    elements['Create PDR'].push(named);
    elements['Create PDR'][1].PDI['SDF Filter'] = [
      {
        flags: ['FD', 'BID'],
        flowDescription: 'permit out 17 from any 53 to assigned',
        sdfFilterId: 7,
      },
    ];
    elements['Create PDR'][0].PDI['SDF Filter'] = [{ flags: ['BID'], sdfFilterId: 7 }];
    elements['Create Traffic Endpoint'] = [
      {
        'Traffic Endpoint ID': 4,
        'F-TEID': { flags: ['V4', 'CH'] },
        'Framed-Route': ['10.9.0.0/16'],
      },
    ];
    elements['Create FAR'][1]['BAR ID'] = 1;
    elements['Create BAR'] = [{ 'BAR ID': 1, 'Downlink Data Notification Delay': 2 }];
    Object.assign(elements['Create URR'][0], {
      'Measurement Method': ['DURAT', 'VOLUM'],
      'Reporting Triggers': ['PERIO', 'VOLTH', 'STOPT', 'DROTH', 'LIUSA', 'QUVTI', 'ENVCL'],
      'Measurement Period': 10,
      'Inactivity Detection Time': 20,
      'Volume Quota': { flags: ['TOVOL', 'ULVOL'], total: 9, uplink: 8 },
      'Time Quota': 60,
      'Quota Validity Time': 600,
      'Dropped DL Traffic Threshold': { flags: ['DLPA', 'DLBY'], packets: 3, bytes: 4 },
    });
    elements['User Plane Inactivity Timer'] = 9;
  });
}

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
      const { seid } = await accepted(bench, peer, rich(1));
      const messages = [
        // Another session each time: one of the same CP F-SEID or address takes another's place.
        rich(fresh),
        modification(seid, { 'Update FAR': [{ 'FAR ID': 2, 'Apply Action': ['DROP'] }] }),
        modification(seid, { 'Create PDR': [{ ...downlinkPdr(1), 'PDR ID': 9 }] }),
        modification(seid, { 'Remove PDR': [{ 'PDR ID': 3 }], 'Query URR': [{ 'URR ID': 1 }] }),
        ...vectors,
      ];
      for (const { message, changes } of steps) {
        messages[0] = rich(fresh);
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
      await bench.requests.deleteAll(peer);
      expect(footprint(bench)).toEqual(baseline);
    }),
    { numRuns: 300 },
  );
  expect(refusals).toBeGreaterThan(50);
}, 60_000);
