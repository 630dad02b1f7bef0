/**
 * N4Service: who drives this node over PFCP, and with which sessions. Owner: the control
 * thread. Start at {@link n4Service}.
 */
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { SluiceError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import type { SessionEngine } from '../../session/engine.js';
import { timestamp, unary } from '../object-service.js';
import { CaptureOutput } from './capture-output.js';
import { n4SessionMessage } from './session-message.js';
import { TraceOutput } from './trace-output.js';
import { watched } from './watch-stream.js';

/** One peer, as N4 shows it. */
export interface N4PeerStatus {
  readonly nodeId: string;
  /** In the session engine. */
  readonly owner: string;
  readonly addresses: readonly string[];
  readonly associated: boolean;
  readonly reachable: boolean;
  /** Milliseconds since 1970. */
  readonly associatedAtMs: number;
  /** Seconds since 1970; 0: not known. */
  readonly recoveryTimeStamp: number;
  /** -1: nothing has come from it. */
  readonly heardMsAgo: number;
  readonly profile: string;
  readonly sessions: number;
  readonly applications: number;
  readonly cpFeatures: number;
  readonly messages: readonly {
    readonly message: string;
    readonly received: number;
    readonly sent: number;
    readonly causes: Readonly<Record<number, number>>;
  }[];
  readonly duplicates: number;
  readonly retransmissions: number;
}

export interface N4Source {
  peerStatus(): readonly N4PeerStatus[];
  /** address:port */
  listenTexts(): readonly string[];
  /** What a peer is called as an owner of sessions. */
  ownerOfPeer(nodeId: string): string;
  /** The peer that sends from that address; '': none, or several. */
  nodeIdOf(address: string): string;
  /** @param peer  its Node ID, or an address; '': all. */
  watch(peer: string, heartbeats: boolean): N4Watch;
}

/** Datagrams as they come and go, kept within bounds until they are taken. */
export interface N4Watch {
  /** For which there was no room, so far. */
  readonly lost: number;
  take(most: number): readonly N4Datagram[];
  close(): void;
}
export interface N4Datagram {
  /** Milliseconds since 1970, with a fraction. */
  readonly timeMs: number;
  readonly sent: boolean;
  readonly family: 4 | 6;
  /** As bound: 0.0.0.0 and :: stand for any. */
  readonly local: string;
  readonly localPort: number;
  readonly remote: string;
  readonly remotePort: number;
  readonly bytes: Uint8Array;
}

interface SessionsRequest {
  readonly nodeId: string;
  readonly pageSize: number;
  readonly pageToken: string;
}

/**
 * @param source  undefined: N4 is not served.
 * @param closing aborts when the server drains: streams end then.
 */
export function n4Service(
  source: N4Source | undefined,
  engine: Pick<SessionEngine, 'list' | 'countOf'>,
  closing: AbortSignal,
  log: Log,
): UntypedServiceImplementation {
  const served = (): N4Source => {
    if (source !== undefined) return source;
    throw new SluiceError('failed_precondition', 'this node serves no PFCP: n4.listen is empty');
  };
  return {
    ListPeers: unary(() => {
      const n4 = served();
      return { peers: n4.peerStatus().map(peerMessage), listen: n4.listenTexts() };
    }, log),
    ListPeerSessions: unary((request: SessionsRequest) => listed(served(), engine, request), log),
    Trace: watched((n4) => new TraceOutput(n4), served, closing, log),
    Capture: watched(() => new CaptureOutput(), served, closing, log),
  };
}

function listed(
  source: N4Source,
  engine: Pick<SessionEngine, 'list' | 'countOf'>,
  { nodeId, pageSize, pageToken }: SessionsRequest,
): object {
  const owner = source.ownerOfPeer(nodeId);
  const known = source.peerStatus().some((peer) => peer.nodeId === nodeId);
  if (!known && engine.countOf(owner) === 0) {
    throw new SluiceError('not_found', `there is no peer "${nodeId}"`);
  }
  const page = engine.list(owner, pageSize, pageToken);
  return {
    sessions: page.records.map(n4SessionMessage),
    nextPageToken: page.nextPageToken,
    total: page.total,
  };
}

function peerMessage(peer: N4PeerStatus): object {
  const { associated, associatedAtMs, recoveryTimeStamp, heardMsAgo } = peer;
  const duration = { seconds: Math.floor(heardMsAgo / 1000), nanos: (heardMsAgo % 1000) * 1e6 };
  return {
    ...peer,
    ...(associated && { associatedSince: timestamp(associatedAtMs) }),
    ...(recoveryTimeStamp > 0 && { recoveryTimeStamp: timestamp(recoveryTimeStamp * 1000) }),
    ...(recoveryTimeStamp === 0 && { recoveryTimeStamp: null }),
    ...(heardMsAgo >= 0 && { silentFor: duration }),
  };
}
