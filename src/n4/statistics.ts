/** What N4 counts beside the messages of peers, and what it shows of itself. */
import type { PeerState } from './peers/peer-state.js';

export class N4Counters {
  /** Datagrams that are no PFCP: cut short, of a lying length, or of a type that no CP sends. */
  malformed = 0;
  unknownType = 0;
  /** Answered with Version Not Supported. */
  wrongVersion = 0;
  /** Session requests of sources that have no association. */
  notAssociated = 0;
  /** Responses that answer nothing of ours. */
  stray = 0;
  /** Duplicates that were answered from the cache, and those whose request was being served. */
  duplicatesAnswered = 0;
  duplicatesSilent = 0;
  /** Requests that took longer than n4.slowMs. */
  slow = 0;
  /** Requests that nobody answered: defects. */
  abandoned = 0;
  /** Requests of ours that got no answer. */
  unanswered = 0;
  /** Association set-ups that were refused because the Node ID is another's. */
  takeoversRefused = 0;
  /** Peers that stopped answering heartbeats, and those that lost their state. */
  pathFailures = 0;
  peerRestarts = 0;
}

export interface N4PeerView {
  readonly nodeId: string;
  readonly owner: string;
  readonly addresses: readonly string[];
  readonly profile: string;
  readonly associated: boolean;
  readonly reachable: boolean;
  readonly sessions: number;
  /** Seconds since 1970; 0: not known. */
  readonly recoveryTimeStamp: number;
  readonly associatedAtMs: number;
  /** Milliseconds since something came from it; -1: nothing yet. */
  readonly heardMsAgo: number;
  readonly cpFeatures: number;
  readonly applications: number;
  readonly counts: PeerState['counts'];
}

export interface N4Statistics {
  readonly counters: N4Counters;
  readonly requestsServed: number;
  readonly requestsWaiting: number;
  readonly replyCacheEntries: number;
  readonly replyCacheBytes: number;
  readonly replyCacheEvicted: number;
  /** Percent, as peers are told. */
  readonly load: number;
  readonly reduction: number;
}
