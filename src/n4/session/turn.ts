/**
 * Session requests of one peer that travel in one batch of the engine, and what their answers
 * need. The requests' IEs are copied: a request may have to be looked at again when its
 * operation is refused. Used again for the next batch. Owner: the control thread.
 */
import type { OperationBatch } from '../../session/engine.js';
import type { MessageReader } from '../codec/message-reader.js';
import type { Peer } from '../peer.js';
import type { Transaction } from '../transaction.js';

/** Requests of one batch; more begin the next one. */
export const TURN_REQUESTS_MAX = 1024;
/** Memory that a turn keeps for the next one. */
const KEPT_BYTES_MAX = 1 << 20;

export const enum Step {
  Establish = 1,
  Modify = 2,
  Delete = 3,
  /** An establishment in the place of a session. */
  Replace = 4,
}

/** What is known of an establishment from trying it before. */
export interface Attempt {
  /** How often it was tried. */
  readonly tries: number;
  /** SEIDs of sessions of its peer that have what it asks for, and give it up to it. */
  readonly conflicts: readonly bigint[];
}
export const FIRST_ATTEMPT: Attempt = { tries: 0, conflicts: [] };

/** A request by itself: it waits for another one of its session. */
export interface StoredRequest {
  readonly peer: Peer;
  readonly transaction: Transaction | null;
  readonly messageType: number;
  readonly seidLow: number;
  readonly seidHigh: number;
  readonly body: Uint8Array;
  readonly attempt: Attempt;
}

/** A copy of a request, whose octets are good but for the call. */
export function storedOf(
  peer: Peer,
  transaction: Transaction | null,
  reader: MessageReader,
  attempt = FIRST_ATTEMPT,
): StoredRequest {
  return {
    peer,
    transaction,
    attempt,
    messageType: reader.messageType,
    seidLow: reader.seidLow,
    seidHigh: reader.seidHigh,
    body: reader.bytes.slice(reader.bodyAt, reader.bodyEnd),
  };
}

export class Turn {
  batch!: OperationBatch;
  peer!: Peer;
  /** Positions of the batch that are described here. */
  count = 0;
  readonly step = new Uint8Array(TURN_REQUESTS_MAX);
  readonly transactions: (Transaction | null)[] = [];
  readonly messageType = new Uint8Array(TURN_REQUESTS_MAX);
  /** Of an establishment the CP's SEID, else the session's. */
  readonly seidLow = new Uint32Array(TURN_REQUESTS_MAX);
  readonly seidHigh = new Uint32Array(TURN_REQUESTS_MAX);
  readonly bodyAt = new Uint32Array(TURN_REQUESTS_MAX);
  readonly bodyLength = new Uint32Array(TURN_REQUESTS_MAX);
  /** What a modification's answer tells of: where its IDs begin in `told`, and how many they are. */
  readonly toldFirst = new Uint32Array(TURN_REQUESTS_MAX);
  readonly toldCount = new Uint16Array(TURN_REQUESTS_MAX);
  told = new Uint32Array(64);
  tells = 0;
  readonly attempts: Attempt[] = [];
  /** By position of an establishment: indices of the sessions that it replaces. */
  readonly replaced = new Map<number, readonly number[]>();
  bytes = new Uint8Array(4096);
  private used = 0;

  open(peer: Peer, batch: OperationBatch): void {
    this.peer = peer;
    this.batch = batch;
    this.count = 0;
    this.tells = 0;
    this.used = 0;
    if (this.bytes.length > KEPT_BYTES_MAX) this.bytes = new Uint8Array(4096);
  }

  /** Describes the operation that the batch gets next. */
  add(
    step: Step,
    transaction: Transaction | null,
    reader: MessageReader | null,
    attempt = FIRST_ATTEMPT,
  ): number {
    const position = this.count++;
    this.step[position] = step;
    this.transactions[position] = transaction;
    this.attempts[position] = attempt;
    this.toldFirst[position] = this.tells;
    this.toldCount[position] = 0;
    if (reader === null) {
      this.bodyLength[position] = 0;
      return position;
    }
    this.messageType[position] = reader.messageType;
    this.keep(position, reader.bytes, reader.bodyAt, reader.bodyEnd);
    return position;
  }

  private keep(position: number, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (this.used + length > this.bytes.length) {
      const grown = new Uint8Array((this.used + length) * 2);
      grown.set(this.bytes.subarray(0, this.used));
      this.bytes = grown;
    }
    this.bytes.set(bytes.subarray(start, end), this.used);
    this.bodyAt[position] = this.used;
    this.bodyLength[position] = length;
    this.used += length;
  }

  /** The answer to the last request tells of this PDR, or traffic endpoint (TELL_ENDPOINT). */
  tellOf(id: number): void {
    if (this.tells === this.told.length) {
      const grown = new Uint32Array(this.tells * 2);
      grown.set(this.told);
      this.told = grown;
    }
    this.told[this.tells++] = id;
    this.toldCount[this.count - 1]!++;
  }

  /** The request at a position on its own, for when the turn is over. */
  stored(position: number): StoredRequest {
    const start = this.bodyAt[position]!;
    return {
      peer: this.peer,
      transaction: this.transactions[position]!,
      messageType: this.messageType[position]!,
      seidLow: this.seidLow[position]!,
      seidHigh: this.seidHigh[position]!,
      body: this.bytes.slice(start, start + this.bodyLength[position]!),
      attempt: this.attempts[position]!,
    };
  }

  /** Forgets transactions, which serve other requests from now on, and what was tried. */
  close(): void {
    this.transactions.fill(null, 0, this.count);
    this.attempts.length = 0;
    if (this.replaced.size > 0) this.replaced.clear();
  }
}
