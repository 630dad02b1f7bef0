import { describe, expect, it } from 'vitest';
import { UsageTrigger } from '../../datapath/usage-event.js';
import { describeMessage } from '../codec/describe.js';
import {
  accepted,
  answerReport,
  deletion,
  established,
  establishment,
  FakePeer,
  type Loose,
  modification,
  type N4Bench,
  settle,
  startSessions,
  uplinkPdr,
} from './session.fixture.js';

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

const URRS = 40;
const REPORT = 'Usage Report (Session Report Request)';
const REFERENCE = 0x1234;
const query = { 'PFCPSMReq-Flags': ['QAURR'], 'Query URR Reference': REFERENCE };

function withManyUrrs(change: Loose = {}) {
  return established((elements) => {
    const urr = { ...elements['Create URR'][0], ...change };
    elements['Create URR'] = Array.from({ length: URRS }, (_, i) => ({ ...urr, 'URR ID': i + 1 }));
  });
}

/** Usage of the report requests that the peer has got, and gets once it has answered these. */
async function reported(peer: FakePeer): Promise<Loose[]> {
  const usages: Loose[] = [];
  for (await settle(); peer.sent.length > 0; await settle()) {
    const sent = peer.sent.shift()!;
    const { elements } = describeMessage(sent.bytes) as Loose;
    // The answer had the number already.
    expect(elements['Additional Usage Reports Information']).toBeUndefined();
    usages.push(...elements[REPORT]);
    answerReport(sent);
  }
  return usages;
}
const references = (usages: Loose[]) => new Set(usages.map((one) => one['Query URR Reference']));
const further = (elements: Loose) => elements['Additional Usage Reports Information'];

describe('the usage of many URRs', () => {
  it('says how much follows, and with each report which query it answers', async () => {
    const { bench, peer, modify } = await withManyUrrs();
    bench.requests.startReports(peer);
    const { elements, reader } = await modify(query);
    expect(reader.bodyEnd).toBeLessThanOrEqual(1400);
    const first = elements[ANSWER];
    expect(further(elements)).toEqual({ auri: 0, high: 0, low: URRS - first.length });
    const rest = await reported(peer);
    expect(rest).toHaveLength(URRS - first.length);
    expect(references([...first, ...rest])).toEqual(new Set([REFERENCE]));
    expect(rest[0]['Usage Report Trigger']).toEqual(['IMMER']);
  });

  it('keeps the reference until it is answered, over a restart, too', async () => {
    const { bench, peer, modify } = await withManyUrrs();
    const reports = bench.requests.startReports(peer);
    const { elements } = await modify(query);
    await settle();
    const sent = peer.sent.shift()!;
    reports.stop();
    sent.done(undefined);
    await bench.engine.shutdown();
    const again = await startSessions(bench.store.contents);
    const later = new FakePeer();
    again.requests.startReports(later);
    await settle();
    const told = (bytes: Uint8Array) => describeMessage(bytes)!.elements;
    expect(told(later.sent[0]!.bytes)).toEqual(told(sent.bytes));
    const rest = await reported(later);
    expect(rest).toHaveLength(URRS - elements[ANSWER].length);
    expect(references(rest)).toEqual(new Set([REFERENCE]));
  });

  it('says nothing of the kind when all of it is told, and no query had a number', async () => {
    const { bench, peer, modify } = await counted();
    bench.requests.startReports(peer);
    const { elements } = await modify({ 'PFCPSMReq-Flags': ['QAURR'] });
    expect(further(elements)).toBeUndefined();
    expect(references(elements[ANSWER])).toEqual(new Set([undefined]));
    // Those of a query have its number, 0 as well as any; what the request ends does not.
    const some = await modify({
      'Query URR': [{ 'URR ID': 1 }],
      'Query URR Reference': 0,
      'Update PDR': [{ 'PDR ID': 1, 'URR ID': [1] }],
    });
    expect(
      some.elements[ANSWER].map((one: Loose) => [one['URR ID'], one['Query URR Reference']]),
    ).toEqual([
      [1, 0],
      [2, undefined],
    ]);
    bench.datapath.report(indexOf(bench), 1, UsageTrigger.VolumeThreshold);
    expect(references(await reported(peer))).toEqual(new Set([undefined]));
  });

  it('of URRs that tell of inactivity, too, is what a query asked for', async () => {
    const { bench, peer, modify } = await withManyUrrs({ 'Reporting Triggers': ['UPINT'] });
    bench.requests.startReports(peer);
    for (const asks of [query, { 'PFCPSMReq-Flags': ['QAURR'] }]) {
      await modify(asks);
      const triggers = (await reported(peer)).map((one) => one['Usage Report Trigger'][0]);
      expect(new Set(triggers)).toEqual(new Set(['IMMER']));
    }
  });

  it('and what waited before it follow the answer to a deletion, which says how much', async () => {
    const { bench, peer, seid } = await withManyUrrs();
    bench.requests.startReports(peer);
    for (let urr = 1; urr <= 30; urr++) {
      bench.datapath.report(indexOf(bench), urr, UsageTrigger.VolumeThreshold);
      await settle();
    }
    // The first is under way, and not counted; not all of the others find room.
    const [underWay] = peer.sent.splice(0);
    const { elements, reader } = await accepted(bench, peer, deletion(seid));
    expect(reader.bodyEnd).toBeLessThanOrEqual(1400);
    const count = elements['Usage Report (Session Deletion Response)'].length;
    const { auri, high, low } = further(elements);
    answerReport(underWay);
    const rest = await reported(peer);
    expect([auri, high * 256 + low]).toEqual([0, rest.length]);
    expect(count + rest.length).toBe(29 + URRS);
    expect(rest[0]['Usage Report Trigger']).toEqual(['VOLTH']);
  });
});

/** A session whose PDRs are those of applications, by PDR; '': of none. URR 1 is of both. */
async function detecting(...applications: readonly string[]) {
  const bench = await startSessions();
  const peer = new FakePeer();
  const flows = [Buffer.from('permit out tcp from 198.51.100.7 443 to assigned')];
  peer.applications = { find: () => ({ flows, isUnmatchable: false }) };
  const request = establishment(1, (elements) => {
    applications.forEach((name, pdr) => {
      if (name !== '') elements['Create PDR'][pdr].PDI['Application ID'] = name;
    });
    Object.assign(elements['Create URR'][0], {
      'Reporting Triggers': ['START', 'STOPT', 'VOLTH'],
      'Inactivity Detection Time': 10,
    });
  });
  const { seid } = await accepted(bench, peer, request);
  bench.requests.startReports(peer);
  const report = async (triggers: UsageTrigger) => {
    bench.datapath.report(indexOf(bench), 1, triggers);
    return (await reported(peer)).map((one) => one['Application Detection Information']);
  };
  return { bench, peer, seid, report };
}

describe('the start and the stop of an application', () => {
  it('are told with its ID, and its other usage without', async () => {
    const { report } = await detecting('video', 'video');
    const video = { 'Application ID': 'video' };
    expect(await report(UsageTrigger.Start)).toEqual([video]);
    expect(await report(UsageTrigger.Stop | UsageTrigger.VolumeThreshold)).toEqual([video]);
    expect(await report(UsageTrigger.VolumeThreshold)).toEqual([undefined]);
  });

  it('are told without when it may have been another one, or none', async () => {
    // One that leaves no room for the report is not told either.
    const long = 'v'.repeat(1390);
    for (const applications of [
      ['video', 'web'],
      ['', 'video'],
      ['', ''],
      [long, long],
    ]) {
      const { report } = await detecting(...applications);
      expect(await report(UsageTrigger.Start)).toEqual([undefined]);
    }
  });

  it('are told by what the session is when they are told', async () => {
    const { bench, peer, seid, report } = await detecting('video', 'web');
    const { elements } = await accepted(
      bench,
      peer,
      modification(seid, { 'Remove PDR': [{ 'PDR ID': 1 }] }),
    );
    expect(elements[ANSWER]).toBeUndefined();
    expect(await report(UsageTrigger.Stop)).toEqual([{ 'Application ID': 'web' }]);
  });
});
