import { describe, expect, it } from 'vitest';
import { open5gsMessages } from '../codec/vectors.fixture.js';
import {
  accepted,
  ask,
  deletion,
  elementsOf,
  establishment,
  FakePeer,
  type Loose,
  PROFILE,
  refused,
  requestsOn,
  shown,
  startSessions,
  uplinkPdr,
} from './session.fixture.js';

/** The session that comes of an establishment, as the API shows it, and the answer. */
async function made(change?: (elements: Loose) => void, peer = new FakePeer()) {
  const bench = await startSessions();
  const { elements, seid } = await accepted(bench, peer, establishment(1, change));
  return { bench, elements, session: shown(bench, peer, seid), seid };
}

describe('an establishment', () => {
  it('is protected where the configuration says so of its network instances', async () => {
    const bench = await startSessions();
    const requests = requestsOn(bench.engine, new Map([['internet', 3]]));
    const peer = new FakePeer();
    const protectedBench = { ...bench, requests };
    const { seid } = await accepted(protectedBench, peer, establishment(1));
    const session = shown(protectedBench, peer, seid);
    expect(session).toMatchObject({
      pdrs: [{ id: 1 }, { id: 2, pdi: { network_instance: 'internet', protection_id: 3 } }],
      fars: [{ id: 1, forward: { network_instance: 'internet', protection_id: 3 } }, { id: 2 }],
    });
    const text = JSON.stringify(session);
    expect(text.match(/protection_id/g)).toHaveLength(2);
  });

  it('becomes a session with the rules that it says', async () => {
    const { session, elements } = await made();
    expect(session).toMatchObject({
      name: 'cp-0000000000000001-10.0.0.1',
      owner: 'n4:10.0.0.1',
      pdn_type: 'PDN_TYPE_IPV4',
      pdrs: [
        {
          id: 1,
          precedence: 100,
          pdi: { source_interface: 'INTERFACE_ACCESS', network_instance: 'access' },
          outer_header_removal: 'OUTER_HEADER_REMOVAL_GTPU',
          far_id: 1,
          qer_ids: [1],
          urr_ids: [1],
        },
        {
          id: 2,
          pdi: {
            source_interface: 'INTERFACE_CORE',
            network_instance: 'internet',
            ue_address: { ipv4: '10.70.0.1' },
          },
          far_id: 2,
        },
      ],
      fars: [
        {
          id: 1,
          forward: { destination_interface: 'INTERFACE_CORE', network_instance: 'internet' },
        },
        { id: 2, forward: { outer_header_creation: { teid: 17, ipv4: '10.1.1.1' } } },
      ],
      qers: [{ id: 1, uplink_mbr_kbps: '50000', downlink_mbr_kbps: '100000', qfi: 9 }],
      urrs: [{ id: 1, measure_volume: true, volume_threshold: { total_bytes: '1000000' } }],
    });
    const created = elements['Created PDR'];
    expect(created).toHaveLength(1);
    expect(created[0]['PDR ID']).toBe(1);
    expect(created[0]['F-TEID']).toMatchObject([{ flags: ['V4'], ipv4: '192.0.2.1' }]);
    expect(elements['Node ID']).toEqual({ type: 'IPv4', ipv4: '192.0.2.9' });
  });

  it('of Open5GS: one CHOOSE ID is one F-TEID, the families are those of the port', async () => {
    const bench = await startSessions();
    const request = open5gsMessages().find((message) => message[1] === 50)!;
    const { elements, seid } = await accepted(bench, new FakePeer(), request);
    const [uplink, cp, rs] = elements['Created PDR'].map((pdr: Loose) => pdr['F-TEID'][0]);
    expect(uplink).toEqual(rs);
    expect(uplink.teid).not.toBe(cp.teid);
    expect(uplink).toMatchObject({ flags: ['V4', 'V6'], ipv4: '192.0.2.1', ipv6: '2001:db8::1' });
    const session = shown(bench, new FakePeer(), seid);
    expect(session.dnn).toBe('internet');
    expect(session.fars[0].buffer).toEqual({ notify: true, bar_id: 1 });
  });

  it.each([
    [true, ['CH'], 1],
    ['auto', ['CH'], 1],
    ['auto', ['V4', 'CH'], 2],
    [false, ['CH'], 2],
  ] as const)(
    'shares F-TEIDs (%s): %j is %i for all PDRs from Access',
    async (shares, flags, count) => {
      const peer = new FakePeer('10.0.0.2', { ...PROFILE, sharedFTeid: shares });
      const choose = { flags: [...flags] };
      const { elements } = await made((wanted) => {
        const more = uplinkPdr();
        more['PDR ID'] = 3;
        const cp = uplinkPdr();
        cp['PDR ID'] = 4;
        cp.PDI['Source Interface'] = 'CP-function';
        wanted['Create PDR'].push(more, cp);
        for (const pdr of [wanted['Create PDR'][0], more, cp]) pdr.PDI['F-TEID'] = choose;
      }, peer);
      const fTeids = elements['Created PDR'].map((pdr: Loose) => pdr['F-TEID'][0]);
      expect(new Set([fTeids[0].teid, fTeids[1].teid]).size).toBe(count);
      expect(fTeids[0].teid).not.toBe(fTeids[2].teid);
      // Without a family IPv4 is meant.
      expect(fTeids[0].flags).toEqual(['V4']);
    },
  );

  it('takes F-TEIDs of the CP function, and says so when another session has one', async () => {
    const bench = await startSessions();
    const peer = new FakePeer();
    const own = (elements: Loose) => {
      elements['Create PDR'][0].PDI['F-TEID'] = {
        flags: ['V4'],
        teid: '0x00abcdef',
        ipv4: '192.0.2.1',
      };
    };
    const { elements } = await accepted(bench, peer, establishment(1, own));
    expect(elements['Created PDR']).toBeUndefined();
    const reader = await ask(bench, peer, establishment(2, own));
    expect(elementsOf(reader)).toMatchObject({
      Cause: 'Invalid F-TEID allocation option',
      'Offending IE': 21,
    });
    expect(bench.engine.count).toBe(1);
  });

  it('has UE addresses chosen, and tells them', async () => {
    const { elements, session } = await made((wanted) => {
      wanted['Create PDR'][1].PDI['UE IP Address'] = [{ flags: ['CHV4', 'S/D'] }];
    });
    const told = elements['Created PDR'].find((pdr: Loose) => pdr['PDR ID'] === 2);
    expect(told['UE IP Address'][0].ipv4).toMatch(/^10\.60\./);
    expect(session.pdrs[1].pdi.ue_address.ipv4).toBe(told['UE IP Address'][0].ipv4);
  });

  it('knows prefixes of UEs: a /64, and a shorter one as a route to it', async () => {
    const { session } = await made((wanted) => {
      wanted['PDN Type'] = 'IPv4v6';
      wanted['Create PDR'][1].PDI['UE IP Address'] = [
        { flags: ['V4'], ipv4: '10.70.0.1' },
        { flags: ['V6', 'IPv6D'], ipv6: '2001:db8:7:100::', delegationBits: 8 },
      ];
    });
    expect(session.pdrs[1].pdi).toMatchObject({
      ue_address: { ipv4: '10.70.0.1', ipv6_prefix: '2001:db8:7:100::/64' },
      framed_routes: ['2001:db8:7:100::/56'],
    });
  });

  it('keeps SDF filters as written; an ID alone stands for the filter that has it', async () => {
    const { session } = await made((wanted) => {
      const text = 'permit out udp from 203.0.113.0/24 5000-5010 to assigned';
      // The reference comes before what it refers to.
      wanted['Create PDR'][0].PDI['SDF Filter'] = [{ flags: ['BID'], sdfFilterId: 77 }];
      wanted['Create PDR'][1].PDI['SDF Filter'] = [
        { flags: ['FD', 'BID'], flowDescription: text, sdfFilterId: 77 },
        {
          flags: ['TTC', 'SPI', 'FL'],
          tosTrafficClass: 'b8fc',
          securityParameterIndex: '0x00000005',
          flowLabel: '0x012345',
        },
      ];
    });
    const text = 'permit out udp from 203.0.113.0/24 5000-5010 to assigned';
    expect(session.pdrs[0].pdi.sdf_filters).toEqual([{ flow_description: text }]);
    expect(session.pdrs[1].pdi.sdf_filters).toEqual([
      { flow_description: text },
      { tos: 0xb8, tos_mask: 0xfc, spi: 5, flow_label: 0x12345 },
    ]);
  });

  it('matches applications by the flow descriptions of their PFDs', async () => {
    const peer = new FakePeer();
    const flows = ['permit out tcp from 198.51.100.7 443 to assigned'].map((t) => Buffer.from(t));
    peer.applications = {
      find: (bytes, start, length) => {
        const name = Buffer.from(bytes.subarray(start, start + length)).toString();
        if (name === 'video') return { flows, isUnmatchable: false };
        return name === 'web' ? { flows: [], isUnmatchable: true } : undefined;
      },
    };
    const named = (name: string) => (wanted: Loose) => {
      wanted['Create PDR'][1].PDI['Application ID'] = name;
    };
    const { session, bench } = await made(named('video'), peer);
    expect(session.pdrs[1].pdi.sdf_filters).toEqual([{ flow_description: flows[0]!.toString() }]);
    expect((await refused(bench, named('web'), peer)).cause).toBe('Service not supported');
    expect((await refused(bench, named('none'), peer)).cause).toMatch(/Application ID/);
  });

  it('takes what traffic endpoints say of PDRs, and tells what they were given', async () => {
    const { session, elements } = await made((wanted) => {
      wanted['Create Traffic Endpoint'] = [
        {
          'Traffic Endpoint ID': 4,
          'F-TEID': { flags: ['V4', 'CH', 'CHID'], chooseId: 1 },
          'Network Instance': 'access',
        },
        {
          'Traffic Endpoint ID': 5,
          'Network Instance': 'internet',
          'UE IP Address': [{ flags: ['V4'], ipv4: '10.70.0.1' }],
          'Framed-Route': ['198.51.100.0/24 10.70.0.1 1'],
        },
      ];
      const [uplink, downlink] = wanted['Create PDR'];
      const second = uplinkPdr();
      second['PDR ID'] = 3;
      uplink.PDI = { 'Source Interface': 'Access', 'Traffic Endpoint ID': [4] };
      second.PDI = { 'Source Interface': 'Access', 'Traffic Endpoint ID': [4] };
      downlink.PDI = { 'Source Interface': 'Core', 'Traffic Endpoint ID': [5] };
      wanted['Create PDR'].push(second);
    });
    expect(elements['Created PDR']).toBeUndefined();
    const [told, ...others] = elements['Created Traffic Endpoint'];
    expect(others).toEqual([]);
    expect(told['Traffic Endpoint ID']).toBe(4);
    const teid = session.pdrs[0].pdi.local_f_teid.chosen_teid;
    expect(session.pdrs[2].pdi.local_f_teid.chosen_teid).toBe(teid);
    expect(Number(told['F-TEID'][0].teid)).toBe(teid);
    expect(session.pdrs[1].pdi).toMatchObject({
      network_instance: 'internet',
      ue_address: { ipv4: '10.70.0.1' },
      framed_routes: ['198.51.100.0/24'],
    });
  });

  it('reads network instances as labels or as text', async () => {
    const { session } = await made((wanted) => {
      wanted['Create PDR'][0].PDI['Network Instance'] = { labels: 'my.access' };
      wanted['Create FAR'][1]['Forwarding Parameters']['Network Instance'] = '';
    });
    expect(session.pdrs[0].pdi.network_instance).toBe('my.access');
    expect(session.fars[1].forward.network_instance ?? '').toBe('');
  });

  it('never sends to the access side without a tunnel: packets wait', async () => {
    const { session } = await made((wanted) => {
      const parameters = wanted['Create FAR'][1]['Forwarding Parameters'];
      delete parameters['Outer Header Creation'];
    });
    expect(session.fars[1].forward).toBeUndefined();
    expect(session.fars[1].buffer).toBeDefined();
  });

  it('duplicates, marks and buffers as it is asked to', async () => {
    const { session } = await made((wanted) => {
      const [core, access] = wanted['Create FAR'];
      core['Apply Action'] = ['FORW', 'DUPL'];
      core['Forwarding Parameters']['Transport Level Marking'] = { value: 0xb8, mask: 0xfc };
      core['Duplicating Parameters'] = {
        'Destination Interface': 'LI function',
        'Outer Header Creation': { flags: ['GTPU6'], teid: '0x00000099', ipv6: '2001:db8::99' },
      };
      access['Apply Action'] = ['BUFF', 'NOCP'];
      access['BAR ID'] = 3;
      wanted['Create BAR'] = [
        {
          'BAR ID': 3,
          'Downlink Data Notification Delay': 4,
          'Suggested Buffering Packets Count': 12,
        },
      ];
    });
    expect(session.fars[0]).toMatchObject({
      forward: { dscp: 46 },
      duplicates: [{ outer_header_creation: { teid: 0x99, ipv6: '2001:db8::99' } }],
    });
    expect(session.fars[1].buffer).toEqual({ notify: true, bar_id: 3 });
    expect(session.bars).toEqual([
      { id: 3, notification_delay: { nanos: 200_000_000 }, packet_limit: 12 },
    ]);
  });

  it('has gates, marks and shared buckets of QERs', async () => {
    const { session } = await made((wanted) => {
      Object.assign(wanted['Create QER'][0], {
        'Gate Status': { uplink: 'closed', downlink: 'open' },
        GBR: { uplinkKbps: 60_000, downlinkKbps: 10 },
        RQI: 1,
        'Paging Policy Indicator': 5,
        'QER Correlation ID': 0xabc,
      });
    });
    expect(session.qers[0]).toMatchObject({
      uplink_gate_closed: true,
      uplink_gbr_kbps: '50000',
      downlink_gbr_kbps: '10',
      rqi: true,
      ppi: 5,
      shared_bucket: '00000abc',
    });
  });

  it('watches for a session without traffic', async () => {
    const { session } = await made((wanted) => {
      wanted['User Plane Inactivity Timer'] = 120;
    });
    const hidden = session.urrs.find((urr: Loose) => urr.id === 0xffff_ffff);
    expect(hidden).toMatchObject({ inactivity: { seconds: '120' } });
    expect(session.pdrs.map((pdr: Loose) => pdr.urr_ids)).toEqual([
      [1, 0xffff_ffff],
      [1, 0xffff_ffff],
    ]);
  });

  it('with the same CP F-SEID again takes the place of its session', async () => {
    const bench = await startSessions();
    const peer = new FakePeer();
    const first = await accepted(bench, peer, establishment(1));
    const second = await accepted(bench, peer, establishment(1));
    expect(second.seid).not.toBe(first.seid);
    expect(bench.engine.count).toBe(1);
    expect(shown(bench, peer, first.seid)).toBeUndefined();
    // Both of one turn, too.
    const [third, fourth] = await Promise.all([
      accepted(bench, peer, establishment(1)),
      accepted(bench, peer, establishment(1)),
    ]);
    expect(bench.engine.count).toBe(1);
    expect(shown(bench, peer, third!.seid)).toBeUndefined();
    expect(shown(bench, peer, fourth!.seid)).toBeDefined();
  });

  it('that is refused leaves the session whose place it would take as it was', async () => {
    const bench = await startSessions();
    const peer = new FakePeer();
    const chosen = (teid: number) => (wanted: Loose) => {
      const fTeid = { flags: ['V4'], teid, ipv4: '192.0.2.1' };
      wanted['Create PDR'][0].PDI['F-TEID'] = fTeid;
    };
    await accepted(bench, peer, establishment(1, chosen(0x77)));
    const own = await accepted(bench, peer, establishment(2, chosen(0x78)));
    const before = shown(bench, peer, own.seid);
    await expect(accepted(bench, peer, establishment(2, chosen(0x77)))).rejects.toThrow();
    expect(shown(bench, peer, own.seid)).toEqual(before);
    expect(bench.engine.count).toBe(2);
    // One that asks for what its own predecessor has is fine, and is a session of its own.
    const next = await accepted(bench, peer, establishment(2, chosen(0x78)));
    expect(next.seid).not.toBe(own.seid);
    expect(shown(bench, peer, own.seid)).toBeUndefined();
    expect(shown(bench, peer, next.seid)).toBeDefined();
  });

  it('takes a UE address from an older session of its peer, from no one else', async () => {
    const bench = await startSessions();
    const peer = new FakePeer();
    const inPool = (wanted: Loose) => {
      wanted['Create PDR'][1].PDI['UE IP Address'] = [{ flags: ['V4'], ipv4: '10.60.0.9' }];
    };
    const older = await accepted(bench, peer, establishment(1, inPool));
    const newer = await accepted(bench, peer, establishment(2, inPool));
    expect(shown(bench, peer, older.seid)).toBeUndefined();
    expect(shown(bench, peer, newer.seid)).toBeDefined();
    // Two of one turn: the first is still on its way in when the second is refused.
    const both = await Promise.all([
      accepted(bench, peer, establishment(3, inPool)),
      accepted(bench, peer, establishment(4, inPool)),
    ]);
    expect(bench.engine.count).toBe(1);
    const [last] = both.filter(({ seid }) => shown(bench, peer, seid) !== undefined);
    const other = await refused(bench, inPool, new FakePeer('10.0.0.77'));
    expect(other).toMatchObject({
      cause: 'Rule creation/modification Failure',
      ie: 'UE IP Address',
      rule: { type: 'PDR', pdrId: 2 },
    });
    await accepted(bench, peer, deletion(last!.seid));
    expect(bench.engine.count).toBe(0);
  });

  it('is seen by its own peer only', async () => {
    const bench = await startSessions();
    const { seid } = await accepted(bench, new FakePeer(), establishment(1));
    const stranger = new FakePeer('10.0.0.99');
    const answer = elementsOf(await ask(bench, stranger, deletion(seid)));
    expect(answer.Cause).toBe('Session context not found');
    expect(bench.engine.count).toBe(1);
  });
});
