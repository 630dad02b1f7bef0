/**
 * Load and Overload Control Information for peers that have said that they read it. A peer is
 * sent each value once, in the next response. Source: TS 29.244 clauses 6.2.3 and 6.2.4.
 * Thread: the control thread.
 */
import * as Ie from '../codec/ie.js';
import type { MessageWriter } from '../codec/message-writer.js';
import type { PeerState } from '../peers/peer-state.js';

/** CP Function Features, octet 5. */
const FEATURE_LOAD = 1;
const FEATURE_OVRL = 2;
/** Points that the load must have moved by to be told again. */
const STEP = 5;
/** Period of validity of a reduction: five times two seconds. */
const VALIDITY = 5;
export const VALIDITY_MS = 10_000;
/** Responses that carry the information: those of sessions. */
const FIRST_SESSION_RESPONSE = 51;

export interface LoadSource {
  /** Sessions and what is under way, as a share of what may be, 0 to 1. */
  load(): number;
  /** Requests that were received, and those that were shed, since the start. */
  requests(): { readonly received: number; readonly shed: number };
}

export class LoadControl {
  load = 0;
  /** Percent of requests that peers are asked to leave out. */
  reduction = 0;
  #loadSequence: number;
  /** 0: there has been no overload. */
  #overloadSequence = 0;
  #received = 0;
  #shed = 0;
  #toldAtMs = 0;
  #shedAtMs = Number.NEGATIVE_INFINITY;

  /**
   * @param firstSequence  seconds of the wall clock: sequence numbers grow once a second at most, and a
   *   peer passes over one that is below what the last process has sent it
   */
  constructor(
    private readonly source: LoadSource,
    private readonly firstSequence: number,
  ) {
    this.#loadSequence = firstSequence;
  }

  /** Once a second. */
  tick(nowMs: number): void {
    const load = Math.min(100, Math.round(this.source.load() * 100));
    if (Math.abs(load - this.load) >= STEP || (load === 100) !== (this.load === 100)) {
      this.load = load;
      this.#loadSequence++;
    }
    const { received, shed } = this.source.requests();
    const more = shed - this.#shed;
    const asked = received - this.#received;
    this.#shed = shed;
    this.#received = received;
    if (more > 0) {
      this.#shedAtMs = nowMs;
      this.#reduce(Math.max(10, Math.round((100 * more) / Math.max(asked, more))), nowMs);
    } else if (nowMs - this.#shedAtMs > VALIDITY_MS) {
      this.#reduce(0, nowMs);
    }
  }

  /** Adds what this peer has not been told to a response that is being written. */
  append(peer: PeerState, writer: MessageWriter): void {
    if ((peer.cpFeatures & (FEATURE_LOAD | FEATURE_OVRL)) === 0) return;
    if (writer.bytes[1]! < FIRST_SESSION_RESPONSE) return;
    if ((peer.cpFeatures & FEATURE_LOAD) !== 0 && peer.loadSequence !== this.#loadSequence) {
      peer.loadSequence = this.#loadSequence;
      writer.open(Ie.LoadControlInformation);
      writer.u32(Ie.SequenceNumber, this.#loadSequence);
      writer.u8(Ie.Metric, this.load);
      writer.close();
    }
    const overload = (peer.cpFeatures & FEATURE_OVRL) !== 0;
    if (!overload || peer.overloadSequence === this.#overloadSequence) return;
    peer.overloadSequence = this.#overloadSequence;
    writer.open(Ie.OverloadControlInformation);
    writer.u32(Ie.SequenceNumber, this.#overloadSequence);
    writer.u8(Ie.Metric, this.reduction);
    writer.u8(Ie.Timer, VALIDITY);
    writer.close();
  }

  /** What was added did not go out. */
  withdraw(peer: PeerState): void {
    peer.loadSequence = 0;
    peer.overloadSequence = 0;
  }

  #reduce(percent: number, nowMs: number): void {
    const same =
      Math.abs(percent - this.reduction) < STEP && (percent === 0) === (this.reduction === 0);
    // What goes on is told again before it runs out.
    if (same && (percent === 0 || nowMs - this.#toldAtMs < VALIDITY_MS / 2)) return;
    this.reduction = percent;
    this.#toldAtMs = nowMs;
    this.#overloadSequence = Math.max(this.#overloadSequence + 1, this.firstSequence);
  }
}
