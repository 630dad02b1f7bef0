/**
 * N4 under load. SLUICE_E2E_LONG=1 makes it 100,000 sessions, the rates and times of the whole
 * list, and more of the random ones; else a small version of each runs.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { N4Lab } from './n4-lab.js';

const LONG = process.env.SLUICE_E2E_LONG === '1';
type Case = readonly [module: string, name: string, args: readonly string[]];
const SMALL: readonly Case[] = [
  ['cases_load', 'flood_of_one_peer_delays_no_other', ['3']],
  ['cases_load', 'many_sessions_over_a_lossy_network', ['3000']],
];
const LARGE: readonly Case[] = [
  ['cases_load', 'flood_of_one_peer_delays_no_other', ['30', '60000']],
  ['cases_load', 'many_sessions_over_a_lossy_network', ['100000', '2000', '2']],
  ['cases_identity', 'numbers_are_unpredictable', ['10000']],
  ['cases_parsing', 'mutations', ['7', '200000']],
  ['cases_life', 'mbr', ['10', '10000']],
  ['cases_life', 'storm_of_modifications_under_traffic', ['60']],
];

let n4: N4Lab;

beforeAll(async () => {
  n4 = await N4Lab.open({ name: 'load', sessions: 131_072 });
});
afterAll(() => n4?.close());

describe(LONG ? 'the whole load' : 'a small load', () => {
  const cases = LONG ? LARGE : SMALL;
  it.each(cases)('%s %s', { timeout: 1_800_000 }, async (module, name, args) => {
    const result = await n4.run(module, name, ...args);
    if (result !== null) console.log(name, JSON.stringify(result));
  });

  it('has no message that tshark complains of', async () => {
    expect(await n4.complaintsOfTshark()).toEqual([]);
  });
});
