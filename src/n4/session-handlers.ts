/** What the endpoint asks of the handlers of session messages (session/). */
import type { MessageReader } from './codec/message-reader.js';
import type { Peer } from './peer.js';
import type { PeerAddress } from './peers/peer-address.js';
import type { Transaction } from './transaction.js';

export interface SessionHandlers {
  /** Session Establishment, Modification, Deletion Request; the reader is good during the call. */
  handle(transaction: Transaction, reader: MessageReader): void;
  /**
   * A time before which all sessions of a peer are made that it has asked for so far; whatever it
   * asks for later is made after it. Waits for requests under way.
   */
  divide(peer: Peer): Promise<number>;
  /**
   * All sessions made before a time of divide(), but for those whose CP F-SEID has one of the
   * addresses `retained`; resolves with their number when they are gone.
   */
  deleteAll(peer: Peer, before: number, retained?: readonly PeerAddress[]): Promise<number>;
  /** Whether the peer has a session that is not being given up. */
  hasSessions(peer: Peer): boolean;
  /** Those of the FQ-CSIDs of a Session Set Deletion Request; the reader is good during the call. */
  deleteSets(peer: Peer, reader: MessageReader): Promise<number>;
  /** The peer has provisioned other PFDs: its sessions with applications follow. */
  applicationsChanged(peer: Peer): void;
  /** Sends reports of the peer's sessions until stopped. */
  startReports(peer: Peer): { stop(): void };
}
