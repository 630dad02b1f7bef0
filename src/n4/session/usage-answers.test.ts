import { describe, expect, it } from 'vitest';
import { established, type Loose, type N4Bench, uplinkPdr } from './session.fixture.js';

const ANSWER = 'Usage Report (Session Modification Response)';
const indexOf = (bench: N4Bench) => [...bench.datapath.sessions.keys()][0]!;

/** A session with URRs 1 and 2, both of its uplink, the first of its downlink, too. */
async function counted() {
  const session = await established((elements) => {
    elements['Create URR'].push({ ...elements['Create URR'][0], 'URR ID': 2 });
    elements['Create PDR'][0]['URR ID'] = [1, 2];
  });
  session.bench.datapath.count(indexOf(session.bench), 1, 200, 100);
  session.bench.datapath.count(indexOf(session.bench), 2, 200, 0);
  return session;
}
const told = ({ elements }: Loose) =>
  (elements[ANSWER] ?? []).map((usage: Loose) => [
    usage['URR ID'],
    ...usage['Usage Report Trigger'],
    usage['Volume Measurement'].total,
  ]);

describe('the end of a URR', () => {
  it('is told when its last PDR is removed', async () => {
    const { modify, show } = await counted();
    const other = { ...uplinkPdr(), 'PDR ID': 3, 'URR ID': [2] };
    expect(told(await modify({ 'Remove PDR': [{ 'PDR ID': 1 }], 'Create PDR': [other] }))).toEqual(
      [],
    );
    expect(told(await modify({ 'Remove PDR': [{ 'PDR ID': 2 }] }))).toEqual([[1, 'TERMR', 300]]);
    expect(show().urrs.map(({ id }: Loose) => id)).toEqual([1, 2]);
    // It was told, and has no PDR that could count more.
    expect(told(await modify({ 'Update PDR': [{ 'PDR ID': 3, Precedence: 7 }] }))).toEqual([]);
  });

  it('is told when the last PDR stops naming it', async () => {
    const { modify } = await counted();
    const names = (...ids: number[]) => ({ 'Update PDR': [{ 'PDR ID': 1, 'URR ID': ids }] });
    expect(told(await modify(names(1)))).toEqual([[2, 'TERMR', 200]]);
    // One that was never named has nothing to end.
    expect(told(await modify(names(1)))).toEqual([]);
    expect(told(await modify(names(2)))).toEqual([]);
  });

  it('is told once, when it is asked for, too, or gone with its PDR', async () => {
    const { modify } = await counted();
    const both = await modify({
      'Update PDR': [{ 'PDR ID': 1, 'URR ID': [1] }],
      'PFCPSMReq-Flags': ['QAURR'],
    });
    expect(told(both)).toEqual([
      [1, 'IMMER', 300],
      [2, 'TERMR', 200],
    ]);
    const gone = await modify({
      'Remove URR': [{ 'URR ID': 1 }],
      'Update PDR': [
        { 'PDR ID': 1, 'URR ID': [2] },
        { 'PDR ID': 2, 'URR ID': [2] },
      ],
    });
    expect(told(gone)).toEqual([[1, 'TERMR', 0]]);
  });

  it('is that of a session without traffic, too, as of one that is removed', async () => {
    const { modify } = await established();
    const another = { ...uplinkPdr(), 'PDR ID': 3 };
    delete another['URR ID'];
    const gone = await modify({
      'Remove PDR': [{ 'PDR ID': 1 }, { 'PDR ID': 2 }],
      'Create PDR': [another],
    });
    expect(told(gone)).toEqual([[1, 'TERMR', 0]]);
  });
});
