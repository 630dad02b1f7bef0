/**
 * Session reports of one peer: what the engine's log has for it, as Session Report Requests.
 * One is outstanding a session; what comes meanwhile goes together in the next. A report is
 * done with only when the peer has answered, so that none is lost over a restart, and is sent
 * with the same numbers again until then.
 *
 * Source: TS 29.244 clauses 5.2.2.3, 7.5.8. Owner: the control thread. Start at {@link #pump}.
 */
import { EventKind, EventWord } from '../../datapath/datapath.js';
import { refText } from '../../model/record.js';
import { HEADER_NAME } from '../../model/record-layout.js';
import type { RecordPlace, Report, ReportReader, SessionEngine } from '../../session/engine.js';
import * as Cause from '../codec/cause.js';
import * as Ie from '../codec/ie.js';
import type { MessageReader } from '../codec/message-reader.js';
import type { Peer, ResponseListener } from '../peer.js';
import { INACTIVITY_URR_ID } from '../rules/urr-compile.js';
import { cpFSeidOf } from './cp-f-seid.js';
import { type ReportKind, SessionReportWriter } from './report-encode.js';

/** Reports that are held in memory; the others stay in the log. */
const HELD_MAX = 4096;
/** Sessions with a request outstanding. */
const OUTSTANDING_MAX = 256;
const READ_MAX = 64;
/** After a request that was given up; doubled each time, up to the longest. */
const RETRY_MS = 2_000;
const RETRY_MAX_MS = 60_000;

/** Reports of one session that are not done with. */
interface Queue {
  readonly seidLow: number;
  readonly seidHigh: number;
  readonly name: string;
  /** Where the session is served: the address of its CP F-SEID, as far as is known. */
  to: string;
  readonly reports: Report[];
  /** The first of them that the request under way tells of; 0: none is. */
  sent: number;
}

/** Nothing is sent to a silent address for a while, and longer each time. */
interface Pause {
  ms: number;
  /** undefined: it is over. */
  timer: NodeJS.Timeout | undefined;
}

/** What an answer may ask for beside taking the report. */
export interface ReportAnswers {
  /** The session has been without traffic for long: told now, and its URRs may report. */
  inactive(seidLow: number, seidHigh: number): void;
  /** The peer does not know the session: it is deleted here. */
  unknownSession(seidLow: number, seidHigh: number): void;
  /** The answer has instructions (dropped packets, an updated BAR). */
  instructed(seidLow: number, seidHigh: number, response: MessageReader): void;
}

export class SessionReports {
  readonly #reader: ReportReader;
  readonly #writer = new SessionReportWriter();
  readonly #queues = new Map<bigint, Queue>();
  /** Sessions with reports and no request outstanding, in their order. */
  readonly #ready = new Set<Queue>();
  #held = 0;
  #outstanding = 0;
  #waiting = false;
  #stopped = false;
  /** Addresses that have not answered. */
  readonly #pauses = new Map<string, Pause>();

  constructor(
    private readonly engine: SessionEngine,
    private readonly peer: Peer,
    private readonly answers: ReportAnswers,
  ) {
    this.#reader = engine.watchReports(peer.owner, '', []);
    this.#pump();
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#pauses.values()) clearTimeout(timer);
    this.#reader.close();
  }

  /**
   * Usage of a session that is gone, which no request under way tells of: offered to `put`, in
   * order, and done with where that takes it. An SMF forgets the session with the answer.
   * Returns how many reports of usage are left.
   */
  takeUsage(seidLow: number, seidHigh: number, put: (event: Uint32Array) => boolean): number {
    this.#read();
    if (this.#held === 0) return 0;
    const queue = this.#queues.get((BigInt(seidHigh) << 32n) | BigInt(seidLow));
    if (queue === undefined) return 0;
    let at = queue.sent;
    while (at < queue.reports.length) {
      const { event, cursor } = queue.reports[at]!;
      if (kindOf(event) !== 'usage') at++;
      else if (put(event)) {
        queue.reports.splice(at, 1);
        this.#reader.forget(cursor);
        this.#held--;
      } else break;
    }
    if (queue.reports.length === 0) {
      this.#ready.delete(queue);
      this.#queues.delete((BigInt(seidHigh) << 32n) | BigInt(seidLow));
    }
    return queue.reports.slice(at).filter(({ event }) => kindOf(event) === 'usage').length;
  }

  /** Takes reports from the log, and sends what can be sent. */
  #pump(): void {
    this.#read();
    this.#send();
  }

  #read(): void {
    while (!this.#stopped && !this.#waiting && this.#held < HELD_MAX) {
      const reports = this.#reader.read(READ_MAX);
      for (const report of reports) this.#take(report);
      if (reports.length > 0) continue;
      this.#waiting = true;
      this.#reader.onReadable(() => {
        this.#waiting = false;
        this.#pump();
      });
    }
  }

  #take(report: Report): void {
    const kind = kindOf(report.event);
    if (kind === undefined) {
      this.#reader.forget(report.cursor);
      return;
    }
    let queue = this.#queues.get(report.seid);
    if (queue === undefined) {
      const seidLow = Number(report.seid & 0xffff_ffffn);
      const seidHigh = Number(report.seid >> 32n);
      const name = report.sessionName;
      const to = cpFSeidOf(name)?.address ?? '';
      queue = { seidLow, seidHigh, name, to, reports: [], sent: 0 };
      this.#queues.set(report.seid, queue);
    }
    queue.reports.push(report);
    if (kind === 'inactivity') this.answers.inactive(queue.seidLow, queue.seidHigh);
    this.#held++;
    if (queue.sent === 0) this.#ready.add(queue);
  }

  #send(): void {
    for (const queue of this.#ready) {
      if (this.#stopped || this.#outstanding >= OUTSTANDING_MAX) return;
      if (this.#pauses.get(queue.to)?.timer !== undefined) continue;
      this.#ready.delete(queue);
      this.#sendOne(queue);
    }
  }

  #sendOne(queue: Queue): void {
    const { engine, peer } = this;
    const writer = this.#writer;
    const place = engine.look(peer.owner, queue.seidLow, queue.seidHigh);
    // What the CP knows the session as; of one that is gone, what it knew it as.
    const name = place === null ? queue.name : nameOf(place);
    const cp = cpFSeidOf(name);
    if (cp === undefined) {
      this.#done(queue, queue.reports.length);
      return;
    }
    queue.to = cp.address;
    writer.begin(cp.low, cp.high);
    let sent = 0;
    for (const report of queue.reports) {
      if (!writer.add(kindOf(report.event)!, report.event, place)) break;
      sent++;
    }
    queue.sent = sent;
    this.#outstanding++;
    const answered: ResponseListener = (response, isElsewhere) =>
      this.#answered(queue, response, isElsewhere);
    peer.request(writer.finish(), answered, cp.address);
  }

  #answered(queue: Queue, response: MessageReader | undefined, isElsewhere: boolean): void {
    this.#outstanding--;
    const sent = queue.sent;
    queue.sent = 0;
    const causeAt = response?.find(-1, Ie.Cause) ?? -1;
    const cause = causeAt < 0 ? Cause.Accepted : response!.u8(causeAt);
    // Of a session that is served elsewhere it need not know.
    const isStranger = isElsewhere && cause === Cause.SessionNotFound;
    if (response === undefined || isStranger) {
      this.#gaveUp(queue);
      return;
    }
    clearTimeout(this.#pauses.get(queue.to)?.timer);
    this.#pauses.delete(queue.to);
    const { seidLow, seidHigh } = queue;
    if (cause === Cause.SessionNotFound) this.answers.unknownSession(seidLow, seidHigh);
    else if (hasInstructions(response)) this.answers.instructed(seidLow, seidHigh, response);
    this.#done(queue, sent);
    this.#pump();
  }

  /** The first reports of the session are done with. */
  #done(queue: Queue, count: number): void {
    for (const report of queue.reports.splice(0, count)) this.#reader.forget(report.cursor);
    this.#held -= count;
    if (queue.reports.length > 0) this.#ready.add(queue);
    else this.#queues.delete((BigInt(queue.seidHigh) << 32n) | BigInt(queue.seidLow));
  }

  /** The reports stay. */
  #gaveUp(queue: Queue): void {
    if (this.#stopped) return;
    this.#ready.add(queue);
    const pause = this.#pauses.get(queue.to) ?? { ms: RETRY_MS, timer: undefined };
    if (pause.timer !== undefined) return;
    pause.timer = setTimeout(() => {
      pause.timer = undefined;
      this.#send();
    }, pause.ms).unref();
    pause.ms = Math.min(pause.ms * 2, RETRY_MAX_MS);
    this.#pauses.set(queue.to, pause);
  }
}

function nameOf({ words, start }: RecordPlace): string {
  return refText(words, start, words[start + HEADER_NAME]!);
}

function hasInstructions(response: MessageReader): boolean {
  return response.find(-1, Ie.PfcpSrRspFlags) >= 0 || response.find(-1, Ie.UpdateBarInReport) >= 0;
}

/** undefined: nothing that an SMF is told of. */
function kindOf(event: Uint32Array): ReportKind | undefined {
  const hidden = event[EventWord.Id] === INACTIVITY_URR_ID;
  switch (event[EventWord.Kind]) {
    case EventKind.Usage:
      return hidden ? undefined : 'usage';
    case EventKind.DownlinkData:
      return 'downlink';
    case EventKind.ErrorIndication:
      return 'error';
    case EventKind.Inactivity:
      // The detection time of a URR only stops its clock.
      return hidden ? 'inactivity' : undefined;
    default:
      return undefined;
  }
}
