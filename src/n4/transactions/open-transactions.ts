/**
 * Requests of peers that are being served: found again by their key, so that a duplicate stays
 * silent, and used again when they have been answered. Thread: the control thread.
 */
import type { MessageWriter } from '../codec/message-writer.js';
import type { PeerState } from '../peers/peer-state.js';
import type { Transaction } from '../transaction.js';
import { ADDRESS_WORDS } from '../transport/address-words.js';
import { KEY_HIGH, KEY_LOW, KEY_TAG, KeyIndex } from './key-index.js';

/** Requests that may be served at one time; what comes then waits in the transport. */
export const OPEN_MAX = 4096;
/** Two units of the index: the key, and room. */
const WORDS = 4;

export interface AnswerHost {
  answer(transaction: OpenTransaction, writer: MessageWriter): boolean;
}

export class OpenTransaction implements Transaction {
  peer!: PeerState;
  messageType = 0;
  sequence = 0;
  /** Being served; after that it is nobody's. */
  open = false;
  /** It was given up unanswered: an answer that comes nevertheless is nobody's. */
  abandoned = false;
  startedMs = 0;
  /** Where the answer goes. */
  local = 0;
  family = 4;
  port = 0;
  readonly address = new Uint32Array(ADDRESS_WORDS);
  keyLow = 0;
  keyHigh = 0;
  tag = 0;

  constructor(
    readonly slot: number,
    private readonly host: AnswerHost,
  ) {}

  answer(writer: MessageWriter): boolean {
    if (this.abandoned) return true;
    if (!this.open) throw new Error('the transaction has been answered');
    return this.host.answer(this, writer);
  }
}

export class OpenTransactions {
  readonly #words = new Uint32Array(OPEN_MAX * WORDS);
  readonly #index = new KeyIndex(this.#words, OPEN_MAX * 2);
  readonly #all: OpenTransaction[] = [];
  readonly #free: OpenTransaction[] = [];

  constructor(private readonly host: AnswerHost) {}

  get count(): number {
    return this.#index.count;
  }
  get isFull(): boolean {
    return this.#index.count >= OPEN_MAX;
  }
  has(keyLow: number, keyHigh: number, tag: number): boolean {
    return this.#index.find(keyLow, keyHigh, tag) >= 0;
  }

  /** One that is free, or undefined; its fields are for the caller to fill, then {@link begin}. */
  take(): OpenTransaction | undefined {
    if (this.isFull) return undefined;
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const made = new OpenTransaction(this.#all.length, this.host);
    this.#all.push(made);
    return made;
  }

  begin(transaction: OpenTransaction): void {
    const at = transaction.slot * WORDS;
    this.#words[at + KEY_LOW] = transaction.keyLow;
    this.#words[at + KEY_HIGH] = transaction.keyHigh;
    this.#words[at + KEY_TAG] = transaction.tag;
    this.#index.enter(at / 2);
    transaction.open = true;
  }

  end(transaction: OpenTransaction): void {
    this.#index.remove((transaction.slot * WORDS) / 2);
    transaction.open = false;
    this.#free.push(transaction);
  }

  /**
   * Gives up those that have been served since before then: a defect of their handler, which
   * must not take the room of others. Their objects are never used again.
   */
  abandon(sinceMs: number, tell: (transaction: OpenTransaction) => void): void {
    for (const transaction of this.#all) {
      if (!transaction.open || transaction.startedMs > sinceMs) continue;
      tell(transaction);
      this.#index.remove((transaction.slot * WORDS) / 2);
      transaction.open = false;
      transaction.abandoned = true;
      const fresh = new OpenTransaction(transaction.slot, this.host);
      this.#all[transaction.slot] = fresh;
      this.#free.push(fresh);
    }
  }
}
