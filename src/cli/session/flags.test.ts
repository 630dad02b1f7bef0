import { describe, expect, it } from 'vitest';
import { applyRuleFlags, sessionFromFlags, withoutOutputs } from './flags.js';

describe('sessionFromFlags', () => {
  it('makes one uplink and one downlink rule that share the QER', () => {
    const session = sessionFromFlags({
      name: 'ue1',
      ueIp: 'auto',
      ueIp6: 'auto',
      gnb: '192.0.2.7',
      gnbTeid: '0x100',
      mbrUl: '10M',
      mbrDl: '50M',
      gateDl: 'closed',
      volumeThreshold: '100M',
    });
    expect(session.pdn_type).toBe('PDN_TYPE_IPV4V6');
    expect(session.pdrs?.map((pdr) => pdr.pdi?.source_interface)).toEqual([
      'INTERFACE_ACCESS',
      'INTERFACE_CORE',
    ]);
    expect(session.pdrs?.[0]?.pdi?.local_f_teid).toEqual({ choose_id: 1 });
    expect(session.pdrs?.map((pdr) => pdr.urr_ids)).toEqual([[1], [1]]);
    expect(session.fars?.[1]?.forward?.outer_header_creation).toEqual({
      teid: 256,
      ipv4: '192.0.2.7',
    });
    expect(session.qers).toEqual([
      {
        id: 1,
        qfi: 9,
        downlink_gate_closed: true,
        uplink_mbr_kbps: 10_000,
        downlink_mbr_kbps: 50_000,
      },
    ]);
    expect(session.urrs?.[0]?.volume_threshold).toEqual({ total_bytes: 100_000_000 });
  });

  it('gives IPv4 alone by default, and IPv6 alone when only that is asked for', () => {
    expect(sessionFromFlags({ name: 'a' }).pdn_type).toBe('PDN_TYPE_IPV4');
    const v6 = sessionFromFlags({ name: 'a', ueIp6: '2001:db8:0:1::' });
    expect(v6.pdn_type).toBe('PDN_TYPE_IPV6');
    expect(v6.pdrs?.[0]?.pdi?.ue_address).toEqual({ ipv6_prefix: '2001:db8:0:1::/64' });
  });

  it('names the flag that is wrong', () => {
    expect(() => sessionFromFlags({})).toThrow('--name');
    expect(() => sessionFromFlags({ name: 'a', ueIp: '10.0.0.300' })).toThrow('--ue-ip:');
    expect(() => sessionFromFlags({ name: 'a', gnb: 'gnb1' })).toThrow('--gnb:');
    for (const qfi of ['0', '64']) {
      expect(() => sessionFromFlags({ name: 'a', qfi })).toThrow('--qfi:');
    }
    expect(() => sessionFromFlags({ name: 'a', ueIp: 'none' })).toThrow('needs an address');
  });
});

describe('applyRuleFlags', () => {
  it('changes what the flags name and nothing else', () => {
    const session = sessionFromFlags({ name: 'ue1', gnbTeid: '7', mbrUl: '10M', mbrDl: '20M' });
    const before = structuredClone(session);
    applyRuleFlags(session, { mbrDl: '5M', mbrUl: 'none' });
    expect(session.qers).toEqual([{ id: 1, qfi: 9, downlink_mbr_kbps: 5_000 }]);
    expect({ ...session, qers: before.qers }).toEqual(before);
    applyRuleFlags(session, { gnb: '2001:db8::1' });
    expect(session.fars?.[1]?.forward?.outer_header_creation).toEqual({
      teid: 7,
      ipv6: '2001:db8::1',
    });
    expect(session.fars?.[0]).toEqual(before.fars?.[0]);
  });

  it('adds a URR to rules that have none', () => {
    const session = sessionFromFlags({ name: 'ue1' });
    applyRuleFlags(session, { volumeQuota: '1k' });
    expect(session.urrs).toEqual([
      { id: 1, measure_volume: true, volume_quota: { total_bytes: 1000 } },
    ]);
    expect(session.pdrs?.every((pdr) => pdr.urr_ids?.[0] === 1)).toBe(true);
  });

  it('makes a quota new when the same one is given again', () => {
    const session = sessionFromFlags({ name: 'ue1', volumeQuota: '1k', timeQuota: '90s' });
    const grant = () => session.urrs?.[0]?.quota_grant;
    expect(session.urrs?.[0]).toMatchObject({ time_quota: { seconds: '90' } });
    expect(grant()).toBeUndefined();
    applyRuleFlags(session, { volumeQuota: '2k' });
    expect(grant()).toBeUndefined();
    applyRuleFlags(session, { volumeQuota: '2k' });
    expect(grant()).toBe(1);
    applyRuleFlags(session, { timeQuota: '90s' });
    expect(grant()).toBe(2);
    applyRuleFlags(session, { period: '500ms', inactivity: '2m' });
    expect(grant()).toBe(2);
    expect(session.urrs?.[0]).toMatchObject({
      period: { seconds: '0', nanos: 500_000_000 },
      inactivity: { seconds: '120' },
    });
  });
});

describe('withoutOutputs', () => {
  it('asks again for what the UPF chose, and keeps what the client chose', () => {
    const chosen = withoutOutputs({
      name: 'a',
      seid: '5',
      revision: '2',
      worker: 1,
      pdrs: [
        { id: 1, pdi: { local_f_teid: { choose_id: 1, ipv4: '10.0.0.1', chosen_teid: 9 } } },
        { id: 2, pdi: { local_f_teid: { teid: 9, ipv4: '10.0.0.1' } } },
      ],
    });
    expect(chosen).toEqual({
      name: 'a',
      pdrs: [
        { id: 1, pdi: { local_f_teid: { choose_id: 1 } } },
        { id: 2, pdi: { local_f_teid: { teid: 9, ipv4: '10.0.0.1' } } },
      ],
    });
  });
});
