import { describe, expect, it } from 'vitest';
import { EVENT_WORDS, EventKind, EventWord } from '../../datapath/datapath.js';
import { UsageTrigger } from '../../datapath/usage-event.js';
import * as layout from '../../model/record-layout.js';
import { describeMessage, encodeMessage } from '../codec/describe.js';
import { MessageReader } from '../codec/message-reader.js';
import { INACTIVITY_URR_ID } from '../rules/urr-compile.js';
import {
  accepted,
  answerReport,
  ask,
  deleteAll,
  deletion,
  elementsOf,
  establishment,
  FakePeer,
  type Loose,
  modification,
  type N4Bench,
  type SentRequest,
  settle,
  shown,
  startSessions,
} from './session.fixture.js';

const USAGE = 'Usage Report (Session Report Request)';

async function reporting(change?: (elements: Loose) => void) {
  const bench = await startSessions();
  const peer = new FakePeer();
  const { seid } = await accepted(bench, peer, establishment(1, change));
  const reports = bench.requests.startReports(peer);
  return { bench, peer, seid, reports, index: [...bench.datapath.sessions.keys()][0]! };
}

function report(sent: SentRequest): Loose {
  return describeMessage(sent.bytes)!;
}

/** An event without usage of the session. */
function emit(bench: N4Bench, kind: EventKind, words: readonly (readonly [number, number])[]) {
  const [index, { words: record, start }] = [...bench.datapath.sessions][0]!;
  const event = new Uint32Array(EVENT_WORDS);
  event[EventWord.Kind] = kind;
  event[EventWord.SessionIndex] = index;
  event[EventWord.Incarnation] = record[start + layout.HEADER_INCARNATION]!;
  for (const [word, value] of words) event[word] = value;
  bench.datapath.emit(event);
}

describe('where session reports go', () => {
  const newAddress = { 'F-SEID': { flags: ['V4'], seid: '0x0000000000000001', ipv4: '10.0.0.7' } };

  it('is the address of the CP F-SEID, as it is when they are sent', async () => {
    const { bench, peer, seid, index } = await reporting();
    bench.datapath.report(index, 1, UsageTrigger.VolumeThreshold);
    await settle();
    expect(peer.sent[0]!.to).toBe('10.0.0.1');
    await accepted(bench, peer, modification(seid, newAddress));
    answerReport(peer.sent[0]);
    bench.datapath.report(index, 1, UsageTrigger.VolumeThreshold);
    await settle();
    expect(peer.sent[1]!.to).toBe('10.0.0.7');
  });

  it('a silent address holds up its own sessions alone', async () => {
    const { bench, peer } = await reporting();
    const other = establishment(2, (elements) => {
      elements['F-SEID'] = { flags: ['V4'], seid: '0x0000000000000002', ipv4: '10.0.0.7' };
      elements['Create PDR'][1].PDI['UE IP Address'] = [{ flags: ['V4'], ipv4: '10.70.0.2' }];
    });
    await accepted(bench, peer, other);
    const sessions = [...bench.datapath.sessions.keys()];
    const report = async (which: number) => {
      bench.datapath.report(sessions[which]!, 1, UsageTrigger.VolumeThreshold);
      await settle();
      return peer.sent.splice(0).map(({ to, done }) => {
        done(undefined);
        return to;
      });
    };
    expect(await report(0)).toEqual(['10.0.0.1']);
    expect(await report(0)).toEqual([]);
    expect(await report(1)).toEqual(['10.0.0.7']);
  });

  it('a node that does not serve the session need not know it', async () => {
    const { bench, peer, seid, index } = await reporting();
    bench.datapath.report(index, 1, UsageTrigger.VolumeThreshold);
    await settle();
    const [sent] = peer.sent;
    const unknown = { Cause: 'Session context not found' };
    answerReport({ ...sent!, done: (response) => sent!.done(response, true) }, unknown);
    await settle();
    expect(shown(bench, peer, seid)).toBeDefined();
    answerReport(sent, unknown);
    await settle();
    expect(shown(bench, peer, seid)).toBeUndefined();
  });
});

describe('session reports', () => {
  it('tell of usage; while one waits for its answer the next ones gather', async () => {
    const { bench, peer, index, reports } = await reporting();
    const threshold = () => {
      bench.datapath.count(index, 1, 700, 300);
      bench.datapath.report(index, 1, UsageTrigger.VolumeThreshold);
    };
    threshold();
    await settle();
    expect(peer.sent).toHaveLength(1);
    const first = report(peer.sent[0]!);
    expect(first).toMatchObject({ message: 'Session Report Request', seid: '0x0000000000000001' });
    expect(first.elements).toMatchObject({
      'Report Type': ['USAR'],
      [USAGE]: [
        {
          'URR ID': 1,
          'UR-SEQN': 0,
          'Usage Report Trigger': ['VOLTH'],
          'Volume Measurement': { flags: ['TOVOL', 'ULVOL', 'DLVOL'], total: 1000 },
        },
      ],
    });
    threshold();
    threshold();
    await settle();
    expect(peer.sent).toHaveLength(1);
    answerReport(peer.sent[0]);
    await settle();
    const second = report(peer.sent[1]!).elements;
    expect(second[USAGE].map((usage: Loose) => usage['UR-SEQN'])).toEqual([1, 2]);
    answerReport(peer.sent[1]);
    await settle();
    expect(peer.sent).toHaveLength(2);
    expect(bench.engine.statistics().reportsHeld).toBe(0);
    reports.stop();
  });

  it('that wait when the session ends are in the answer that ends it', async () => {
    const { bench, peer, seid, index, reports } = await reporting();
    for (let round = 0; round < 3; round++) {
      bench.datapath.count(index, 1, 700, 300);
      bench.datapath.report(index, 1, UsageTrigger.VolumeThreshold);
      await settle();
    }
    bench.datapath.count(index, 1, 5, 6);
    const answer = elementsOf(await ask(bench, peer, deletion(seid)));
    const told = answer['Usage Report (Session Deletion Response)'].map((usage: Loose) => [
      usage['UR-SEQN'],
      usage['Usage Report Trigger'][0],
      usage['Volume Measurement'].total,
    ]);
    // The first is under way already.
    expect(told).toEqual([
      [1, 'VOLTH', 1000],
      [2, 'VOLTH', 1000],
      [3, 'TERMR', 11],
    ]);
    expect(peer.sent).toHaveLength(1);
    answerReport(peer.sent[0]);
    await settle();
    expect(peer.sent).toHaveLength(1);
    expect(bench.engine.statistics().reportsHeld).toBe(0);
    reports.stop();
  });

  it('stay with their numbers until they are answered, over a restart, too', async () => {
    const { bench, peer, index, reports } = await reporting();
    bench.datapath.count(index, 1, 5, 6);
    bench.datapath.report(index, 1, UsageTrigger.Periodic);
    await settle();
    const told = report(peer.sent[0]!).elements;
    reports.stop();
    peer.sent[0]!.done(undefined);
    await bench.engine.shutdown();
    const again = await startSessions(bench.store.contents);
    const later = new FakePeer();
    again.requests.startReports(later);
    await settle();
    expect(report(later.sent[0]!).elements).toEqual(told);
    answerReport(later.sent[0]);
    await settle();
    expect(again.engine.statistics().reportsHeld).toBe(0);
  });

  it('tell of downlink data by PDR and QFI alone, of errors and of inactivity', async () => {
    const { bench, peer } = await reporting((elements) => {
      elements['User Plane Inactivity Timer'] = 5;
    });
    emit(bench, EventKind.DownlinkData, [
      [EventWord.Id, 2],
      [EventWord.Qfi, 9],
    ]);
    emit(bench, EventKind.ErrorIndication, [
      [EventWord.Id, 0x309],
      [EventWord.Address, 0x0a000001],
    ]);
    emit(bench, EventKind.Inactivity, [[EventWord.Id, INACTIVITY_URR_ID]]);
    // That of an ordinary URR stops its clock, and is told to nobody.
    emit(bench, EventKind.Inactivity, [[EventWord.Id, 1]]);
    await settle();
    expect(peer.sent).toHaveLength(1);
    const { elements } = report(peer.sent[0]!);
    expect(elements['Report Type']).toEqual(['DLDR', 'ERIR', 'UPIR']);
    expect(elements['Downlink Data Report']).toMatchObject({ 'PDR ID': [2] });
    expect(JSON.stringify(elements['Downlink Data Report'])).toContain('"qfi":9');
    expect(JSON.stringify(elements['Error Indication Report'])).toContain('10.0.0.1');
    answerReport(peer.sent[0]);
    await settle();
    expect(bench.engine.statistics().reportsHeld).toBe(0);
  });

  it('delete what the peer does not know', async () => {
    const { bench, peer, index } = await reporting();
    bench.datapath.report(index, 1, UsageTrigger.Periodic);
    await settle();
    answerReport(peer.sent[0], { Cause: 'Session context not found' });
    await settle();
    expect(bench.engine.count).toBe(0);
    expect(bench.engine.statistics().reportsHeld).toBe(0);
  });

  it('do what their answers say: a BAR, and held packets to drop', async () => {
    const { bench, peer, seid } = await reporting((elements) => {
      elements['Create FAR'][1] = { 'FAR ID': 2, 'Apply Action': ['BUFF', 'NOCP'], 'BAR ID': 1 };
      elements['Create BAR'] = [{ 'BAR ID': 1 }];
    });
    emit(bench, EventKind.DownlinkData, [[EventWord.Id, 2]]);
    await settle();
    answerReport(peer.sent[0], {
      'Update BAR (Session Report Response)': {
        'BAR ID': 1,
        'Downlink Data Notification Delay': 10,
      },
      'PFCPSRRsp-Flags': ['DROBU'],
    });
    await settle();
    expect(shown(bench, peer, seid)).toMatchObject({
      revision: '2',
      bars: [{ id: 1, notification_delay: { nanos: 500_000_000 } }],
    });
  });

  it('are those of their own peer', async () => {
    const { bench, peer, index } = await reporting();
    const stranger = new FakePeer('10.0.0.50');
    bench.requests.startReports(stranger);
    bench.datapath.report(index, 1, UsageTrigger.Periodic);
    await settle();
    expect([peer.sent.length, stranger.sent.length]).toEqual([1, 0]);
  });
});

describe('the end of all sessions of a peer', () => {
  it('leaves those of others', async () => {
    const { bench, peer } = await reporting();
    const other = new FakePeer('10.0.0.60');
    for (let number = 2; number < 40; number++) {
      await accepted(bench, number < 30 ? peer : other, establishment(number));
    }
    expect(await deleteAll(bench.requests, peer)).toBe(29);
    expect(bench.engine.count).toBe(10);
    expect(await deleteAll(bench.requests, peer)).toBe(0);
  });

  it('takes what is on its way in, too', async () => {
    const { bench, peer } = await reporting();
    const other = new FakePeer('10.0.0.60');
    const late = [2, 3, 4].map((number) => accepted(bench, peer, establishment(number)));
    const kept = accepted(bench, other, establishment(5));
    expect(await deleteAll(bench.requests, peer)).toBe(4);
    await Promise.all([...late, kept]);
    expect(bench.engine.count).toBe(1);
  });

  it('by sets: those with one of the FQ-CSIDs', async () => {
    const { bench, peer } = await reporting();
    const csid = (id: number) => ({ count: 1, type: 'IPv4', ipv4: '10.9.9.9', csids: [id] });
    for (let number = 2; number < 8; number++) {
      const request = establishment(number, (elements) => {
        elements['FQ-CSID'] = [csid(number % 3)];
      });
      await accepted(bench, peer, request);
    }
    const bytes = encodeMessage({
      message: 'Session Set Deletion Request',
      elements: { 'Node ID': { type: 'IPv4', ipv4: '10.0.0.1' }, 'FQ-CSID': [csid(2)] },
    });
    const reader = new MessageReader();
    expect(reader.read(bytes, 0, bytes.length)).toBe(true);
    // Sessions 2 and 5 are of set 2; the first session is of none.
    expect(await bench.requests.deleteSets(peer, reader)).toBe(2);
    expect(bench.engine.count).toBe(5);
  });
});
