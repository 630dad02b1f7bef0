/**
 * A CP function (SMF) as the parts of N4 see it. The endpoint makes and keeps peers; session
 * handlers read them and send requests of ours through them. Thread: the control thread.
 */
import type { MessageReader } from './codec/message-reader.js';
import type { MessageWriter } from './codec/message-writer.js';
import type { PeerAddress } from './peers/peer-address.js';

/** How a peer differs from the others: configured, or chosen by what it sends. */
export interface PeerProfile {
  readonly name: string;
  /** Octets of UP Function Features that it can read; 0: as many as there are. */
  readonly featureOctets: number;
  /**
   * CHOOSE without CHOOSE ID gives one F-TEID for all PDRs of a session's access side. `auto`:
   * where no address family is asked for either, which only SMFs do that expect it so.
   */
  readonly sharedFTeid: boolean | 'auto';
  /** An association set-up again with the same Recovery Time Stamp keeps the sessions. */
  readonly retainSessions: boolean;
}

/** What PFD management says of one application. */
export interface Application {
  /** Flow descriptions, as those of SDF filters. */
  readonly flows: readonly Uint8Array[];
  /** It has domain names, URLs or other contents that packets are not matched by. */
  readonly isUnmatchable: boolean;
}

/** The applications of a peer; undefined: it has provisioned no PFDs for that ID. */
export interface Applications {
  find(bytes: Uint8Array, start: number, length: number): Application | undefined;
}

export interface Peer {
  /** Its Node ID: an IPv4 or IPv6 address, or a name. */
  readonly nodeId: string;
  /** Owner of its sessions in the session engine: `n4:<node id>`. */
  readonly owner: string;
  readonly profile: PeerProfile;
  readonly associated: boolean;
  /** Its sessions that were made before that time are being given up; 0: none are. */
  readonly givenUpBefore: number;
  /** Not so those whose CP F-SEID has one of these addresses. */
  readonly retained: readonly PeerAddress[];
  /** Of PFD management; null: none were provisioned. */
  readonly applications: Applications | null;
  /** CP Function Features that it sent with its association: octets 5 to 8, low octet first. */
  readonly cpFeatures: number;
  /**
   * Sends a request of ours: retransmitted until its response comes or it is given up, which
   * is also when the association ends. The message is begun and not finished: its sequence
   * number is given here.
   * @param to  where the session that it is about is served: the address of its CP F-SEID.
   *   Absent, and where nobody answers there: the peer's own one.
   */
  request(writer: MessageWriter, done: ResponseListener, to?: string): void;
}

/**
 * Called once, in a later turn. `response` (undefined: given up) is good during the call only;
 * `isElsewhere`: it is not from the address that the request was for.
 */
export type ResponseListener = (response: MessageReader | undefined, isElsewhere: boolean) => void;

/** What an owner in the session engine is called that is a peer of N4. */
export const N4_OWNER_PREFIX = 'n4:';
