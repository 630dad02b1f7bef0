import { describe, expect, it } from 'vitest';
import { EVENT_WORDS, EventKind, EventWord } from '../datapath/datapath.js';
import { ReportLog } from './reports.js';

const SUBJECT = { owner: 'a', name: 'ue-1', seid: 5n };

function usage(session: number, urr: number, bytes: number, sequence = 0): Uint32Array {
  const event = new Uint32Array(EVENT_WORDS);
  event[EventWord.Kind] = EventKind.Usage;
  event[EventWord.SessionIndex] = session;
  event[EventWord.Incarnation] = 1;
  event[EventWord.Id] = urr;
  event[EventWord.Sequence] = sequence;
  event[EventWord.Triggers] = 1 << (sequence % 5);
  event[EventWord.UplinkBytes] = bytes >>> 0;
  event[EventWord.UplinkBytes + 1] = Math.floor(bytes / 2 ** 32);
  event[EventWord.UplinkPackets] = 1;
  return event;
}
function downlinkData(session: number): Uint32Array {
  const event = usage(session, 1, 0);
  event[EventWord.Kind] = EventKind.DownlinkData;
  return event;
}
const bytesOf = (event: Uint32Array) =>
  event[EventWord.UplinkBytes]! + event[EventWord.UplinkBytes + 1]! * 2 ** 32;
const log = (max = 1000) => new ReportLog('run', max, () => 1234);

describe('report log', () => {
  it('offers again what was not acknowledged, and never what was', () => {
    const reports = log();
    for (let i = 0; i < 5; i++) reports.add(usage(1, i, i), 0, SUBJECT);
    const first = reports.watch('a', '', []);
    const read = first.read(3);
    expect(read.map((one) => one.event[EventWord.Id])).toEqual([0, 1, 2]);
    expect(read[0]).toMatchObject({ sessionName: 'ue-1', owner: 'a', seid: 5n, timeMs: 1234 });
    first.acknowledge(read[1]!.cursor);
    first.close();
    const second = reports.watch('a', '', []);
    expect(second.read(10).map((one) => one.event[EventWord.Id])).toEqual([2, 3, 4]);
    expect(second.read(10)).toEqual([]);
    expect(reports.size).toBe(3);
  });

  it('goes on behind a cursor, but starts over for one of another run', () => {
    const reports = log();
    for (let i = 0; i < 4; i++) reports.add(usage(1, i, i), 0, SUBJECT);
    const [, second] = reports.watch('a', '', []).read(10);
    expect(reports.watch('a', second!.cursor, []).read(10)).toHaveLength(2);
    expect(reports.watch('a', 'earlier.3', []).read(10)).toHaveLength(4);
    expect(reports.watch('a', 'nonsense', []).read(10)).toHaveLength(4);
    expect(reports.watch('a', 'run.999', []).read(10)).toHaveLength(0);
  });

  it('shows each owner its own, and of these the names asked for', () => {
    const reports = log();
    reports.add(usage(1, 1, 1), 0, { owner: 'a', name: 'x', seid: 1n });
    reports.add(usage(2, 2, 2), 0, { owner: 'b', name: 'x', seid: 2n });
    reports.add(usage(3, 3, 3), 0, { owner: 'a', name: 'y', seid: 3n });
    const seen = (owner: string, names: string[]) =>
      reports
        .watch(owner, '', names)
        .read(10)
        .map((one) => one.event[EventWord.Id]);
    expect(seen('a', [])).toEqual([1, 3]);
    expect(seen('b', [])).toEqual([2]);
    expect(seen('', [])).toEqual([1, 2, 3]);
    expect(seen('', ['x'])).toEqual([1, 2]);
    const reader = reports.watch('a', '', ['y']);
    const [only] = reader.read(10);
    reader.acknowledge(only!.cursor);
    // Acknowledging speaks of what the watcher can see, and of nothing before it.
    expect(seen('a', [])).toEqual([1]);
    expect(seen('b', [])).toEqual([2]);
  });

  it('merges usage when it is full: the sum of all reports stays what was counted', () => {
    const reports = log(8);
    let total = 0;
    for (let i = 0; i < 5000; i++) {
      const bytes = 2 ** 31 + i;
      total += bytes;
      reports.add(usage(i % 20, i % 3, bytes, i), 0, SUBJECT);
    }
    expect(reports.merged).toBeGreaterThan(4000);
    expect(reports.size).toBe(60);
    const reader = reports.watch('', '', []);
    const read = reader.read(1000);
    expect(read.reduce((sum, one) => sum + bytesOf(one.event), 0)).toBe(total);
    const packets = read.reduce((sum, one) => sum + one.event[EventWord.UplinkPackets]!, 0);
    expect(packets).toBe(5000);
    reader.acknowledge(read.at(-1)!.cursor);
    expect(reports.size).toBe(0);
    reports.add(usage(1, 1, 7), 0, SUBJECT);
    expect(reader.read(10)).toHaveLength(1);
    expect(reports.dropped).toBe(0);
  });

  it('gives up delivered reports and those without usage first, and counts them', () => {
    const reports = log(4);
    reports.add(downlinkData(1), 0, SUBJECT);
    reports.add(usage(1, 1, 10), 0, SUBJECT);
    reports.add(usage(1, 2, 10), 0, SUBJECT);
    reports.add(usage(1, 3, 10), 0, SUBJECT);
    expect(reports.watch('', '', []).read(2)).toHaveLength(2);
    reports.add(usage(1, 4, 10), 0, SUBJECT);
    reports.add(usage(1, 5, 10), 0, SUBJECT);
    expect(reports.dropped).toBe(2);
    // Undelivered usage stays; a notification that finds no room is dropped itself.
    reports.add(downlinkData(1), 0, SUBJECT);
    expect(reports.dropped).toBe(3);
    const left = reports.watch('', '', []).read(10);
    expect(left.map((one) => one.event[EventWord.Id])).toEqual([2, 3, 4, 5]);
  });

  it('never merges into a report that somebody has read already', () => {
    const reports = log(2);
    const first = usage(9, 9, 1);
    reports.add(first, 0, { owner: 'b', name: 'other', seid: 1n });
    reports.add(usage(1, 1, 100), 0, SUBJECT);
    reports.watch('a', '', []).read(10);
    reports.add(usage(1, 1, 50), 0, SUBJECT);
    const sums = reports
      .watch('a', '', [])
      .read(10)
      .map((one) => bytesOf(one.event));
    expect(sums).toEqual([100, 50]);
  });

  it('tells a watcher once that there is something, and at once when there is already', async () => {
    const reports = log();
    const reader = reports.watch('a', '', []);
    let calls = 0;
    reader.onReadable(() => calls++);
    for (let i = 0; i < 3; i++) reports.add(usage(1, i, i), 0, SUBJECT);
    expect(calls).toBe(0);
    await new Promise(setImmediate);
    expect(calls).toBe(1);
    reader.onReadable(() => calls++);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(calls).toBe(2);
    reader.close();
    reports.add(usage(1, 9, 9), 0, SUBJECT);
    await new Promise(setImmediate);
    expect(calls).toBe(2);
  });
});
