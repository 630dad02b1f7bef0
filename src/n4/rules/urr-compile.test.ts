import { describe, expect, it } from 'vitest';
import {
  accepted,
  establishment,
  FakePeer,
  type Loose,
  modification,
  refused,
  shown,
  startSessions,
} from '../session/session.fixture.js';

/** The first URR of a session whose establishment gives it these IEs. */
async function urrOf(elements: Loose): Promise<Loose> {
  const bench = await startSessions();
  const peer = new FakePeer();
  const request = establishment(1, (all) => {
    all['Create URR'].unshift({ 'Measurement Method': ['VOLUM'], ...elements, 'URR ID': 5 });
  });
  const { seid } = await accepted(bench, peer, request);
  return shown(bench, peer, seid).urrs[0];
}

const volume = (total: number) => ({ flags: ['TOVOL'], total });

describe('a URR over PFCP', () => {
  it('has thresholds where they are a trigger, and quotas', async () => {
    const limits = {
      'Volume Threshold': { flags: ['TOVOL', 'ULVOL', 'DLVOL'], total: 7, uplink: 0, downlink: 9 },
      'Time Threshold': 30,
      'Volume Quota': { flags: ['ULVOL'], uplink: 2 ** 40 },
      'Time Quota': 0,
    };
    const both = await urrOf({ ...limits, 'Reporting Triggers': ['VOLTH', 'TIMTH'] });
    expect(both).toMatchObject({
      measure_volume: true,
      measure_duration: true,
      // 0 is no threshold, but a quota.
      volume_threshold: { total_bytes: '7', downlink_bytes: '9' },
      time_threshold: { seconds: '30' },
      volume_quota: { uplink_bytes: String(2 ** 40) },
      time_quota: {},
    });
    expect(both.volume_threshold.uplink_bytes).toBeUndefined();
    const none = await urrOf({ ...limits, 'Reporting Triggers': ['VOLQU'] });
    expect([none.volume_threshold, none.time_threshold]).toEqual([undefined, undefined]);
    expect(none.volume_quota).toBeDefined();
  });

  it('is refused when a threshold is a trigger, and there is none', async () => {
    for (const [trigger, ie] of [
      ['VOLTH', 'Volume Threshold'],
      ['TIMTH', 'Time Threshold'],
      ['DROTH', 'Dropped DL Traffic Threshold'],
    ] as const) {
      const urr = { 'Measurement Method': ['VOLUM'], 'Reporting Triggers': [trigger] };
      const answer = await refused(await startSessions(), (all) => {
        all['Create URR'].push({ ...urr, 'URR ID': 5 });
      });
      expect(answer).toMatchObject({ cause: 'Conditional IE missing', ie });
    }
    // One from a monitoring time on is one.
    const later = await urrOf({
      'Reporting Triggers': ['VOLTH'],
      'Monitoring Time': '2030-01-01T00:00:20Z',
      'Subsequent Volume Threshold': volume(9),
    });
    expect(later.volume_threshold).toBeUndefined();
  });

  it('reports at times, of traffic that starts and stops, and with others', async () => {
    const urr = await urrOf({
      'Measurement Method': ['DURAT'],
      'Reporting Triggers': ['PERIO', 'START', 'STOPT', 'LIUSA', 'REEMR'],
      'Measurement Period': 2 ** 31,
      'Inactivity Detection Time': 60,
      'Linked URR ID': [1],
      'FAR ID': 2,
    });
    expect(urr).toMatchObject({
      measure_duration: true,
      // Longer than is counted: it never comes.
      period: { seconds: String(49 * 86_400) },
      inactivity: { seconds: '60' },
      report_start: true,
      report_stop: true,
      report_end_marker: true,
      linked_urr_ids: [1],
      quota_far_id: 2,
    });
    expect(urr.measure_volume ?? false).toBe(false);
  });

  it('measures as its information says', async () => {
    const urr = await urrOf({
      'Measurement Method': ['DURAT', 'VOLUM'],
      'Reporting Triggers': ['VOLQU'],
      'Measurement Information': ['MBQE', 'INAM', 'ISTM', 'MNOP'],
    });
    expect(urr).toMatchObject({
      measure_before_policing: true,
      paused: true,
      instant_start: true,
      count_packets: true,
    });
  });

  it('knows times of quotas, dropped packets and envelopes', async () => {
    const urr = await urrOf({
      'Reporting Triggers': ['QUHTI', 'QUVTI', 'DROTH', 'ENVCL', 'VOLQU'],
      'Volume Quota': volume(10),
      'Quota Holding Time': 5,
      'Quota Validity Time': 3_900_000_000,
      'Dropped DL Traffic Threshold': { flags: ['DLPA', 'DLBY'], packets: 3, bytes: 4000 },
      'Time Quota Mechanism': { baseTimeIntervalType: 'CTP', baseTimeInterval: 15 },
    });
    expect(urr).toMatchObject({
      quota_holding_time: { seconds: '5' },
      // An absolute time, as there are SMFs that send one.
      quota_validity_time: { seconds: String(49 * 86_400) },
      dropped_downlink_threshold: { packets: '3', bytes: '4000' },
      inactivity: { seconds: '15' },
      report_envelope: true,
    });
    const without = await urrOf({
      'Reporting Triggers': ['PERIO', 'QUVTI'],
      'Measurement Period': 1,
      'Quota Validity Time': 9,
    });
    expect(without.quota_validity_time).toBeUndefined();
  });

  it('has other limits from its monitoring times on, in their order', async () => {
    const urr = await urrOf({
      'Reporting Triggers': ['VOLTH', 'TIMTH'],
      'Volume Threshold': volume(100),
      'Monitoring Time': '2030-01-01T00:00:20Z',
      'Subsequent Volume Threshold': volume(200),
      'Additional Monitoring Time': [
        { 'Monitoring Time': '2030-01-01T00:00:30Z', 'Subsequent Time Threshold': 3 },
        { 'Monitoring Time': '2030-01-01T00:00:10Z', 'Subsequent Volume Quota': volume(1) },
        { 'Monitoring Time': '2030-01-01T00:00:20Z', 'Subsequent Volume Threshold': volume(5) },
      ],
    });
    const first = Date.UTC(2030, 0, 1) / 1000;
    expect(urr.monitoring_times).toMatchObject([
      { time: { seconds: String(first + 10) }, volume_quota: { total_bytes: '1' } },
      { time: { seconds: String(first + 20) }, volume_threshold: { total_bytes: '200' } },
      { time: { seconds: String(first + 30) }, time_threshold: { seconds: '3' } },
    ]);
  });

  it('is refused for what it lacks', async () => {
    const bench = await startSessions();
    const stop = await refused(bench, (all) => {
      all['Create URR'][0]['Reporting Triggers'] = ['STOPT'];
    });
    expect(stop).toMatchObject({
      cause: 'Conditional IE missing',
      ie: 'Inactivity Detection Time',
    });
    const own = await refused(bench, (all) => {
      Object.assign(all['Create URR'][0], {
        'Reporting Triggers': ['LIUSA'],
        'Linked URR ID': [1],
      });
    });
    expect(own).toMatchObject({ ie: 'Linked URR ID', rule: { urrId: 1 } });
    const hidden = await refused(bench, (all) => {
      all['Create URR'][0]['URR ID'] = 0xffff_ffff;
    });
    expect(hidden).toMatchObject({ ie: 'URR ID', rule: { urrId: 0xffff_ffff } });
  });

  it('changes IE by IE', async () => {
    const bench = await startSessions();
    const peer = new FakePeer();
    const { seid } = await accepted(bench, peer, establishment(1));
    await accepted(
      bench,
      peer,
      modification(seid, {
        'Update URR': [{ 'URR ID': 1, 'Reporting Triggers': ['PERIO'], 'Measurement Period': 4 }],
      }),
    );
    const [urr] = shown(bench, peer, seid).urrs;
    expect(urr).toMatchObject({ measure_volume: true, period: { seconds: '4' } });
    expect(urr.volume_threshold).toBeUndefined();
  });
});
