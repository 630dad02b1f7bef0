/**
 * An SMF of the simulation: sends at random, retransmits until it is answered, and knows what
 * it has been told. What it is told that can't be is a {@link Violation}.
 */
import * as Cause from '../../src/n4/codec/cause.js';
import * as Message from '../../src/n4/codec/message-type.js';
import type { FakeSmf, Received } from '../../src/n4/endpoint.fixture.js';

const T1_MS = 1000;
const TRIES_MAX = 7;
/** Longer than anything is under way: what comes then is of the new era. */
const QUIET_MS = 700;
const SESSIONS_MAX = 40;
const OUTSTANDING_MAX = 12;
const FIRST_SESSION_MESSAGE = Message.SessionEstablishmentRequest;
/** PFCP Session Retention Information: of all sessions. PFCPASRsp-Flags: they are. */
const RETAIN_ALL = '00b70000';
const RETAINED = /00b8000101/;

/** Something that must not happen. */
export class Violation extends Error {}

interface Outstanding {
  readonly type: number;
  readonly bytes: Uint8Array;
  readonly cpSeid: number;
  readonly upSeid: number;
  /** How often the node had been killed when it was sent first. */
  readonly kills: number;
  sentAtMs: number;
  tries: number;
}

export interface World {
  readonly nowMs: number;
  readonly kills: number;
  random(below: number): number;
}

export class SmfModel {
  associated = false;
  /** CP SEID → SEID of the node. */
  readonly sessions = new Map<number, number>();
  /** CP SEIDs of requests that were given up: the node may have done them or not. */
  readonly uncertain = new Set<number>();
  readonly outstanding = new Map<number, Outstanding>();
  heartbeatsAnswered = 0;
  requests = 0;
  /** When the heartbeat was sent that is not answered yet; -1: none. */
  heartbeatSentAtMs = -1;
  /** Recovery Time Stamp of the node that it is associated with, in hex digits. */
  upfStamp = '';
  /** It has restarted, and still knows its sessions: it is to ask for them. */
  #asksForSessions = false;
  #quietUntilMs = 0;
  #lastSentAtMs = 0;
  /** First answers by sequence number: duplicates have to be the same. */
  readonly #answers = new Map<number, string>();

  constructor(
    readonly smf: FakeSmf,
    private readonly world: World,
  ) {}

  /** Does one thing, if it is not waiting. */
  act(): void {
    const { world, smf } = this;
    if (world.nowMs < this.#quietUntilMs || this.outstanding.size >= OUTSTANDING_MAX) return;
    // What becomes of sessions is not known before the node has answered.
    if ([...this.outstanding.values()].some(({ type }) => type < FIRST_SESSION_MESSAGE)) return;
    const isIdle = this.outstanding.size === 0 && world.nowMs - this.#lastSentAtMs > QUIET_MS;
    const dice = world.random(1000);
    if (dice < 2) this.restart();
    else if (dice < 4) this.#restartWithSessions();
    else if (dice < 30 && this.heartbeatSentAtMs < 0) this.#heartbeat();
    else if (!this.associated) {
      const more = this.#asksForSessions ? RETAIN_ALL : '';
      if (this.outstanding.size === 0) this.#note(smf.setUp(0, more));
    } else if (dice < 34 && isIdle) this.#note(smf.setUp());
    else if (dice < 37 && isIdle) this.#note(smf.release());
    else if (dice < 500 && this.sessions.size < SESSIONS_MAX) {
      const bytes = smf.establish();
      this.#note(bytes, smf.cpSeid);
    } else this.#changeOne(dice < 750);
  }

  /** Everything is forgotten but who it is; numbers begin anew. */
  restart(): void {
    this.sessions.clear();
    this.uncertain.clear();
    this.upfStamp = '';
    this.smf.cpSeid = 0;
    this.#beginAnew();
    this.#asksForSessions = false;
  }

  /** Sessions are kept elsewhere, but not what it was doing with them. */
  #restartWithSessions(): void {
    for (const [sequence, request] of this.outstanding) this.#giveUp(sequence, request);
    this.#beginAnew();
    // One that has lost them, and has not set up since, has none to ask for.
    this.#asksForSessions = this.upfStamp !== '';
  }

  #beginAnew(): void {
    const { smf, world } = this;
    this.associated = false;
    this.outstanding.clear();
    this.#answers.clear();
    smf.stamp++;
    smf.sequence = 0;
    this.#quietUntilMs = world.nowMs + QUIET_MS;
  }

  /** Reads what came, and sends again what has waited too long. */
  tick(): void {
    const { smf, world } = this;
    for (const one of smf.received.splice(0)) this.#take(one);
    for (const [sequence, request] of this.outstanding) {
      if (world.nowMs - request.sentAtMs < T1_MS) continue;
      if (request.tries >= TRIES_MAX) this.#giveUp(sequence, request);
      else {
        request.tries++;
        request.sentAtMs = world.nowMs;
        this.#lastSentAtMs = world.nowMs;
        smf.repeat(request.bytes);
      }
    }
  }

  #heartbeat(): void {
    this.smf.heartbeat();
    this.heartbeatSentAtMs = this.world.nowMs;
  }

  #changeOne(isModification: boolean): void {
    const busy = new Set([...this.outstanding.values()].map(({ upSeid }) => upSeid));
    const free = [...this.sessions].filter(([, up]) => !busy.has(up));
    const [cpSeid, up] = free[this.world.random(Math.max(1, free.length))] ?? [0, 0];
    if (up === 0) return;
    this.#note(isModification ? this.smf.modify(up) : this.smf.delete(up), cpSeid, up);
  }

  #note(bytes: Uint8Array, cpSeid = 0, upSeid = 0): void {
    const { nowMs, kills } = this.world;
    this.requests++;
    this.#lastSentAtMs = nowMs;
    this.outstanding.set(this.smf.sequence, {
      ...{ bytes, cpSeid, upSeid, kills, sentAtMs: nowMs, tries: 1 },
      type: bytes[1]!,
    });
  }

  #take(one: Received): void {
    if (one.type === Message.HeartbeatRequest) return;
    if (one.type === Message.HeartbeatResponse) {
      this.heartbeatsAnswered++;
      this.heartbeatSentAtMs = -1;
      return;
    }
    const request = this.outstanding.get(one.sequence);
    if (request === undefined) {
      this.#compare(one);
      return;
    }
    if (request.type !== one.type - 1) throw this.#violation(`an answer of type ${one.type}`, one);
    this.outstanding.delete(one.sequence);
    // A refusal for want of an association is kept by nobody.
    if (one.cause !== Cause.NoEstablishedAssociation) this.#answers.set(one.sequence, one.hex);
    this.#answered(request, one);
  }

  #compare(one: Received): void {
    const first = this.#answers.get(one.sequence);
    if (first === undefined || one.cause === Cause.NoEstablishedAssociation) return;
    // After a kill nobody knows the first answer any more: the request was served again.
    if (first !== one.hex && this.world.kills === 0) {
      throw this.#violation(`a duplicate was answered otherwise than ${first}`, one);
    }
  }

  #answered(request: Outstanding, one: Received): void {
    const { cpSeid } = request;
    const isMissing = one.cause === Cause.NoEstablishedAssociation;
    if (isMissing && one.type > Message.SessionSetDeletionResponse) {
      this.associated = false;
      // A late copy of what was refused would be served behind a new set-up.
      this.#quietUntilMs = this.world.nowMs + QUIET_MS;
      return;
    }
    switch (one.type) {
      case Message.AssociationSetupResponse:
        this.#isSetUp(one);
        return;
      case Message.AssociationReleaseResponse:
        this.associated = false;
        this.sessions.clear();
        this.uncertain.clear();
        this.#quietUntilMs = this.world.nowMs + QUIET_MS;
        return;
      case Message.SessionEstablishmentResponse:
        if (one.cause === Cause.Accepted) this.sessions.set(cpSeid, upSeidOf(one.hex));
        else if (one.cause !== Cause.NoResources) throw this.#violation('refused', one);
        return;
      case Message.SessionModificationResponse:
        if (one.cause !== Cause.Accepted && !this.#isExcused(request)) {
          throw this.#violation('a session was lost', one);
        }
        return;
      default:
        if (one.cause !== Cause.Accepted && !this.#isExcused(request)) {
          throw this.#violation('a session was lost', one);
        }
        this.sessions.delete(cpSeid);
    }
  }

  /** The node was killed since: the request may have been served in an earlier life. */
  #isExcused(request: Outstanding): boolean {
    return request.kills !== this.world.kills;
  }

  #isSetUp(one: Received): void {
    if (one.cause !== Cause.Accepted) throw this.#violation('no association', one);
    this.associated = true;
    const stamp = /00600004(.{8})/.exec(one.hex)?.[1] ?? '';
    const isGone = this.#asksForSessions && !RETAINED.test(one.hex);
    this.#asksForSessions = false;
    if (isGone || stamp !== this.upfStamp) {
      this.sessions.clear();
      this.uncertain.clear();
    }
    this.upfStamp = stamp;
  }

  #giveUp(sequence: number, { type, cpSeid }: Outstanding): void {
    this.outstanding.delete(sequence);
    if (type === Message.SessionEstablishmentRequest) this.uncertain.add(cpSeid);
    else if (type === Message.SessionDeletionRequest) {
      this.uncertain.add(cpSeid);
      this.sessions.delete(cpSeid);
    } else if (type === Message.AssociationReleaseRequest) this.restart();
  }

  #violation(what: string, one: Received): Violation {
    return new Violation(`${this.smf.nodeId}: ${what}: ${one.hex}`);
  }
}

/** SEID in the F-SEID of an establishment's answer, its low word. */
function upSeidOf(hex: string): number {
  return Number.parseInt(/0039000d02.{8}(.{8})/.exec(hex)?.[1] ?? '0', 16);
}
