/**
 * A request of a peer that is being served. Handlers hold it until they answer, then never
 * again: the object serves the next request. Thread: the control thread.
 */
import type { MessageWriter } from './codec/message-writer.js';
import type { Peer } from './peer.js';

export interface Transaction {
  readonly peer: Peer;
  readonly messageType: number;
  readonly sequence: number;
  /**
   * Sends the response, keeps it for duplicates of the request, and ends the transaction.
   * The message is begun and not finished: load and overload IEs and the sequence number are
   * added here. False: it does not fit a datagram; nothing was sent and a shorter one may be.
   */
  answer(writer: MessageWriter): boolean;
}
