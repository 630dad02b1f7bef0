/** Usage of PFCP sessions as it is told over N4, counted by the native packet path. */
import { afterEach, describe, expect, it } from 'vitest';
import {
  deletion,
  establishment,
  type Loose,
  modification,
  uplinkPdr,
} from '../src/n4/session/session.fixture.js';
import { N4Lab, teidOf, tunnel, UP, USAGE } from './n4-lab.js';

const ANSWER = 'Usage Report (Session Modification Response)';

let lab: N4Lab;
afterEach(() => lab.upf.stop());

describe('usage over N4', () => {
  it('of a URR is told with the end of its last PDR', async () => {
    lab = await N4Lab.start();
    const { elements, seid } = await lab.ask(establishment(1));
    for (let packet = 0; packet < 3; packet++) lab.send(`${tunnel(teidOf(elements))} ${UP}`);
    const without = uplinkPdr();
    delete without['URR ID'];
    const gone = await lab.ask(
      modification(seid, {
        'Remove PDR': [{ 'PDR ID': 1 }, { 'PDR ID': 2 }],
        'Create PDR': [{ ...without, 'PDR ID': 3 }],
      }),
    );
    expect(gone.elements[ANSWER]).toMatchObject([
      { 'URR ID': 1, 'Usage Report Trigger': ['TERMR'], 'Volume Measurement': { total: 300 } },
    ]);
    expect(lab.send(`${tunnel(teidOf(gone.elements))} ${UP}`)).toEqual([`n6 ${UP}`]);
    const last = await lab.ask(deletion(seid));
    expect(last.elements['Usage Report (Session Deletion Response)']).toMatchObject([
      { 'UR-SEQN': 1, 'Volume Measurement': { total: 0 } },
    ]);
  });

  it('starts and stops with an application, and is told with its ID', async () => {
    lab = await N4Lab.start();
    lab.requests.startReports(lab.peer);
    const flows = [Buffer.from('permit out udp from 203.0.113.9 53 to assigned')];
    lab.peer.applications = { find: () => ({ flows, isUnmatchable: false }) };
    const { elements } = await lab.ask(
      establishment(1, (all) => {
        for (const pdr of all['Create PDR']) pdr.PDI['Application ID'] = 'dns';
        Object.assign(all['Create URR'][0], {
          'Reporting Triggers': ['START', 'STOPT'],
          'Inactivity Detection Time': 10,
        });
      }),
    );
    lab.send(`${tunnel(teidOf(elements))} ${UP}`);
    const told = async () => (await lab.reports()).flatMap((request) => request[USAGE]);
    const dns = { 'Application Detection Information': { 'Application ID': 'dns' } };
    expect(await told()).toMatchObject([{ 'Usage Report Trigger': ['START'], ...dns }]);
    for (let second = 0; second < 20; second++) lab.pass(1);
    expect(await told()).toMatchObject([{ 'Usage Report Trigger': ['STOPT'], ...dns }]);
  });

  it('of many URRs is told in several messages, each with the reference of the query', async () => {
    lab = await N4Lab.start();
    lab.requests.startReports(lab.peer);
    const ids = Array.from({ length: 40 }, (_, i) => i + 1);
    const { elements, seid } = await lab.ask(
      establishment(1, (all) => {
        const [urr] = all['Create URR'];
        all['Create URR'] = ids.map((id) => ({ ...urr, 'URR ID': id }));
        all['Create PDR'][0]['URR ID'] = ids;
      }),
    );
    for (let packet = 0; packet < 3; packet++) lab.send(`${tunnel(teidOf(elements))} ${UP}`);
    const query = { 'PFCPSMReq-Flags': ['QAURR'], 'Query URR Reference': 0x1234 };
    const answer = (await lab.ask(modification(seid, query))).elements;
    const rest: Loose[] = [];
    for (let more = await lab.reports(); more.length > 0; more = await lab.reports()) {
      rest.push(...more.flatMap((request) => request[USAGE]));
    }
    const all = [...answer[ANSWER], ...rest];
    expect(answer['Additional Usage Reports Information'].low).toBe(rest.length);
    expect(all.map((one) => one['URR ID'])).toEqual(ids);
    for (const one of all) {
      expect(one).toMatchObject({
        'Usage Report Trigger': ['IMMER'],
        'Volume Measurement': { total: 300 },
        'Query URR Reference': 0x1234,
      });
    }
  });

  it('of a URR that is linked to one of a query has the reference, too, and no other has', async () => {
    lab = await N4Lab.start();
    const { seid } = await lab.ask(
      establishment(1, (all) => {
        const [urr] = all['Create URR'];
        const linked = { 'Reporting Triggers': ['LIUSA'], 'Linked URR ID': [1] };
        all['Create URR'].push({ ...urr, 'URR ID': 2, ...linked }, { ...urr, 'URR ID': 3 });
        all['Create PDR'][0]['URR ID'] = [1, 2, 3];
      }),
    );
    const { elements } = await lab.ask(
      modification(seid, {
        'Query URR': [{ 'URR ID': 1 }],
        'Query URR Reference': 9,
        'Update PDR': [{ 'PDR ID': 1, 'URR ID': [1, 2] }],
      }),
    );
    const told = elements[ANSWER].map((one: Loose) => [
      one['URR ID'],
      ...one['Usage Report Trigger'],
      one['Query URR Reference'],
    ]);
    expect(told).toEqual([
      [1, 'IMMER', 9],
      [3, 'TERMR', undefined],
      [2, 'LIUSA', 9],
    ]);
  });
});
