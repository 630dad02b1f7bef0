/** Session modifications of the less common kinds, seen by packets. */
import { afterEach, describe, expect, it } from 'vitest';
import {
  ask,
  elementsOf,
  establishment,
  type Loose,
  modification,
} from '../src/n4/session/session.fixture.js';
import { DOWN, N4Lab as Lab, UP } from './n4-lab.js';

let lab: Lab;
afterEach(() => lab.upf.stop());

/** An IE of that type without a value. */
const nothingOf = (type: number) => `${type.toString(16).padStart(4, '0')}0000`;
const [QER_ID, MBR, MARKING, APPLY_ACTION] = [109, 26, 30, 44];
const [VOLUME_QUOTA, URR_ID, INACTIVITY_TIMER] = [73, 81, 117];
const CREATE_PDR = 1;
const RULE_FAILURE = 'Rule creation/modification Failure';
const USAGE = 'Usage Report (Session Modification Response)';

/** A session, and a function that sends a packet up and tells what left for it. */
async function start(change?: (elements: Loose) => void) {
  lab = await Lab.start();
  const { elements, seid } = await lab.ask(establishment(1, change));
  const created = elements['Created PDR'] ?? elements['Created Traffic Endpoint'];
  const teid = created[0]['F-TEID'][0].teid;
  const up = (text = UP) => lab.send(`n3 gtpu 10.1.1.1 > 10.0.0.1 teid ${teid} | ${text}`);
  const modify = async (change: Loose) => (await lab.ask(modification(seid, change))).elements;
  const refuse = async (change: Loose) =>
    elementsOf(await ask(lab, lab.peer, modification(seid, change)));
  return { seid, elements, up, modify, refuse };
}

describe('an IE without a value', () => {
  it('takes a QER from a PDR, and a bit rate from a QER', async () => {
    const { up, modify } = await start((all) => {
      all['Create QER'][0].MBR = { uplinkKbps: 0, downlinkKbps: 0 };
    });
    expect(up()).toEqual(['gate_closed']);
    await modify({ 'Update PDR': [{ 'PDR ID': 1, malformed: nothingOf(QER_ID) }] });
    expect(up()).toEqual([`n6 ${UP}`]);
    expect(lab.send(`n6 ${DOWN}`)).toEqual(['gate_closed']);
    await modify({ 'Update QER': [{ 'QER ID': 1, malformed: nothingOf(MBR) }] });
    expect(lab.send(`n6 ${DOWN}`)).toHaveLength(1);
  });

  it('takes a URR from its last PDRs, which is its end', async () => {
    const { up, modify } = await start();
    up();
    const both = [1, 2].map((id) => ({ 'PDR ID': id, malformed: nothingOf(URR_ID) }));
    const elements = await modify({ 'Update PDR': both });
    expect(elements[USAGE]).toMatchObject([
      { 'Usage Report Trigger': ['TERMR'], 'Volume Measurement': { total: 100 } },
    ]);
  });

  it('ends a quota, and what it blocked goes on', async () => {
    const { up, modify } = await start((all) => {
      const [urr] = all['Create URR'];
      urr['Reporting Triggers'] = ['VOLQU'];
      urr['Volume Quota'] = { flags: ['TOVOL'], total: 150 };
    });
    expect([up(), up()]).toEqual([[`n6 ${UP}`], ['quota_exhausted']]);
    await modify({ 'Update URR': [{ 'URR ID': 1, malformed: nothingOf(VOLUME_QUOTA) }] });
    expect([up(), up()]).toEqual([[`n6 ${UP}`], [`n6 ${UP}`]]);
  });

  it('ends the marking of a FAR and the inactivity timer of a session', async () => {
    const { modify } = await start((all) => {
      all['User Plane Inactivity Timer'] = 60;
      all['Create FAR'][1]['Forwarding Parameters']['Transport Level Marking'] = {
        value: 0xb8,
        mask: 0xfc,
      };
    });
    const marked = lab.send(`n6 ${DOWN}`);
    expect(marked[0]).toMatch(/tos|dscp/i);
    const parameters = { malformed: nothingOf(MARKING) };
    await modify({
      'Update FAR': [{ 'FAR ID': 2, 'Update Forwarding Parameters': parameters }],
      malformed: nothingOf(INACTIVITY_TIMER),
    });
    expect(lab.send(`n6 ${DOWN}`)).toEqual([
      `n3 gtpu 10.0.0.1 > 10.1.1.1 teid 0x11 dl qfi 9 | ${DOWN}`,
    ]);
  });

  it('of what a rule has to have is refused, and nothing changes', async () => {
    const { up, refuse } = await start();
    const answer = await refuse({
      'Update FAR': [{ 'FAR ID': 1, malformed: nothingOf(APPLY_ACTION) }],
    });
    expect(answer).toMatchObject({
      Cause: 'Mandatory IE missing',
      'Offending IE': APPLY_ACTION,
    });
    expect(up()).toEqual([`n6 ${UP}`]);
  });
});

describe('a rule that is removed', () => {
  it('is named by no other one any more', async () => {
    const { up, modify } = await start();
    expect(up()).toEqual([`n6 ${UP}`]);
    const elements = await modify({
      'Remove URR': [{ 'URR ID': 1 }],
      'Remove QER': [{ 'QER ID': 1 }],
    });
    expect(elements[USAGE][0]).toMatchObject({
      'URR ID': 1,
      'Usage Report Trigger': ['TERMR'],
      'Volume Measurement': { total: 100 },
    });
    expect(up()).toEqual([`n6 ${UP}`]);
    expect(await modify({ 'PFCPSMReq-Flags': ['QAURR'] })).not.toHaveProperty(USAGE);
  });

  it('may not be named by the request that removes it, and a FAR not by what stays', async () => {
    const { up, refuse } = await start();
    const both = {
      'Remove QER': [{ 'QER ID': 1 }],
      'Update PDR': [{ 'PDR ID': 1, 'QER ID': [1] }],
    };
    expect(await refuse(both)).toMatchObject({ Cause: RULE_FAILURE });
    expect(await refuse({ 'Remove FAR': [{ 'FAR ID': 1 }] })).toMatchObject({
      Cause: RULE_FAILURE,
    });
    expect(up()).toEqual([`n6 ${UP}`]);
  });

  it('may not be the last PDR', async () => {
    const { up, refuse } = await start();
    expect(await refuse({ 'Remove PDR': [{ 'PDR ID': 1 }, { 'PDR ID': 2 }] })).toMatchObject({
      Cause: RULE_FAILURE,
      'Offending IE': CREATE_PDR,
    });
    expect(up()).toEqual([`n6 ${UP}`]);
  });

  it('takes PDRs with it when it is their traffic endpoint', async () => {
    const { up, modify, refuse } = await start((all) => {
      all['Create Traffic Endpoint'] = [
        { 'Traffic Endpoint ID': 1, 'F-TEID': { flags: ['V4', 'CH'] } },
      ];
      const [uplink] = all['Create PDR'];
      delete uplink.PDI['F-TEID'];
      uplink.PDI['Traffic Endpoint ID'] = [1];
    });
    expect(up()).toEqual([`n6 ${UP}`]);
    await modify({
      'Update PDR': [{ 'PDR ID': 2, malformed: nothingOf(URR_ID) }],
    });
    const ended = await modify({ 'Remove Traffic Endpoint': [{ 'Traffic Endpoint ID': 1 }] });
    expect(ended[USAGE]).toMatchObject([{ 'URR ID': 1, 'Usage Report Trigger': ['TERMR'] }]);
    expect(up()).toEqual(['unknown_teid']);
    expect(lab.send(`n6 ${DOWN}`)).toHaveLength(1);
    expect(await refuse({ 'Remove PDR': [{ 'PDR ID': 1 }] })).toMatchObject({
      Cause: RULE_FAILURE,
      'Failed Rule ID': { type: 'PDR', pdrId: 1 },
    });
  });
});

describe('a modification', () => {
  it('of a URR resumes its measurement, unless it says that it is paused', async () => {
    const { up, modify } = await start((all) => {
      all['Create URR'][0]['Measurement Information'] = ['INAM'];
    });
    const counted = async () => {
      up();
      const elements = await modify({ 'Query URR': [{ 'URR ID': 1 }] });
      return elements[USAGE][0]['Volume Measurement'].total;
    };
    expect(await counted()).toBe(0);
    const threshold = { 'Volume Threshold': { flags: ['TOVOL'], total: 2_000_000 } };
    await modify({
      'Update URR': [{ 'URR ID': 1, ...threshold, 'Measurement Information': ['INAM'] }],
    });
    expect(await counted()).toBe(0);
    await modify({ 'Update URR': [{ 'URR ID': 1, ...threshold }] });
    expect(await counted()).toBe(100);
  });

  it('with a bad CP F-SEID leaves the session the one that it has', async () => {
    const { modify, up } = await start();
    for (const value of ['000000000000000abc', '020000000000000abc']) {
      const answer = await modify({ malformed: `00390009${value}` });
      expect(answer).toMatchObject({ Cause: 'Request accepted' });
    }
    expect(up()).toEqual([`n6 ${UP}`]);
  });

  it('tells of a UE address by the traffic endpoint that asked for it', async () => {
    const { elements } = await start((all) => {
      all['Create Traffic Endpoint'] = [
        { 'Traffic Endpoint ID': 2, 'UE IP Address': [{ flags: ['CHV4'] }] },
      ];
      const [, downlink] = all['Create PDR'];
      delete downlink.PDI['UE IP Address'];
      downlink.PDI['Traffic Endpoint ID'] = [2];
    });
    expect(elements['Created PDR']).toHaveLength(1);
    const [endpoint] = elements['Created Traffic Endpoint'];
    expect(Object.keys(endpoint)).toEqual(['Traffic Endpoint ID', 'UE IP Address']);
    expect(endpoint['Traffic Endpoint ID']).toBe(2);
  });
});
