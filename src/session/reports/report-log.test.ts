import { describe, expect, it, vi } from 'vitest';
import type { Log } from '../../base/log.js';
import { EVENT_WORDS, EVENTS_MAX, EventKind, EventWord } from '../../datapath/datapath.js';
import { RecordBuffer } from '../../model/record.js';
import * as layout from '../../model/record-layout.js';
import { MemoryStore, MemoryStoreContents } from '../../store/memory.js';
import { textWords } from '../state/name-index.js';
import { ReportLog } from './report-log.js';
import type { ReportSubject } from './report-record.js';

/** In place 0x30007, with SEID 5. */
function subject(owner: string, name: string): ReportSubject {
  const record = new RecordBuffer();
  record.begin(0, 0, 0, 0, 0, 0);
  record.setText(layout.HEADER_NAME, Buffer.from(name));
  record.words[layout.HEADER_PLACE] = 0x30007;
  record.words[layout.HEADER_SEID_LOW] = 5;
  return { owner: textWords(owner), record: { words: record.words, start: 0 } };
}
const SUBJECT = subject('a', 'ue-1');
const SLOTS = 64;

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

/** What a log says to the packet path. */
class Path {
  readonly events = new Uint32Array(EVENTS_MAX * EVENT_WORDS);
  released = 0;
  readonly written: number[][] = [];
  release(count: number): void {
    this.released += count;
  }
  alreadyWritten(count: number): void {
    for (let i = 0; i < count; i++) {
      const at = i * EVENT_WORDS;
      this.written.push([this.events[at]!, this.events[at + 1]!, this.events[at + EventWord.Run]!]);
    }
  }
}

class Fixture {
  readonly path = new Path();
  readonly store: MemoryStore;
  readonly log: ReportLog;
  /** What the log of the node says. */
  readonly said: string[] = [];

  constructor(max = 1000, contents = new MemoryStoreContents()) {
    this.store = new MemoryStore(contents);
    this.log = new ReportLog(this.store, this.path, max, () => 1234, {
      error: (_: unknown, text?: string) => this.said.push(`error: ${text}`),
      info: (text: unknown) => this.said.push(`info: ${text}`),
    } as unknown as Log);
    this.log.load(SLOTS);
    this.log.endRestore();
  }
  async add(event: Uint32Array, whose = SUBJECT): Promise<void> {
    this.log.add(event, 0, whose);
    await this.write(1);
  }
  write(polled = 0): Promise<void> {
    this.log.flush(polled);
    return this.log.whenWritten();
  }
  ids(owner = 'a', cursor = '', names: string[] = []): number[] {
    const read = this.log.watch(owner, cursor, names).read(100);
    return read.map((one) => one.event[EventWord.Id]!);
  }
}

function bound(fixture: Fixture) {
  return { log: fixture.log, add: fixture.add.bind(fixture) };
}

describe('report log', () => {
  it('offers again what was not acknowledged, and never what was', async () => {
    const { log, add } = bound(new Fixture());
    for (let i = 0; i < 5; i++) await add(usage(1, i, i));
    const first = log.watch('a', '', []);
    const read = first.read(3);
    expect(read.map((one) => one.event[EventWord.Id])).toEqual([0, 1, 2]);
    expect(read[0]).toMatchObject({ sessionName: 'ue-1', owner: 'a', seid: 5n, timeMs: 1234 });
    first.acknowledge(read[1]!.cursor);
    first.close();
    const second = log.watch('a', '', []);
    expect(second.read(10).map((one) => one.event[EventWord.Id])).toEqual([2, 3, 4]);
    expect(second.read(10)).toEqual([]);
    expect(log.size).toBe(3);
  });

  it('goes on behind a cursor, but starts over for one of another store', async () => {
    const { log, add } = bound(new Fixture());
    for (let i = 0; i < 4; i++) await add(usage(1, i, i));
    const [, second] = log.watch('a', '', []).read(10);
    expect(log.watch('a', second!.cursor, []).read(10)).toHaveLength(2);
    expect(log.watch('a', 'another.3', []).read(10)).toHaveLength(4);
    expect(log.watch('a', 'nonsense', []).read(10)).toHaveLength(4);
    const [id] = second!.cursor.split('.');
    expect(log.watch('a', `${id}.999`, []).read(10)).toHaveLength(0);
  });

  it('offers nothing that is not in the store, and lets nothing go before', async () => {
    const fixture = new Fixture();
    const { log, store, path } = fixture;
    let release = () => {};
    store.hold = new Promise((resolve) => {
      release = resolve;
    });
    log.add(usage(1, 1, 1), 0, SUBJECT);
    log.flush(3);
    expect(fixture.ids()).toEqual([]);
    expect(path.released).toBe(0);
    store.hold = null;
    release();
    await log.whenWritten();
    expect(fixture.ids()).toEqual([1]);
    expect(path.released).toBe(3);
  });

  it('tries again what the store refused, and keeps the order', async () => {
    vi.useFakeTimers();
    const fixture = new Fixture();
    const { log, store, path } = fixture;
    store.failCommits = 1;
    log.add(usage(1, 1, 1), 0, SUBJECT);
    log.flush(1);
    log.add(usage(1, 2, 2), 0, SUBJECT);
    log.flush(1);
    const written = log.whenWritten();
    await vi.advanceTimersByTimeAsync(500);
    expect(path.released).toBe(0);
    expect(fixture.ids()).toEqual([]);
    await vi.advanceTimersByTimeAsync(600);
    await written;
    expect(path.released).toBe(2);
    expect(fixture.ids()).toEqual([1, 2]);
    expect(log.writeFailures).toBe(1);
    expect(fixture.said).toEqual([
      'error: reports cannot be written; it is tried again each second',
      'info: reports are written again',
    ]);
    vi.useRealTimers();
  });

  it('has everything again after a restart, under the same cursors', async () => {
    const contents = new MemoryStoreContents();
    const first = new Fixture(1000, contents);
    for (let i = 0; i < 5; i++) {
      const event = usage(7, i, i);
      event[EventWord.Run] = i === 4 ? 0 : 77;
      await first.add(event);
    }
    const reader = first.log.watch('a', '', []);
    const cursors = reader.read(10).map((one) => one.cursor);
    reader.acknowledge(cursors[1]!);
    await first.log.close();

    const second = new Fixture(1000, contents);
    expect(second.path.written).toEqual([
      [EventKind.Usage, 3 * SLOTS + 7, 77],
      [EventKind.Usage, 3 * SLOTS + 7, 77],
    ]);
    expect(second.ids()).toEqual([2, 3, 4]);
    expect(second.ids('a', cursors[2]!)).toEqual([3, 4]);
    await second.add(usage(1, 9, 9));
    const all = second.log.watch('a', '', []).read(10);
    expect(all.map((one) => one.cursor).slice(0, 3)).toEqual(cursors.slice(2));
    second.log.watch('a', '', []).acknowledge(all.at(-1)!.cursor);
    await second.log.close();

    // Nothing is left, and still no cursor comes twice.
    expect(contents.reports.size).toBe(0);
    const third = new Fixture(1000, contents);
    await third.add(usage(1, 8, 8));
    expect(third.ids('a', all.at(-1)!.cursor)).toEqual([8]);
  });

  it('hides an answer until nobody can have got it', async () => {
    const contents = new MemoryStoreContents();
    const first = new Fixture(1000, contents);
    const sent = first.log.addAnswer(usage(1, 1, 1), 0, SUBJECT);
    const failed = first.log.addAnswer(usage(1, 2, 2), 0, SUBJECT);
    first.log.addAnswer(usage(1, 3, 3), 0, SUBJECT);
    await first.write(3);
    expect(first.ids()).toEqual([]);
    expect(first.log.size).toBe(0);
    first.log.answers.answered(sent);
    first.log.answers.unanswered(failed);
    await new Promise(setImmediate);
    await first.log.whenWritten();
    expect(first.ids()).toEqual([2]);
    await first.log.close();
    // The third was under way when the process ended, and shares its record with the others.
    const second = new Fixture(1000, contents);
    expect(second.ids()).toEqual([2]);
    await second.log.whenWritten();
    expect(second.ids()).toEqual([2, 1, 3]);
    expect(new Fixture(1000, contents).ids()).toEqual([2, 1, 3]);
  });

  it('shows each owner its own, and of these the names asked for', async () => {
    const { log: reports, add } = bound(new Fixture());
    await add(usage(1, 1, 1), subject('a', 'x'));
    await add(usage(2, 2, 2), subject('b', 'x'));
    await add(usage(3, 3, 3), subject('a', 'y'));
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

  it('merges usage when it is full: the sum of all reports stays what was counted', async () => {
    const { log: reports, add } = bound(new Fixture(8));
    let total = 0;
    for (let i = 0; i < 5000; i++) {
      const bytes = 2 ** 31 + i;
      total += bytes;
      await add(usage(i % 20, i % 3, bytes, i));
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
    await add(usage(1, 1, 7));
    expect(reader.read(10)).toHaveLength(1);
    expect(reports.dropped).toBe(0);
  });

  it('gives up delivered reports and those without usage first, and counts them', async () => {
    const { log: reports, add } = bound(new Fixture(4));
    await add(downlinkData(1));
    await add(usage(1, 1, 10));
    await add(usage(1, 2, 10));
    await add(usage(1, 3, 10));
    expect(reports.watch('', '', []).read(2)).toHaveLength(2);
    await add(usage(1, 4, 10));
    await add(usage(1, 5, 10));
    expect(reports.dropped).toBe(2);
    // Undelivered usage stays; a notification that finds no room is dropped itself.
    await add(downlinkData(1));
    expect(reports.dropped).toBe(3);
    const left = reports.watch('', '', []).read(10);
    expect(left.map((one) => one.event[EventWord.Id])).toEqual([2, 3, 4, 5]);
  });

  it('never merges into a report that somebody has read already', async () => {
    const { log: reports, add } = bound(new Fixture(2));
    const first = usage(9, 9, 1);
    await add(first, subject('b', 'other'));
    await add(usage(1, 1, 100));
    reports.watch('a', '', []).read(10);
    await add(usage(1, 1, 50));
    const sums = reports
      .watch('a', '', [])
      .read(10)
      .map((one) => bytesOf(one.event));
    expect(sums).toEqual([100, 50]);
  });

  it('tells a watcher once that there is something, and at once when there is already', async () => {
    const { log: reports, add } = bound(new Fixture());
    const reader = reports.watch('a', '', []);
    let calls = 0;
    reader.onReadable(() => calls++);
    for (let i = 0; i < 3; i++) await add(usage(1, i, i));
    expect(calls).toBe(0);
    await new Promise(setImmediate);
    expect(calls).toBe(1);
    reader.onReadable(() => calls++);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(calls).toBe(2);
    reader.close();
    await add(usage(1, 9, 9));
    await new Promise(setImmediate);
    expect(calls).toBe(2);
  });
});
