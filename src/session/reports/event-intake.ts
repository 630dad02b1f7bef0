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
import type { Rounds } from '../rounds.js';
import type { SessionTable } from '../state/session-table.js';
import { subjectOf } from '../state/subject.js';
import type { ReportLog } from './report-log.js';

export class EventIntake {
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
    if (!this.#answer(index, at)) this.log.add(events, at, subjectOf(this.table, index));
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
    const number = this.log.addAnswer(events, at, subjectOf(this.table, index));
    batch.addUsage(position, events, at, number);
    return true;
  }
}
