/**
 * Takes events out of the packet path: usage that an operation asked for goes to it, all else
 * to the log, and everything into the store before the packet path may forget it.
 * Owner: the control thread.
 */
import {
  type Datapath,
  EVENT_WORDS,
  EVENTS_MAX,
  EventKind,
  EventWord,
} from '../../datapath/datapath.js';
import type { RecordAt } from '../allocators/ue-addresses.js';
import type { Rounds } from '../rounds/rounds.js';
import type { TextWords } from '../state/name-index.js';
import type { SessionTable } from '../state/session-table.js';
import type { ReportLog } from './report-log.js';
import type { ReportSubject } from './report-record.js';

const NO_WORDS = new Uint32Array(0);

export class EventIntake {
  /** Reused: whom the event is about. */
  readonly #subject: { owner: TextWords; readonly record: RecordAt } = {
    owner: { words: NO_WORDS, ref: 0 },
    record: { words: NO_WORDS, start: 0 },
  };

  constructor(
    private readonly datapath: Datapath,
    private readonly table: SessionTable,
    private readonly rounds: Rounds,
    private readonly log: ReportLog,
  ) {}

  drain(): void {
    let polled = 0;
    for (;;) {
      const count = this.datapath.poll();
      for (let i = 0; i < count; i++) this.#take(i * EVENT_WORDS);
      polled += count;
      if (count < EVENTS_MAX) break;
    }
    if (polled > 0) this.log.flush(polled);
  }

  #take(at: number): void {
    const { events } = this.datapath;
    const index = events[at + EventWord.SessionIndex]!;
    if (this.table.incarnation(index) !== events[at + EventWord.Incarnation]) {
      this.log.stale++;
      return;
    }
    if (!this.#answer(index, at)) this.log.add(events, at, this.#subjectOf(index));
  }

  /** True: the event belongs to the operation under way on its session. */
  #answer(index: number, at: number): boolean {
    const { events } = this.datapath;
    const operation = this.table.operation[index]!;
    const ticket = events[at + EventWord.Ticket]!;
    if (operation === 0 || ticket === 0 || events[at + EventWord.Kind] !== EventKind.Usage) {
      return false;
    }
    const round = this.rounds.byId[(operation - 1) >>> 10]!;
    const place = (operation - 1) & 1023;
    if (round.ticket[place] !== ticket - 1) return false;
    const batch = round.batch[place]!;
    const position = round.position[place]!;
    batch.markUsage(position, events, at);
    const number = this.log.addAnswer(events, at, this.#subjectOf(index));
    batch.addUsage(position, events, at, number);
    return true;
  }

  #subjectOf(index: number): ReportSubject {
    const { table } = this;
    const subject = this.#subject;
    subject.owner = table.owners.text(table.owner[index]!);
    subject.record.words = table.wordsOf(index);
    subject.record.start = table.startOf(index);
    return subject;
  }
}
