/**
 * PFCP sessions on the native packet path: what SMFs ask for over N4, seen by its packets. No
 * sockets and no threads; the clock moves when the test says so.
 */
import { afterEach, describe, expect, it } from 'vitest';
import * as Cause from '../src/n4/codec/cause.js';
import * as Ie from '../src/n4/codec/ie.js';
import { MessageReader } from '../src/n4/codec/message-reader.js';
import { open5gsMessages } from '../src/n4/codec/vectors.fixture.js';
import {
  ask,
  deleteAll,
  deletion,
  establishment,
  type Loose,
  modification,
  richEstablishment,
} from '../src/n4/session/session.fixture.js';
import { DOWN, N4Lab as Lab, teidOf, tunnel, UP, USAGE } from './n4-lab.js';

let lab: Lab;
afterEach(() => lab.upf.stop());

describe('packets of PFCP sessions', () => {
  it('go up and down by the rules of the establishment', async () => {
    lab = await Lab.start();
    const { elements, seid } = await lab.ask(establishment(1));
    const teid = teidOf(elements);
    expect(lab.send(`${tunnel(teid)} ${UP}`)).toEqual([`n6 ${UP}`]);
    expect(lab.send(`n6 ${DOWN}`)).toEqual([
      `n3 gtpu 10.0.0.1 > 10.1.1.1 teid 0x11 dl qfi 9 | ${DOWN}`,
    ]);
    expect(lab.send(`${tunnel(teid)} udp 10.70.0.2:4000 > 203.0.113.9:53 100`)).toEqual([
      'spoofed_source',
    ]);
    await lab.ask(deletion(seid));
    expect(lab.send(`${tunnel(teid)} ${UP}`)).toEqual(['unknown_teid']);
  });

  it('of an establishment in the place of a session begin anew; of a refused one nothing changes', async () => {
    lab = await Lab.start();
    const held = (elements: Loose) => {
      elements['Create FAR'][1] = { 'FAR ID': 2, 'Apply Action': ['BUFF', 'NOCP'] };
    };
    const teids = (teid: number) => (elements: Loose) => {
      elements['Create PDR'][0].PDI['F-TEID'] = { flags: ['V4'], teid, ipv4: '10.0.0.1' };
    };
    await lab.ask(establishment(7, teids(0x77)));
    await lab.ask(establishment(1, held)).then(({ elements }) => {
      expect(lab.send(`${tunnel(teidOf(elements))} ${UP}`)).toEqual([`n6 ${UP}`]);
    });
    expect(lab.send(`n6 ${DOWN}`)).toEqual([]);
    await expect(lab.ask(establishment(1, teids(0x77)))).rejects.toThrow();
    expect(lab.send(`n6 ${DOWN}`)).toEqual([]);
    // What the old session holds ends with it, and what it has counted.
    const { seid } = await lab.ask(establishment(1));
    expect(lab.pass(0)).toEqual(['hold_dropped', 'hold_dropped']);
    expect(lab.send(`n6 ${DOWN}`)).toHaveLength(1);
    const { elements } = await lab.ask(deletion(seid));
    expect(elements['Usage Report (Session Deletion Response)'][0]).toMatchObject({
      'UR-SEQN': 0,
      'Volume Measurement': { uplink: 0, downlink: 100 },
    });
  });

  it('wait for the gNB, are told of once, and leave in order; then the path is switched', async () => {
    lab = await Lab.start();
    lab.requests.startReports(lab.peer);
    const { seid } = await lab.ask(
      establishment(1, (elements) => {
        elements['Create FAR'][1] = { 'FAR ID': 2, 'Apply Action': ['BUFF', 'NOCP'] };
      }),
    );
    expect(lab.send(`n6 ${DOWN}`)).toEqual([]);
    expect(lab.send(`n6 ${DOWN} tos 0x20`)).toEqual([]);
    expect(await lab.reports()).toMatchObject([
      { 'Report Type': ['DLDR'], 'Downlink Data Report': { 'PDR ID': [2] } },
    ]);
    const point = (teid: string, ipv4: string, flags?: string[]) =>
      modification(seid, {
        'Update FAR': [
          {
            'FAR ID': 2,
            'Apply Action': ['FORW'],
            'Update Forwarding Parameters': {
              'Destination Interface': 'Access',
              'Outer Header Creation': { flags: ['GTPU4'], teid, ipv4 },
              ...(flags && { 'PFCPSMReq-Flags': flags }),
            },
          },
        ],
      });
    await lab.ask(point('0x00000031', '10.1.1.1'));
    const to = 'n3 gtpu 10.0.0.1 > 10.1.1.1 teid 0x31 dl qfi 9';
    expect(lab.pass(0)).toEqual([`${to} | ${DOWN}`, `${to} | ${DOWN} tos 0x20`]);
    await lab.ask(point('0x00000032', '10.1.1.2', ['SNDEM']));
    expect(lab.send(`n6 ${DOWN}`)).toEqual([
      'n3 gtpu 10.0.0.1 > 10.1.1.1 teid 0x31 end-marker',
      `n3 gtpu 10.0.0.1 > 10.1.1.2 teid 0x32 dl qfi 9 | ${DOWN}`,
    ]);
  });

  it('are counted, reported and stopped by quotas; what is left comes with the deletion', async () => {
    lab = await Lab.start();
    lab.requests.startReports(lab.peer);
    const { elements, seid } = await lab.ask(
      establishment(1, (all) => {
        Object.assign(all['Create URR'][0], {
          'Reporting Triggers': ['VOLTH', 'VOLQU'],
          'Volume Threshold': { flags: ['TOVOL'], total: 200 },
          'Volume Quota': { flags: ['TOVOL'], total: 300 },
          'Measurement Information': ['MNOP'],
        });
      }),
    );
    const up = `${tunnel(teidOf(elements))} ${UP}`;
    for (let packet = 0; packet < 3; packet++) lab.send(up);
    expect(lab.send(up)).toEqual(['quota_exhausted']);
    const usages = (await lab.reports()).flatMap((request) => request[USAGE]);
    expect(usages.map((one: Loose) => one['UR-SEQN'])).toEqual(usages.map((_, i) => i));
    const bytes = (one: Loose) => one['Volume Measurement'].total;
    expect(usages.reduce((sum: number, one: Loose) => sum + bytes(one), 0)).toBe(300);
    expect(usages[0]).toMatchObject({
      'Usage Report Trigger': ['VOLTH'],
      'Volume Measurement': { total: 200, uplink: 200, downlink: 0 },
    });
    expect(JSON.stringify(usages[0]['Volume Measurement'])).toContain('TONOP');
    await lab.ask(
      modification(seid, {
        'Update URR': [{ 'URR ID': 1, 'Volume Quota': { flags: ['TOVOL'], total: 300 } }],
      }),
    );
    expect(lab.send(up)).toEqual([`n6 ${UP}`]);
    const gone = await lab.ask(deletion(seid));
    expect(gone.elements['Usage Report (Session Deletion Response)']).toMatchObject([
      { 'Usage Report Trigger': ['TERMR'], 'Volume Measurement': { total: 100 } },
    ]);
  });

  it('that stop coming are told of, once', async () => {
    lab = await Lab.start();
    lab.requests.startReports(lab.peer);
    const { elements } = await lab.ask(
      establishment(1, (all) => {
        all['User Plane Inactivity Timer'] = 10;
        all['Create URR'][0]['Reporting Triggers'] = ['UPINT'];
      }),
    );
    lab.send(`${tunnel(teidOf(elements))} ${UP}`);
    lab.pass(5);
    expect(await lab.reports()).toEqual([]);
    for (let second = 0; second < 20; second++) lab.pass(1);
    expect(await lab.reports()).toEqual([{ 'Report Type': ['UPIR'] }]);
    // The URR that is to report then (UPINT) does.
    expect((await lab.reports()).flatMap((one) => one[USAGE])).toMatchObject([
      { 'Usage Report Trigger': ['UPINT'], 'Volume Measurement': { total: 100 } },
    ]);
  });

  it('take traffic endpoints, framed routes and filters', async () => {
    lab = await Lab.start();
    const { elements } = await lab.ask(
      establishment(1, (all) => {
        all['Create Traffic Endpoint'] = [
          { 'Traffic Endpoint ID': 1, 'F-TEID': { flags: ['V4', 'CH'] } },
          {
            'Traffic Endpoint ID': 2,
            'Network Instance': 'internet',
            'UE IP Address': [{ flags: ['V4'], ipv4: '10.70.0.1' }],
            'Framed-Route': ['198.51.100.0/24'],
          },
        ];
        const [uplink, downlink] = all['Create PDR'];
        uplink.PDI = {
          'Source Interface': 'Access',
          'Traffic Endpoint ID': [1],
          'SDF Filter': [{ flags: ['BID'], sdfFilterId: 1 }],
        };
        downlink.PDI = {
          'Source Interface': 'Core',
          'Traffic Endpoint ID': [2],
          'SDF Filter': [
            {
              flags: ['FD', 'BID'],
              flowDescription: 'permit out udp from 203.0.113.0/24 53 to any',
              sdfFilterId: 1,
            },
          ],
        };
      }),
    );
    const teid = elements['Created Traffic Endpoint'][0]['F-TEID'][0].teid;
    expect(lab.send(`${tunnel(teid)} ${UP}`)).toEqual([`n6 ${UP}`]);
    const routed = 'udp 203.0.113.9:53 > 198.51.100.7:4000 100';
    expect(lab.send(`n6 ${routed}`)).toEqual([
      `n3 gtpu 10.0.0.1 > 10.1.1.1 teid 0x11 dl qfi 9 | ${routed}`,
    ]);
    expect(lab.send(`${tunnel(teid)} udp 10.70.0.1:4000 > 203.0.113.9:54 100`)).toEqual(['no_pdr']);
  });

  it('that look for a router go to the CP function, and its answer to the UE', async () => {
    lab = await Lab.start();
    const cp = { flags: ['GTPU4'], teid: '0x00000007', ipv4: '10.5.5.5' };
    const { elements } = await lab.ask(
      establishment(1, (all) => {
        all['PDN Type'] = 'IPv6';
        const [uplink, downlink] = all['Create PDR'];
        const ue = { flags: ['V6'], ipv6: 'fd00:61:0:1::1' };
        downlink.PDI['UE IP Address'] = [ue];
        uplink.PDI['F-TEID'] = { flags: ['V4', 'CH', 'CHID'], chooseId: 5 };
        const toCp = structuredClone({ ...uplink, 'PDR ID': 3, Precedence: 10, 'FAR ID': 3 });
        toCp.PDI['SDF Filter'] = [
          { flags: ['FD'], flowDescription: 'permit out 58 from ff02::2/128 to assigned' },
        ];
        const fromCp = structuredClone({ ...uplink, 'PDR ID': 4, Precedence: 10, 'FAR ID': 2 });
        fromCp.PDI = { 'Source Interface': 'CP-function', 'F-TEID': { flags: ['CH'] } };
        all['Create PDR'].push(toCp, fromCp);
        all['Create FAR'].push({
          'FAR ID': 3,
          'Apply Action': ['FORW'],
          'Forwarding Parameters': {
            'Destination Interface': 'CP-function',
            'Outer Header Creation': cp,
          },
        });
      }),
    );
    const teids = elements['Created PDR'].map((pdr: Loose) => pdr['F-TEID'][0].teid);
    expect(teids[0]).toBe(teids[1]);
    const solicitation = 'icmp6 fe80::1 > ff02::2 64 ttl 255 type 133/0';
    const [sent] = lab.send(`${tunnel(teids[0])} ${solicitation}`);
    expect(sent).toMatch(
      /^n3 gtpu 10\.0\.0\.1 > 10\.5\.5\.5 teid 0x7 .*\| icmp6 fe80::1 > ff02::2/,
    );
    const advertisement = 'icmp6 fe80::2 > fe80::1 64 ttl 255 type 134/0';
    expect(lab.send(`n3 gtpu 10.5.5.5 > 10.0.0.1 teid ${teids[2]} | ${advertisement}`)).toEqual([
      `n3 gtpu 10.0.0.1 > 10.1.1.1 teid 0x11 dl qfi 9 | ${advertisement}`,
    ]);
    // The interface identifier that the UE was assigned is in its address.
    const stranger = solicitation.replace('fe80::1', 'fe80::1:0:0:1');
    expect(lab.send(`${tunnel(teids[0])} ${stranger}`)).toEqual(['spoofed_source']);
  });

  it('that look for a router may come from any link-local address when none was told', async () => {
    lab = await Lab.start();
    const { elements } = await lab.ask(
      establishment(1, (all) => {
        all['PDN Type'] = 'IPv6';
        const [uplink, downlink] = all['Create PDR'];
        downlink.PDI['UE IP Address'] = [{ flags: ['V6'], ipv6: 'fd00:61:0:1::' }];
        uplink.PDI['F-TEID'] = { flags: ['V4', 'CH'] };
      }),
    );
    const teid = elements['Created PDR'][0]['F-TEID'][0].teid;
    const solicitation = 'icmp6 fe80::77 > ff02::2 64 ttl 255 type 133/0';
    expect(lab.send(`${tunnel(teid)} ${solicitation}`)).toEqual(['martian']);
  });

  it('of Open5GS outlive a kill', async () => {
    lab = await Lab.start();
    const messages = open5gsMessages();
    const { elements, seid } = await lab.ask(messages.find((message) => message[1] === 50)!);
    const teid = elements['Created PDR'][0]['F-TEID'][0].teid;
    const up = 'udp 10.45.0.2:4000 > 203.0.113.9:53 100';
    const in5 = `n3 gtpu 10.10.1.1 > 10.0.0.1 teid ${teid} ul qfi 1 |`;
    expect(lab.send(`${in5} ${up}`)).toEqual([`n6 ${up}`]);
    const [modified] = messages.filter((message) => message[1] === 52);
    Buffer.from(modified!.buffer).writeBigUInt64BE(seid, 4);
    await lab.ask(modified!);
    await lab.upf.restart(false);
    const down = 'udp 203.0.113.9:53 > 10.45.0.2:4000 100';
    expect(lab.send(`n6 ${down}`)).toEqual([
      `n3 gtpu 10.0.0.1 > 10.10.1.1 teid 0x100 dl qfi 1 | ${down}`,
    ]);
    expect(lab.send(`${in5} ${up}`)).toEqual([`n6 ${up}`]);
  });

  it('are never those of a record that the packet path can not read, whatever was sent', async () => {
    lab = await Lab.start();
    // A sequence of its own, the same each time.
    let state = 20_261_126;
    const below = (limit: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % limit;
    };
    const causes = new Set<number>();
    for (let round = 0; round < 400; round++) {
      const { seid } = await lab.ask(richEstablishment(1));
      const { 2: open5gs } = open5gsMessages().filter((message) => message[1] === 52);
      const bytes = [richEstablishment(2), open5gs!][below(2)]!.slice();
      if (bytes[1] === 52) Buffer.from(bytes.buffer).writeBigUInt64BE(seid, 4);
      for (let changes = below(4); changes > 0; changes--) {
        bytes[16 + below(bytes.length - 16)] = bytes[16 + below(bytes.length - 16)]!;
      }
      if (!new MessageReader().read(bytes, 0, bytes.length)) continue;
      const answer = await ask(lab, lab.peer, bytes);
      causes.add(answer.u8(answer.find(-1, Ie.Cause)));
      lab.pass(1);
    }
    expect(causes.size).toBeGreaterThan(2);
    expect(causes).not.toContain(Cause.SystemFailure);
    await deleteAll(lab.requests, lab.peer);
    expect(lab.engine.count).toBe(0);
  });
});
