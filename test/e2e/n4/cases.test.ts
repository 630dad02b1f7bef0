/**
 * N4 as an outsider tries it: SMFs that are scapy, gNBs and a data network that send real packets,
 * and tshark as the judge of everything that the UPF said. The cases are in the Python modules
 * beside this file, one function each.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { casesOf, N4Lab } from './n4-lab.js';

const MODULES = {
  cases_parsing: 'parsing',
  cases_identity: 'identity',
  cases_peers: 'peers',
  cases_profiles: 'SMFs in their own words',
  cases_life: 'the life of a session',
  cases_buffering: 'buffering',
  cases_usage: 'usage',
  cases_triggers: 'the rarer reports',
  cases_routes: 'routes',
} as const;

let n4: N4Lab;

beforeAll(async () => {
  n4 = await N4Lab.open({ name: 'n4' });
});
afterAll(() => n4?.close());

for (const [module, what] of Object.entries(MODULES)) {
  describe(what, () => {
    it.each(casesOf(module))('%s', async (name) => {
      await n4.run(module, name);
    });
  });
}

describe('all that was said', () => {
  it('is well-formed to tshark, with no word of warning', async () => {
    expect(await n4.complaintsOfTshark()).toEqual([]);
    const sent = n4.sent();
    // Every kind of message was among it.
    for (const type of [1, 2, 4, 6, 8, 10, 11, 12, 15, 51, 53, 55, 56]) {
      expect(sent.get(type) ?? 0, `messages of type ${type}`).toBeGreaterThan(0);
    }
  });
});
