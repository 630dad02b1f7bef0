/**
 * What a session request asks of the engine: the record of the session as it is to be, the
 * options of an update, and, when the engine refuses it, what that means in PFCP.
 * Owner: the control thread; one for all requests.
 */
import type { SluiceError } from '../../base/errors.js';
import { highWord, joinWords, lowWord } from '../../base/units.js';
import { type RecordBuffer, urrCount, urrsAt } from '../../model/record.js';
import * as layout from '../../model/record-layout.js';
import type { ModelLimits } from '../../model/session-decode.js';
import type { AdvertisedAddresses } from '../../session/advertised-addresses.js';
import type { RecordPlace, SessionEngine, UpdateOptions } from '../../session/engine.js';
import * as Cause from '../codec/cause.js';
import * as Ie from '../codec/ie.js';
import { MessageReader } from '../codec/message-reader.js';
import * as Message from '../codec/message-type.js';
import { MessageWriter } from '../codec/message-writer.js';
import type { Peer } from '../peer.js';
import { ruleIdAt, SessionCompiler } from '../rules/compile.js';
import { findIe, flagsAt, numberAt } from '../rules/ie-tree.js';
import { ShadowMerger } from '../rules/merge.js';
import type { ProtectedInstances } from '../rules/protected-instances.js';
import type { RuleRefusal } from '../rules/rule-refusal.js';
import { INACTIVITY_URR_ID } from '../rules/urr-compile.js';
import { INDEX_MASK } from './busy-sessions.js';
import { CpFSeid, NAME_BYTES_MAX } from './cp-f-seid.js';
import { TELL_ENDPOINT } from './session-answers.js';
import { ShadowReader } from './shadow-reader.js';
import { Step, type StoredRequest, type Turn } from './turn.js';
import { addEndedUrrs, mayEndUrrs } from './usage/urr-ends.js';

/** PFCPSMReq-Flags. */
const DROBU = 1;
const SNDEM = 2;
const QAURR = 4;
const PLAIN: UpdateOptions = {};
const NO_IDS: readonly number[] = [];
/** An establishment in the place of a session: all or nothing. */
const AFRESH: UpdateOptions = { afresh: true, renames: true };

export interface Replacement {
  /** Of the sessions that it replaces; the first one's place it takes. */
  readonly indices: readonly number[];
  readonly options: UpdateOptions;
}

export class SessionChanges {
  /** Of the request at hand, or of the session that it changes. */
  readonly cp = new CpFSeid();
  options: UpdateOptions = PLAIN;
  private readonly compiler: SessionCompiler;
  private readonly merger: ShadowMerger;
  private readonly shadow = new ShadowReader();
  private readonly merged = new MessageReader();
  private readonly writer = new MessageWriter();

  constructor(
    private readonly engine: SessionEngine,
    limits: ModelLimits,
    private readonly advertised: AdvertisedAddresses,
    instances: ProtectedInstances = new Map(),
  ) {
    this.compiler = new SessionCompiler(limits, instances);
    this.merger = new ShadowMerger(this.compiler.refusal);
  }

  get record(): RecordBuffer {
    return this.compiler.record;
  }
  get refusal(): RuleRefusal {
    return this.compiler.refusal;
  }

  /** The session whose place the last establishment takes, that of its CP F-SEID; null: none. */
  replaced: RecordPlace | null = null;

  /** False: see `refusal`. */
  establish(peer: Peer, reader: MessageReader): boolean {
    const { compiler, cp } = this;
    compiler.refusal.clear();
    if (!cp.read(reader)) {
      return compiler.refusal.set(Cause.MandatoryIeIncorrect, Ie.FSeid, 'the CP F-SEID is bad');
    }
    const { profile, applications } = peer;
    const { name, nameStart, nameLength } = cp;
    this.replaced = this.engine.lookByName(peer.owner, name, nameStart, nameLength);
    if (!compiler.compile(reader, profile, applications, null, name, nameStart, NAME_BYTES_MAX)) {
      return false;
    }
    this.writeIdentity();
    return true;
  }

  /**
   * Whose place the establishment takes: that of the session of its CP F-SEID, else of the first
   * of those that have what it asks for. The others go, too. null: nobody's.
   */
  replacement(conflicts: readonly bigint[]): Replacement | null {
    const { replaced } = this;
    const [first] = conflicts;
    let place: bigint;
    if (replaced !== null) {
      const { words, start } = replaced;
      const high = words[start + layout.HEADER_SEID_HIGH]!;
      place = joinWords(words[start + layout.HEADER_SEID_LOW]!, high);
    } else if (first !== undefined) {
      place = first;
      const { words } = this.compiler.record;
      words[layout.HEADER_SEID_LOW] = lowWord(first);
      words[layout.HEADER_SEID_HIGH] = highWord(first);
    } else return null;
    const displaces = conflicts.filter((seid) => seid !== place);
    const indices = [place, ...displaces].map((seid) => lowWord(seid) & INDEX_MASK);
    return { indices, options: displaces.length === 0 ? AFRESH : { ...AFRESH, displaces } };
  }

  /**
   * The session at `place` as the request makes it; false: see `refusal`.
   * @param inside  no request: a change of our own, which asks for the usage of a session without traffic.
   */
  modify(peer: Peer, place: RecordPlace, request: MessageReader, inside = false): boolean {
    const { compiler, merger, cp, shadow, merged } = this;
    const { words, start } = place;
    compiler.refusal.clear();
    if (!shadow.read(place)) return this.unreadable();
    dropBadFSeid(request, cp);
    cp.seidLow = words[start + layout.HEADER_CP_SEID_LOW]!;
    cp.seidHigh = words[start + layout.HEADER_CP_SEID_HIGH]!;
    if (!merger.merge(shadow.reader, request)) return false;
    if (!this.readOptions(request, place)) return false;
    const type = Message.SessionEstablishmentRequest;
    if (!merged.readBody(type, merger.bytes, 0, merger.length)) {
      const { cause, offendingIe } = merged;
      return compiler.refusal.set(cause, offendingIe, 'the session lacks what it needs');
    }
    if (!cp.read(merged)) return this.unreadable();
    const { renewed, renewedCount } = merger;
    const old = { words, start, shadow: shadow.reader, renewed, renewedCount };
    const { profile, applications } = peer;
    // The name follows the CP F-SEID; without one, the engine takes that of the version before.
    const end = this.options.renames === true ? NAME_BYTES_MAX : cp.nameStart;
    if (!compiler.compile(merged, profile, applications, old, cp.name, cp.nameStart, end)) {
      return false;
    }
    const record = compiler.record.words;
    record[layout.HEADER_SEID_LOW] = words[start + layout.HEADER_SEID_LOW]!;
    record[layout.HEADER_SEID_HIGH] = words[start + layout.HEADER_SEID_HIGH]!;
    this.writeIdentity();
    if (inside && this.options.queryUrrIds !== undefined) {
      this.options = { ...this.options, inactive: true };
    }
    this.noteEnds(place, request);
    return true;
  }

  /** What a URR has counted is told when it ends, though one of its ID stays. */
  private noteEnds(place: RecordPlace, request: MessageReader): void {
    const { recreated } = this.merger;
    if (recreated.length === 0 && !mayEndUrrs(request)) return;
    const endedUrrIds = [...recreated];
    addEndedUrrs(endedUrrIds, place, { words: this.record.words, start: 0 });
    if (endedUrrIds.length > 0) this.options = { ...this.options, endedUrrIds };
  }

  private writeIdentity(): void {
    const { words } = this.compiler.record;
    words[layout.HEADER_CP_SEID_LOW] = this.cp.seidLow;
    words[layout.HEADER_CP_SEID_HIGH] = this.cp.seidHigh;
    this.advertised.toLocal(words);
  }

  private unreadable(): false {
    return this.refusal.set(Cause.SystemFailure, 0, 'the session has no readable shadow');
  }

  private readOptions(request: MessageReader, place: RecordPlace): boolean {
    const flagsIe = findIe(request, -1, Ie.PfcpSmReqFlags);
    const dropsIe = findIe(request, -1, Ie.PfcpSrRspFlags);
    const flags = flagsIe < 0 ? 0 : flagsAt(request, flagsIe, 1);
    const drops = dropsIe < 0 ? 0 : flagsAt(request, dropsIe, 1);
    const queries = this.readQueries(request, place, (flags & QAURR) !== 0);
    if (queries === null) return false;
    const sendEndMarkers = (flags & SNDEM) !== 0 || marksEnd(request);
    const dropBuffered = ((flags | drops) & DROBU) !== 0;
    const renames = findIe(request, -1, Ie.FSeid) >= 0;
    const plain = !sendEndMarkers && !dropBuffered && !renames && queries.length === 0;
    const queryUrrIds = queries;
    this.options = plain ? PLAIN : { sendEndMarkers, dropBuffered, renames, queryUrrIds };
    const referenceIe = queries.length === 0 ? -1 : findIe(request, -1, Ie.QueryUrrReference);
    if (referenceIe >= 0) {
      this.options = { ...this.options, queryReference: numberAt(request, referenceIe, 4) };
    }
    return true;
  }

  /** IDs of URRs to report; null: refused. */
  private readQueries(
    request: MessageReader,
    place: RecordPlace,
    all: boolean,
  ): readonly number[] | null {
    const { words, start } = place;
    const first = urrsAt(words, start);
    const end = first + urrCount(words, start) * layout.URR_WORDS;
    if (all) return allUrrs(words, first, end);
    let ids = NO_IDS;
    for (let ie = 0; ie < request.count; ie = request.ieEnd[ie]!) {
      if (request.ieType[ie] !== Ie.QueryUrr) continue;
      const idAt = findIe(request, ie, Ie.UrrId);
      const id = idAt < 0 ? 0 : numberAt(request, idAt, 4);
      let at = first;
      while (at < end && words[at] !== id) at += layout.URR_WORDS;
      if (at >= end) {
        const table = layout.TABLE_URR;
        this.refusal.set(Cause.RuleFailure, Ie.UrrId, 'the session has no such URR', table, id);
        return null;
      }
      ids = [...ids, id];
    }
    return ids;
  }

  /** Body of a request that asks for the usage of all URRs with UPINT; empty: there are none. */
  inactivityQuery({ words, start }: RecordPlace): Uint8Array {
    const { writer } = this;
    writer.beginBody();
    const end = urrsAt(words, start) + urrCount(words, start) * layout.URR_WORDS;
    for (let at = urrsAt(words, start); at < end; at += layout.URR_WORDS) {
      if ((words[at + layout.URR_FLAGS]! & layout.URR_REPORT_INACTIVITY) === 0) continue;
      writer.open(Ie.QueryUrr);
      writer.u32(Ie.UrrId, words[at]!);
      writer.close();
    }
    return writer.bytes.slice(0, writer.length);
  }

  /** Has the answer to a modification tell of what is new, or has another place. */
  tell(request: MessageReader, turn: Turn): void {
    for (let ie = 0; ie < request.count; ie = request.ieEnd[ie]!) {
      const type = request.ieType[ie]!;
      if (type === Ie.CreatePdr || (type === Ie.UpdatePdr && findIe(request, ie, Ie.Pdi) >= 0)) {
        turn.tellOf(numberAt(request, findIe(request, ie, Ie.PdrId), 2));
      } else if (type === Ie.CreateTrafficEndpoint || type === Ie.UpdateTrafficEndpoint) {
        const asks = findIe(request, ie, Ie.FTeid) >= 0 || findIe(request, ie, Ie.UeIpAddress) >= 0;
        if (!asks) continue;
        const id = numberAt(request, findIe(request, ie, Ie.TrafficEndpointId), 1);
        turn.tellOf(TELL_ENDPOINT | id);
      }
    }
  }

  /** Into `refusal` and `cp`: what the engine's error means to the peer. */
  explain(one: StoredRequest, reader: MessageReader, step: Step, error: SluiceError): void {
    const { refusal, record } = this;
    const rules = step !== Step.Delete && error.field.startsWith('session.');
    // The record that was refused is made once more: the rules at fault are those of its tables.
    const place = this.engine.look(one.peer.owner, one.seidLow, one.seidHigh);
    let made = false;
    const establishes = step === Step.Establish || step === Step.Replace;
    if (establishes) made = this.establish(one.peer, reader);
    else if (place !== null && step === Step.Modify) {
      made = this.modify(one.peer, place, reader, one.transaction === null);
    }
    refusal.clear();
    // The name is made of the CP F-SEID.
    if (error.field === 'session.name') {
      refusal.set(Cause.MandatoryIeIncorrect, Ie.FSeid, 'another session has this CP F-SEID');
    } else if (made && rules) {
      refusal.take(error.code, error.field, error.message, error.pfcpCause, (table, index) =>
        ruleIdAt(record, table, index),
      );
    } else refusal.set(error.pfcpCause, 0, error.message);
  }
}

function allUrrs(words: Uint32Array, first: number, end: number): readonly number[] {
  const ids: number[] = [];
  for (let at = first; at < end; at += layout.URR_WORDS) {
    if (words[at] !== INACTIVITY_URR_ID) ids.push(words[at]!);
  }
  return ids;
}

/** A bad optional IE counts as absent, as the reader has it for those that are too short. */
function dropBadFSeid(request: MessageReader, cp: CpFSeid): void {
  const ie = findIe(request, -1, Ie.FSeid);
  if (ie >= 0 && !cp.read(request)) request.ieType[ie] = 0;
}

/** SNDEM stands with the forwarding parameters that it is for, too. */
function marksEnd(request: MessageReader): boolean {
  for (let ie = 0; ie < request.count; ie = request.ieEnd[ie]!) {
    if (request.ieType[ie] !== Ie.UpdateFar) continue;
    const parameters = findIe(request, ie, Ie.UpdateForwardingParameters);
    const flags = parameters < 0 ? -1 : findIe(request, parameters, Ie.PfcpSmReqFlags);
    if (flags >= 0 && (flagsAt(request, flags, 1) & SNDEM) !== 0) return true;
  }
  return false;
}
