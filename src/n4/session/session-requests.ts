/**
 * PFCP sessions on the session engine: requests of one turn of the event loop travel in one
 * batch a peer, and are answered when the engine has done them. Requests on one session are
 * served in their order; those of different sessions don't wait for each other.
 *
 * Owner: the control thread. Start at {@link SessionRequests.handle}; what a request asks for
 * is worked out in session-changes.ts, what is answered in session-answers.ts.
 */
import { SluiceError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { highWord, lowWord } from '../../base/units.js';
import { EVENT_WORDS } from '../../datapath/datapath.js';
import type { ModelLimits } from '../../model/session-decode.js';
import { AdvertisedAddresses, type AdvertisingPort } from '../../session/advertised-addresses.js';
import type { OperationBatch, SessionEngine } from '../../session/engine.js';
import * as Cause from '../codec/cause.js';
import { MessageReader } from '../codec/message-reader.js';
import * as Message from '../codec/message-type.js';
import type { NodeIdentity } from '../node/node-identity.js';
import type { Peer } from '../peer.js';
import type { PeerAddress } from '../peers/peer-address.js';
import { RefusalLog } from '../refusal-log.js';
import type { ProtectedInstances } from '../rules/protected-instances.js';
import type { SessionHandlers } from '../session-handlers.js';
import type { Transaction } from '../transaction.js';
import { BusySessions, INDEX_MASK } from './busy-sessions.js';
import { SessionAnswers } from './session-answers.js';
import { type Replacement, SessionChanges } from './session-changes.js';
import { SessionReports } from './session-reports.js';
import { SessionSweep } from './session-sweep.js';
import {
  type Attempt,
  FIRST_ATTEMPT,
  Step,
  type StoredRequest,
  storedOf,
  TURN_REQUESTS_MAX,
  Turn,
} from './turn.js';
import { UnderWay } from './under-way.js';

export interface SessionRequestsOptions {
  readonly engine: SessionEngine;
  readonly limits: ModelLimits;
  readonly identity: NodeIdentity;
  /** Those that advertise other addresses than they have. */
  readonly ports: readonly AdvertisingPort[];
  /** Absent: none. */
  readonly protectedInstances?: ProtectedInstances;
  readonly log: Log;
}

const TURNS_IDLE_MAX = 64;
/** An establishment makes room for itself by replacing that many sessions, less one. */
const TRIES_MAX = 4;
const NO_BODY = new Uint8Array(0);

export class SessionRequests implements SessionHandlers {
  readonly #engine: SessionEngine;
  readonly #changes: SessionChanges;
  readonly #answers: SessionAnswers;
  readonly #sweep: SessionSweep;
  /** Of peers whose reports are sent. */
  readonly #reports = new Map<Peer, SessionReports>();
  readonly #log: Log;
  readonly #refusals: RefusalLog;
  /** Batches that this turn of the event loop fills. */
  readonly #open = new Map<Peer, Turn>();
  readonly #idle: Turn[] = [];
  #submitScheduled = false;
  readonly #busy = new BusySessions();
  readonly #reader = new MessageReader();
  readonly #underWay: UnderWay;

  constructor(options: SessionRequestsOptions) {
    this.#engine = options.engine;
    this.#underWay = new UnderWay(options.engine);
    this.#log = options.log;
    this.#refusals = new RefusalLog(options.log);
    const advertised = new AdvertisedAddresses(options.ports);
    const { limits, protectedInstances } = options;
    this.#changes = new SessionChanges(this.#engine, limits, advertised, protectedInstances);
    this.#answers = new SessionAnswers(options.identity, advertised);
    this.#sweep = new SessionSweep(options.engine);
  }

  handle(transaction: Transaction, reader: MessageReader): void {
    try {
      this.#admit(transaction, reader);
    } catch (error) {
      // The engine takes no more operations: the node is shutting down.
      const { pfcpCause, message } = SluiceError.of(error);
      this.#changes.refusal.clear();
      this.#changes.refusal.set(pfcpCause, 0, message);
      this.#refuse(transaction, 0, 0);
    }
  }

  #admit(transaction: Transaction, reader: MessageReader): void {
    const { peer } = transaction;
    if (reader.messageType === Message.SessionEstablishmentRequest) {
      this.#establish(peer, transaction, reader, FIRST_ATTEMPT);
      return;
    }
    const key = reader.seidLow & INDEX_MASK;
    if (this.#busy.has(key)) this.#busy.wait(key, storedOf(peer, transaction, reader));
    else if (this.#start(peer, transaction, reader)) this.#busy.begin(key);
  }

  async divide(peer: Peer): Promise<number> {
    // What is on its way in would be made later.
    await this.#underWay.whenIdle(peer);
    return this.#engine.creation.divide();
  }
  deleteAll(peer: Peer, before: number, retained?: readonly PeerAddress[]): Promise<number> {
    return this.#sweep.all(peer.owner, before, retained);
  }
  hasSessions(peer: Peer): boolean {
    return this.#sweep.any(peer);
  }
  deleteSets(peer: Peer, reader: MessageReader): Promise<number> {
    return this.#sweep.sets(peer.owner, reader);
  }

  applicationsChanged(peer: Peer): void {
    const again = (low: number, high: number) =>
      this.#inside(peer, Message.SessionModificationRequest, low, high);
    this.#sweep.withApplications(peer.owner, again).catch((error: unknown) => {
      this.#log.error({ err: error }, 'sessions keep the PFDs that they had');
    });
  }

  startReports(peer: Peer): { stop(): void } {
    const reports = new SessionReports(this.#engine, peer, {
      inactive: (low, high) => this.#reportInactive(peer, low, high),
      unknownSession: (low, high) => this.#inside(peer, Message.SessionDeletionRequest, low, high),
      instructed: (low, high, response) => {
        const body = response.bytes.slice(response.bodyAt, response.bodyEnd);
        this.#inside(peer, Message.SessionReportResponse, low, high, body);
      },
    });
    this.#reports.set(peer, reports);
    const stop = (): void => {
      reports.stop();
      if (this.#reports.get(peer) === reports) this.#reports.delete(peer);
    };
    return { stop };
  }

  /** Usage of the session's URRs that are to report when it has no traffic (UPINT). */
  #reportInactive(peer: Peer, seidLow: number, seidHigh: number): void {
    const place = this.#engine.look(peer.owner, seidLow, seidHigh);
    const body: Uint8Array = place === null ? NO_BODY : this.#changes.inactivityQuery(place);
    if (body.length === 0) return;
    this.#inside(peer, Message.SessionModificationRequest, seidLow, seidHigh, body);
  }

  /** A change that no request asks for, in its turn like one. */
  #inside(
    peer: Peer,
    messageType: number,
    seidLow: number,
    seidHigh: number,
    body: Uint8Array = NO_BODY,
  ): void {
    const one = {
      peer,
      transaction: null,
      messageType,
      seidLow,
      seidHigh,
      body,
      attempt: FIRST_ATTEMPT,
    };
    const key = seidLow & INDEX_MASK;
    if (this.#busy.has(key)) this.#busy.wait(key, one);
    else if (this.#start(peer, null, this.#read(one))) this.#busy.begin(key);
  }

  /**
   * @param held  index of a session that is the request's to replace, -1: none.
   * @return whether it does that.
   */
  #establish(
    peer: Peer,
    transaction: Transaction | null,
    reader: MessageReader,
    attempt: Attempt,
    held = -1,
  ): boolean {
    const changes = this.#changes;
    const { cp } = changes;
    if (!changes.establish(peer, reader)) {
      this.#refuse(transaction, cp.seidLow, cp.seidHigh);
      return false;
    }
    const replacement = changes.replacement(attempt.conflicts);
    if (replacement !== null) {
      const { indices } = replacement;
      const busy = indices.find((index) => index !== held && this.#busy.has(index));
      if (busy === undefined) this.#replace(peer, transaction, reader, attempt, replacement);
      else this.#busy.wait(busy, storedOf(peer, transaction, reader, attempt));
      return busy === undefined && indices.includes(held);
    }
    const turn = this.#turn(peer);
    const position = turn.add(Step.Establish, transaction, reader, attempt);
    turn.seidLow[position] = cp.seidLow;
    turn.seidHigh[position] = cp.seidHigh;
    turn.batch.create(changes.record);
    return false;
  }

  /** The record at hand takes the place of sessions, or changes nothing. */
  #replace(
    peer: Peer,
    transaction: Transaction | null,
    reader: MessageReader,
    attempt: Attempt,
    { indices, options }: Replacement,
  ): void {
    for (const index of indices) if (!this.#busy.has(index)) this.#busy.begin(index);
    const turn = this.#turn(peer);
    const position = turn.add(Step.Replace, transaction, reader, attempt);
    turn.replaced.set(position, indices);
    turn.batch.update(this.#changes.record, options);
  }

  /** A request on a session that none is under way on. False: it is answered already. */
  #start(peer: Peer, transaction: Transaction | null, reader: MessageReader): boolean {
    const { seidLow, seidHigh } = reader;
    const place = this.#engine.look(peer.owner, seidLow, seidHigh);
    if (place === null) {
      this.#changes.refusal.clear();
      this.#changes.refusal.set(Cause.SessionNotFound, 0, 'there is no such session');
      this.#refuse(transaction, 0, 0);
      return false;
    }
    const changes = this.#changes;
    const deletes = reader.messageType === Message.SessionDeletionRequest;
    if (!deletes && !changes.modify(peer, place, reader, transaction === null)) {
      this.#refuse(transaction, changes.cp.seidLow, changes.cp.seidHigh);
      return false;
    }
    const turn = this.#turn(peer);
    const position = turn.add(deletes ? Step.Delete : Step.Modify, transaction, reader);
    turn.seidLow[position] = seidLow;
    turn.seidHigh[position] = seidHigh;
    if (deletes) turn.batch.deleteBySeid(seidLow, seidHigh);
    else {
      changes.tell(reader, turn);
      turn.batch.update(changes.record, changes.options);
    }
    return true;
  }

  /** The peer's batch of this turn. */
  #turn(peer: Peer): Turn {
    let turn = this.#open.get(peer);
    if (turn !== undefined && turn.count < TURN_REQUESTS_MAX) return turn;
    turn?.batch.submit();
    turn = this.#take(peer);
    this.#open.set(peer, turn);
    if (!this.#submitScheduled) {
      this.#submitScheduled = true;
      queueMicrotask(() => this.#submit());
    }
    return turn;
  }

  #take(peer: Peer): Turn {
    const turn = this.#idle.pop() ?? new Turn();
    turn.open(
      peer,
      this.#underWay.openBatch(peer, (batch) => this.#finish(turn, batch)),
    );
    return turn;
  }

  #submit(): void {
    this.#submitScheduled = false;
    for (const turn of this.#open.values()) turn.batch.submit();
    this.#open.clear();
  }

  #finish(turn: Turn, batch: OperationBatch): void {
    for (let position = 0; position < turn.count; position++) {
      const step = turn.step[position]! as Step;
      const error = batch.error(position);
      if (error === undefined) this.#answer(turn, batch, position, step);
      else this.#fail(turn, position, step, error);
      for (const index of turn.replaced.get(position) ?? []) this.#goOn(index);
      const changes = step === Step.Modify || step === Step.Delete;
      if (changes) this.#goOn(turn.seidLow[position]! & INDEX_MASK);
    }
    turn.close();
    if (this.#idle.length < TURNS_IDLE_MAX) this.#idle.push(turn);
  }

  #answer(turn: Turn, batch: OperationBatch, position: number, step: Step): void {
    const transaction = turn.transactions[position] ?? null;
    const place = batch.recordAt(position);
    if (step === Step.Establish || step === Step.Replace) {
      if (transaction !== null) this.#answers.established(transaction, place);
      return;
    }
    const usage = batch.usage(position);
    let told = 0;
    if (transaction !== null && step === Step.Delete) {
      const reports = this.#reports.get(turn.peer);
      const [low, high] = [turn.seidLow[position]!, turn.seidHigh[position]!];
      const queued = (put: (event: Uint32Array) => boolean) =>
        reports?.takeUsage(low, high, put) ?? 0;
      told = this.#answers.deleted(transaction, place, queued, usage);
    } else if (transaction !== null) {
      const first = turn.toldFirst[position]!;
      const ids = turn.told.subarray(first, first + turn.toldCount[position]!);
      told = this.#answers.modified(transaction, place, ids, usage);
    }
    // Usage that found no room, or has no answer to be in, follows in session reports.
    const asked = transaction !== null || step === Step.Modify;
    if (asked && told * EVENT_WORDS < usage.length) batch.leaveUsage(position, told);
  }

  /** The request that waits for the session longest has its turn. */
  #goOn(key: number): void {
    for (let one = this.#busy.next(key); one !== undefined; one = this.#busy.next(key)) {
      const { peer, transaction, attempt } = one;
      const reader = this.#read(one);
      const establishes = one.messageType === Message.SessionEstablishmentRequest;
      const goesOn = establishes
        ? this.#establish(peer, transaction, reader, attempt, key)
        : this.#start(peer, transaction, reader);
      if (goesOn) return;
    }
    this.#busy.end(key);
  }

  #read(one: StoredRequest): MessageReader {
    const reader = this.#reader;
    reader.readBody(one.messageType, one.body, 0, one.body.length);
    reader.seidLow = one.seidLow;
    reader.seidHigh = one.seidHigh;
    return reader;
  }

  /** The engine refused: in the words of PFCP, with the rule's ID. */
  #fail(turn: Turn, position: number, step: Step, error: SluiceError): void {
    const changes = this.#changes;
    const one = turn.stored(position);
    // Of its past a peer may meet any number of sessions, for as long as there are some.
    const tries = one.attempt.tries + (one.peer.givenUpBefore > 0 ? 0 : 1);
    const establishes = step === Step.Establish || step === Step.Replace;
    if (establishes && tries < TRIES_MAX) {
      const conflicts = this.#conflictsOf(one, step, error);
      if (conflicts !== null) {
        this.#establish(one.peer, one.transaction, this.#read(one), { tries, conflicts });
        return;
      }
    }
    changes.explain(one, this.#read(one), step, error);
    const { cp } = changes;
    const known = error.code !== 'not_found';
    this.#refuse(one.transaction, known ? cp.seidLow : 0, known ? cp.seidHigh : 0);
  }

  /**
   * Sessions that an establishment is tried again with, in whose place it comes; null: it is not.
   * One of the same peer that has the UE's address goes, since the peer that gave it twice has
   * given up the older one. Of those from before the peer's restart that holds for TEIDs, too.
   */
  #conflictsOf(one: StoredRequest, step: Step, error: SluiceError): readonly bigint[] | null {
    const { peer, attempt } = one;
    const { conflicts } = attempt;
    // A session whose place it was to take is gone: which are in its way is found anew.
    if (step === Step.Replace && error.code === 'not_found') return [];
    if (error.code !== 'already_exists') return null;
    const { holder: seid } = error;
    const [low, high] = [lowWord(seid), highWord(seid)];
    const holder = this.#engine.look('', low, high);
    const past = holder !== null && this.#sweep.isOfPast(peer, holder);
    if (!past && error.field.includes('.local_f_teid')) return null;
    // It is on its way in, or out: whichever it is, it is done by one of the next rounds.
    if (holder === null) return conflicts;
    const isOthers = this.#engine.look(peer.owner, low, high) === null;
    return isOthers || conflicts.includes(seid) ? null : [...conflicts, seid];
  }

  #refuse(transaction: Transaction | null, cpLow: number, cpHigh: number): void {
    if (transaction === null) return;
    const { refusal } = this.#changes;
    const { cause, offendingIe, message } = refusal;
    const { peer, messageType } = transaction;
    this.#refusals.note(peer.nodeId, messageType, cause, offendingIe, message);
    this.#answers.refused(transaction, refusal, cpLow, cpHigh);
  }
}
