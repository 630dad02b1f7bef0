import { describe, expect, it } from 'vitest';
import { describeMessage } from '../codec/describe.js';
import { open5gsMessages } from '../codec/vectors.fixture.js';
import {
  accepted,
  answerReport,
  ask,
  deletion,
  downlinkPdr,
  elementsOf,
  established,
  establishment,
  FakePeer,
  type Loose,
  modification,
  type N4Bench,
  settle,
  shown,
  startSessions,
  uplinkPdr,
} from './session.fixture.js';

const indexOf = (bench: N4Bench) => [...bench.datapath.sessions.keys()][0]!;

describe('a modification', () => {
  it('points the downlink to a gNB, IE by IE', async () => {
    const { modify, show } = await established((elements) => {
      elements['Create FAR'][1] = { 'FAR ID': 2, 'Apply Action': ['BUFF', 'NOCP'] };
    });
    expect(show().fars[1].buffer).toMatchObject({ notify: true });
    await modify({
      'Update FAR': [
        {
          'FAR ID': 2,
          'Apply Action': ['FORW'],
          'Update Forwarding Parameters': {
            'Destination Interface': 'Access',
            'Network Instance': 'access',
            'Outer Header Creation': { flags: ['GTPU4'], teid: '0x00000021', ipv4: '10.1.1.2' },
          },
        },
      ],
    });
    expect(show().fars[1].forward).toMatchObject({
      network_instance: 'access',
      outer_header_creation: { teid: 0x21, ipv4: '10.1.1.2' },
    });
    // What is not said stays.
    await modify({
      'Update FAR': [
        {
          'FAR ID': 2,
          'Update Forwarding Parameters': {
            'Outer Header Creation': { flags: ['GTPU4'], teid: '0x00000022', ipv4: '10.1.1.3' },
            'PFCPSMReq-Flags': ['SNDEM'],
          },
        },
      ],
    });
    expect(show()).toMatchObject({ revision: '3' });
    expect(show().fars[1].forward).toMatchObject({
      destination_interface: 'INTERFACE_ACCESS',
      network_instance: 'access',
      outer_header_creation: { teid: 0x22, ipv4: '10.1.1.3' },
    });
    await modify({ 'Update FAR': [{ 'FAR ID': 2, 'Apply Action': ['BUFF', 'NOCP'] }] });
    expect(show().fars[1].buffer).toMatchObject({ notify: true });
    await modify({ 'Update FAR': [{ 'FAR ID': 2, 'Apply Action': ['FORW'] }] });
    expect(show().fars[1].forward.outer_header_creation.teid).toBe(0x22);
  });

  it('creates, updates and removes rules at once, with references forward', async () => {
    const { modify, show } = await established();
    const before = show();
    const pdr = { ...uplinkPdr(), 'PDR ID': 7, Precedence: 30, 'FAR ID': 9, 'QER ID': [2] };
    pdr['URR ID'] = undefined;
    delete pdr['URR ID'];
    const { elements } = await modify({
      'Remove QER': [{ 'QER ID': 1 }],
      'Create PDR': [pdr],
      'Create FAR': [{ 'FAR ID': 9, 'Apply Action': ['DROP'] }],
      'Create QER': [{ 'QER ID': 2, 'Gate Status': { uplink: 'open', downlink: 'closed' } }],
      'Update PDR': [
        { 'PDR ID': 1, 'QER ID': [2] },
        { 'PDR ID': 2, Precedence: 5, 'QER ID': [2] },
      ],
    });
    const after = show();
    expect(
      after.pdrs.map(({ id, precedence, qer_ids }: Loose) => [id, precedence, qer_ids]),
    ).toEqual([
      [1, 100, [2]],
      [2, 5, [2]],
      [7, 30, [2]],
    ]);
    expect(after.qers.map(({ id }: Loose) => id)).toEqual([2]);
    expect(after.fars[2]).toMatchObject({ id: 9, drop: {} });
    // The F-TEID of the PDR that stays is the old one; only the new one is told.
    expect(after.pdrs[0].pdi.local_f_teid).toEqual(before.pdrs[0].pdi.local_f_teid);
    expect(elements['Created PDR'].map((created: Loose) => created['PDR ID'])).toEqual([7]);
  });

  it('keeps a PDI whole or replaces it whole', async () => {
    const { modify, show } = await established((elements) => {
      elements['Create PDR'][1].PDI.QFI = [9];
    });
    const pdi = downlinkPdr(1).PDI;
    pdi['SDF Filter'] = [{ flags: ['FD'], flowDescription: 'permit out ip from any to assigned' }];
    await modify({ 'Update PDR': [{ 'PDR ID': 2, PDI: pdi }] });
    expect(show().pdrs[1].pdi).toMatchObject({ ue_address: { ipv4: '10.70.0.1' } });
    expect(show().pdrs[1].pdi.qfis ?? []).toEqual([]);
    expect(show().pdrs[1].pdi.sdf_filters).toHaveLength(1);
  });

  it('tells of traffic endpoints that it gives an F-TEID', async () => {
    const { modify, show } = await established((elements) => {
      const own = { flags: ['V4'], teid: '0x00000055', ipv4: '192.0.2.1' };
      elements['Create Traffic Endpoint'] = [{ 'Traffic Endpoint ID': 8, 'F-TEID': own }];
      elements['Create PDR'][0].PDI = { 'Source Interface': 'Access', 'Traffic Endpoint ID': [8] };
    });
    expect(show().pdrs[0].pdi.local_f_teid.teid).toBe(0x55);
    const { elements } = await modify({
      'Update Traffic Endpoint': [{ 'Traffic Endpoint ID': 8, 'F-TEID': { flags: ['V4', 'CH'] } }],
    });
    expect(elements['Created Traffic Endpoint']).toMatchObject([{ 'Traffic Endpoint ID': 8 }]);
    expect(show().pdrs[0].pdi.local_f_teid.teid ?? 0).toBe(0);
  });

  it('tells the usage of many URRs in an answer and reports behind it', async () => {
    const { bench, peer, modify } = await established((elements) => {
      const [urr] = elements['Create URR'];
      elements['Create URR'] = Array.from({ length: 40 }, (_, i) => ({ ...urr, 'URR ID': i + 1 }));
    });
    const { reader, elements } = await modify({ 'PFCPSMReq-Flags': ['QAURR'] });
    expect(reader.bodyEnd).toBeLessThanOrEqual(1400);
    const first = elements['Usage Report (Session Modification Response)'];
    bench.requests.startReports(peer);
    const rest: Loose[] = [];
    for (await settle(); peer.sent.length > 0; await settle()) {
      const sent = peer.sent.shift()!;
      const { elements: told } = describeMessage(sent.bytes) as Loose;
      rest.push(...told['Usage Report (Session Report Request)']);
      answerReport(sent);
    }
    expect(bench.engine.statistics().reportsHeld).toBe(0);
    expect([...first, ...rest].map((one: Loose) => one['URR ID'])).toEqual(
      Array.from({ length: 40 }, (_, i) => i + 1),
    );
  });

  it('follows what PFDs say of its applications', async () => {
    const bench = await startSessions();
    const peer = new FakePeer();
    const flowTo = (port: number) => Buffer.from(`permit out tcp from 198.51.100.7 ${port} to any`);
    const provide = (port: number) => {
      peer.applications = { find: () => ({ flows: [flowTo(port)], isUnmatchable: false }) };
    };
    provide(80);
    const { seid } = await accepted(
      bench,
      peer,
      establishment(1, (elements) => {
        elements['Create PDR'][1].PDI['Application ID'] = 'web';
      }),
    );
    provide(443);
    bench.requests.applicationsChanged(peer);
    await settle();
    expect(shown(bench, peer, seid).pdrs[1].pdi.sdf_filters).toEqual([
      { flow_description: flowTo(443).toString() },
    ]);

    // Without PFDs its PDR matches nothing, and the session can be changed as ever.
    const other = { ...uplinkPdr(), 'PDR ID': 9 };
    other.PDI['Application ID'] = 'mail';
    for (const lost of [undefined, { flows: [], isUnmatchable: true }]) {
      peer.applications = { find: () => lost };
      bench.requests.applicationsChanged(peer);
      await settle();
      expect(shown(bench, peer, seid).pdrs[1].pdi.sdf_filters).toEqual([
        { flow_description: 'permit out 255 from 255.255.255.255 to 255.255.255.255' },
      ]);
      const held = { 'FAR ID': 2, 'Apply Action': ['BUFF', 'NOCP'] };
      await accepted(bench, peer, modification(seid, { 'Update FAR': [held] }));
      const answer = await ask(bench, peer, modification(seid, { 'Create PDR': [other] }));
      expect(elementsOf(answer)['Offending IE']).toBe(24);
    }
    provide(80);
    bench.requests.applicationsChanged(peer);
    await settle();
    expect(shown(bench, peer, seid).pdrs[1].pdi.sdf_filters).toEqual([
      { flow_description: flowTo(80).toString() },
    ]);
  });

  it('gives a quota anew, whatever its size', async () => {
    const quota = { 'Volume Quota': { flags: ['TOVOL'], total: 5000 } };
    const { modify, show } = await established((elements) => {
      Object.assign(elements['Create URR'][0], quota);
    });
    expect(show().urrs[0].quota_grant ?? 0).toBe(0);
    await modify({ 'Update URR': [{ 'URR ID': 1, ...quota }] });
    await modify({ 'Update PDR': [{ 'PDR ID': 2, Precedence: 7 }] });
    expect(show().urrs[0]).toMatchObject({ quota_grant: 1, volume_quota: { total_bytes: '5000' } });
  });

  it('reports usage that it asks for, and that of what it removes', async () => {
    const { bench, modify, show } = await established((elements) => {
      elements['Create URR'].push({ ...elements['Create URR'][0], 'URR ID': 2 });
      elements['Create PDR'][0]['URR ID'] = [1, 2];
    });
    bench.datapath.count(indexOf(bench), 1, 1000, 500);
    const { elements } = await modify({ 'Query URR': [{ 'URR ID': 1 }] });
    const [report] = elements['Usage Report (Session Modification Response)'];
    expect(report).toMatchObject({
      'URR ID': 1,
      'UR-SEQN': 0,
      'Usage Report Trigger': ['IMMER'],
      'Volume Measurement': { total: 1500, uplink: 1000, downlink: 500 },
    });
    expect(Object.keys(report)).toEqual(
      expect.arrayContaining(['Duration Measurement', 'Start Time', 'End Time']),
    );
    const all = await modify({ 'PFCPSMReq-Flags': ['QAURR'] });
    const reports = all.elements['Usage Report (Session Modification Response)'];
    expect(reports.map((one: Loose) => [one['URR ID'], one['UR-SEQN']])).toEqual([
      [1, 1],
      [2, 0],
    ]);
    const removed = await modify({
      'Remove URR': [{ 'URR ID': 2 }],
      'Update PDR': [{ 'PDR ID': 1, 'URR ID': [1] }],
    });
    expect(removed.elements['Usage Report (Session Modification Response)']).toMatchObject([
      { 'URR ID': 2, 'Usage Report Trigger': ['TERMR'] },
    ]);
    expect(show().urrs).toHaveLength(1);
  });

  it('tells what a URR has counted when another one takes its ID', async () => {
    const { bench, modify, show } = await established((elements) => {
      elements['Create URR'][0]['Volume Quota'] = { flags: ['TOVOL'], total: 50 };
    });
    bench.datapath.count(indexOf(bench), 1, 20, 0);
    const { elements } = await modify({
      'Remove URR': [{ 'URR ID': 1 }],
      'Create URR': [
        {
          'URR ID': 1,
          'Measurement Method': ['VOLUM'],
          'Reporting Triggers': ['VOLQU'],
          'Volume Quota': { flags: ['TOVOL'], total: 50 },
        },
      ],
    });
    expect(elements['Usage Report (Session Modification Response)']).toMatchObject([
      { 'URR ID': 1, 'Usage Report Trigger': ['TERMR'], 'Volume Measurement': { total: 20 } },
    ]);
    expect(show().urrs).toMatchObject([{ quota_grant: 1, volume_quota: { total_bytes: '50' } }]);
  });

  it('never tells of the URR that it uses itself', async () => {
    const { bench, peer, seid, modify } = await established((elements) => {
      elements['User Plane Inactivity Timer'] = 60;
    });
    const { elements } = await modify({ 'PFCPSMReq-Flags': ['QAURR'] });
    expect(elements['Usage Report (Session Modification Response)']).toHaveLength(1);
    const gone = await accepted(bench, peer, deletion(seid));
    expect(gone.elements['Usage Report (Session Deletion Response)']).toMatchObject([
      { 'URR ID': 1, 'Usage Report Trigger': ['TERMR'] },
    ]);
  });

  it('turns the inactivity timer on and off', async () => {
    const { modify, show } = await established();
    await modify({ 'User Plane Inactivity Timer': 30 });
    expect(show().urrs).toHaveLength(2);
    await modify({ 'User Plane Inactivity Timer': 0 });
    expect(show().urrs).toHaveLength(1);
  });

  it('may change the CP F-SEID; the old one is free for another session then', async () => {
    const { bench, peer, seid, modify } = await established();
    const fSeid = { flags: ['V4'], seid: '0x0000000000000777', ipv4: '10.0.0.1' };
    const { reader } = await modify({ 'F-SEID': fSeid });
    expect(reader.seidLow).toBe(0x777);
    const again = await accepted(
      bench,
      peer,
      establishment(1, (elements) => {
        elements['Create PDR'][1].PDI['UE IP Address'] = [{ flags: ['V4'], ipv4: '10.70.9.9' }];
      }),
    );
    expect(bench.engine.count).toBe(2);
    expect(shown(bench, peer, seid)).toBeDefined();
    // And that one is replaced by the next, the first is not.
    await accepted(
      bench,
      peer,
      establishment(1, (elements) => {
        elements['Create PDR'][1].PDI['UE IP Address'] = [{ flags: ['V4'], ipv4: '10.70.9.9' }];
      }),
    );
    expect(shown(bench, peer, again.seid)).toBeUndefined();
    expect(bench.engine.count).toBe(2);
  });

  it('waits for the one before on its session, and the deletion for both', async () => {
    const { bench, peer, seid } = await established();
    const precedences = [1, 2, 3, 4, 5];
    const answers = await Promise.all([
      ...precedences.map((Precedence) => {
        const update = { 'Update PDR': [{ 'PDR ID': 1, Precedence }] };
        return ask(bench, peer, modification(seid, update)).then((answer) => {
          expect(elementsOf(answer).Cause).toBe('Request accepted');
          return shown(bench, peer, seid)?.pdrs[0].precedence;
        });
      }),
      ask(bench, peer, deletion(seid)),
      ask(bench, peer, modification(seid, {})),
    ]);
    const late = answers.pop() as Awaited<ReturnType<typeof ask>>;
    expect(elementsOf(late).Cause).toBe('Session context not found');
    expect(bench.engine.count).toBe(0);
  });

  it('of a session that was restored goes on as before', async () => {
    const { bench, peer, seid } = await established();
    await bench.engine.shutdown();
    const again = await startSessions(bench.store.contents);
    expect(shown(again, peer, seid)).toBeDefined();
    await accepted(
      again,
      peer,
      modification(seid, { 'Update PDR': [{ 'PDR ID': 1, Precedence: 9 }] }),
    );
    expect(shown(again, peer, seid).pdrs[0]).toMatchObject({ precedence: 9 });
  });

  it('of Open5GS: path switch, idle, path switch', async () => {
    const bench = await startSessions();
    const peer = new FakePeer();
    const [first, ...others] = open5gsMessages().filter((message) =>
      [50, 52, 54].includes(message[1]!),
    );
    const { seid } = await accepted(bench, peer, first!);
    const seen: Loose[] = [];
    for (const message of others) {
      Buffer.from(message.buffer).writeBigUInt64BE(seid, 4);
      await accepted(bench, peer, message);
      seen.push(shown(bench, peer, seid)?.fars[0]);
    }
    expect(seen.map((far) => far?.forward?.outer_header_creation?.teid ?? far?.buffer)).toEqual([
      0x100,
      { notify: true, bar_id: 1 },
      0x777,
      undefined,
    ]);
  });
});
