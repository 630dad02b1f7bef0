/** N4 over the end of the process: killed with its store, without it, with the clock put back. */
import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { N4Lab } from './n4-lab.js';

const HOUR_MS = 3_600_000;
/** A clock an hour behind, for the control plane. */
const CLOCK = `const now=Date.now;Date.now=()=>now()-${HOUR_MS}`;
const CLOCK_BACK = `data:text/javascript,${encodeURIComponent(CLOCK)}`;

let n4: N4Lab;
const run = (name: string) => n4.run('cases_recovery', name);

beforeAll(async () => {
  // What a lab gives to its first SMFs.
  n4 = await N4Lab.open({ name: 'back', n4: { allow: ['192.0.2.16/28'] } });
});
afterAll(() => n4?.close());

const data = (...names: string[]): string => join(n4.lab.folder, 'back-data', ...names);

/** What the store of `durability: async` looks like after a power cut. */
function machineWasRebooted(): void {
  const state = JSON.parse(readFileSync(data('state.json'), 'utf8')) as Record<string, unknown>;
  expect(state.flushed).toBe(false);
  writeFileSync(data('state.json'), JSON.stringify({ ...state, bootId: randomUUID() }));
}

describe('a UPF that is killed', () => {
  it('has everything again when its store is kept', async () => {
    await run('sessions_are_made');
    await run('others_are_not_heard');
    await run('usage_is_reported_and_not_acknowledged');
    await n4.upf.stop('SIGKILL');
    await n4.upf.start();
    await run('all_is_back');
    await run('others_are_not_heard');
    await run('no_octet_is_lost');
  });

  it('says so by its time stamp when its store is lost', async () => {
    await n4.upf.stop('SIGKILL');
    rmSync(data(), { recursive: true });
    await n4.upf.start();
    await run('store_is_lost');
  });

  it('never says an earlier time than before, though its clock was put back', async () => {
    await n4.upf.stop('SIGKILL');
    machineWasRebooted();
    await n4.upf.start({ NODE_OPTIONS: `--import=${CLOCK_BACK}` });
    await run('time_stamp_only_grows');
    await run('ends');
  });

  it('and all that it said is well-formed to tshark', async () => {
    expect(await n4.complaintsOfTshark()).toEqual([]);
  });
});
