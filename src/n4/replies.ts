/**
 * Answers to requests: sent to where the request came from, kept for duplicates, counted, and
 * told of in the log when they took long. Thread: the control thread.
 */
import type { Log } from '../base/log.js';
import * as Ie from './codec/ie.js';
import type { MessageWriter } from './codec/message-writer.js';
import { messageOf } from './codec/table/table.js';
import type { LoadControl } from './node/load-control.js';
import type { Scheduler } from './scheduler.js';
import type { N4Counters } from './statistics.js';
import {
  type AnswerHost,
  type OpenTransaction,
  OpenTransactions,
} from './transactions/open-transactions.js';
import { ReplyCache } from './transactions/reply-cache.js';
import type { RequestKey } from './transactions/request-key.js';
import {
  type DatagramTransport,
  WORD_ADDRESS,
  WORD_FAMILY,
  WORD_LOCAL,
  WORD_PORT,
} from './transport/transport.js';

/** Lines of the slow-transaction log in a second. */
const SLOW_LINES_PER_SECOND = 10;
/** No request takes as long: giving up a million sessions takes a minute. */
const SERVED_MAX_MS = 300_000;

export interface RepliesParts {
  readonly transport: DatagramTransport;
  readonly scheduler: Scheduler;
  readonly counters: N4Counters;
  readonly load: Pick<LoadControl, 'append' | 'withdraw'>;
  readonly log: Log;
  readonly slowMs: number;
  readonly replyCacheBytes: number;
  /** Time that a request took, in milliseconds. */
  readonly measure: (messageType: number, ms: number) => void;
  /** One less is being served. */
  readonly answered: () => void;
}

export class Replies implements AnswerHost {
  readonly open = new OpenTransactions(this);
  readonly cache: ReplyCache;
  #slowLines = 0;
  #flushScheduled = false;

  constructor(private readonly parts: RepliesParts) {
    this.cache = new ReplyCache(parts.replyCacheBytes);
  }

  answer(transaction: OpenTransaction, writer: MessageWriter): boolean {
    const { transport, scheduler, load } = this.parts;
    const { peer } = transaction;
    if (writer.overflowed) return false;
    const { length } = writer;
    load.append(peer, writer);
    if (writer.overflowed) {
      // What came with it waits for a shorter answer.
      load.withdraw(peer);
      writer.overflowed = false;
      writer.length = length;
    }
    if (!writer.finish(transaction.sequence)) return false;
    const { bytes } = writer;
    const now = scheduler.now();
    const { keyLow, keyHigh, tag } = transaction;
    this.cache.put(keyLow, keyHigh, tag, now, bytes, 0, writer.length);
    const { local, family, address, port } = transaction;
    transport.send(local, family, address, 0, port, bytes, 0, writer.length);
    this.flushSoon();
    const type = bytes[1]!;
    peer.counts.sent[type & 63]!++;
    peer.counts.answered(type & 63, causeIn(bytes, writer.length));
    this.#timed(transaction, now);
    this.open.end(transaction);
    this.parts.answered();
    return true;
  }

  /** Answers the datagram described at words[at…] without keeping anything. */
  answerOnce(writer: MessageWriter, sequence: number, words: Uint32Array, at: number): void {
    if (writer.finish(sequence)) this.send(writer.bytes, 0, writer.length, words, at);
  }

  /** Answers a duplicate of the request described at words[at…], if its reply is kept. */
  repeat({ low, high, tag }: RequestKey, words: Uint32Array, at: number): boolean {
    const { cache } = this;
    if (!cache.find(low, high, tag, this.parts.scheduler.now())) return false;
    this.send(cache.bytes, cache.foundAt, cache.foundLength, words, at);
    return true;
  }

  send(bytes: Uint8Array, start: number, length: number, words: Uint32Array, at: number): void {
    const local = words[at + WORD_LOCAL]!;
    const family = words[at + WORD_FAMILY]!;
    const port = words[at + WORD_PORT]!;
    const { transport } = this.parts;
    transport.send(local, family, words, at + WORD_ADDRESS, port, bytes, start, length);
    this.flushSoon();
  }

  /** Rings once for everything that is sent in this turn. */
  flushSoon(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    queueMicrotask(() => {
      this.#flushScheduled = false;
      this.parts.transport.flush();
    });
  }

  /** Once a second. */
  tick(): void {
    const { scheduler, counters, log } = this.parts;
    const now = scheduler.now();
    this.#slowLines = 0;
    this.cache.expire(now);
    if (this.open.count === 0) return;
    this.open.abandon(now - SERVED_MAX_MS, ({ peer, messageType, sequence }) => {
      counters.abandoned++;
      log.error({ peer: peer.nodeId, messageType, sequence }, 'a request was never answered');
    });
    this.parts.answered();
  }

  #timed(transaction: OpenTransaction, now: number): void {
    const { counters, slowMs, log, measure } = this.parts;
    const ms = now - transaction.startedMs;
    measure(transaction.messageType, ms);
    if (ms < slowMs) return;
    counters.slow++;
    if (++this.#slowLines > SLOW_LINES_PER_SECOND) return;
    const { peer, messageType, sequence } = transaction;
    const message = messageOf(messageType)?.name;
    const fields = { peer: peer.nodeId, message, sequence, ms: Math.round(ms) };
    log.warn(fields, 'a request of a peer took long');
  }
}

/** The Cause of a response that we have written; 0: it has none. */
function causeIn(bytes: Uint8Array, length: number): number {
  const hasSeid = (bytes[0]! & 1) !== 0;
  for (let at = hasSeid ? 16 : 8; at + 4 < length; ) {
    const type = (bytes[at]! << 8) | bytes[at + 1]!;
    if (type === Ie.Cause) return bytes[at + 4]!;
    at += 4 + ((bytes[at + 2]! << 8) | bytes[at + 3]!);
  }
  return 0;
}
