/**
 * What happens to a datagram: header, duplicates, whose it is, and who serves it. Nothing here
 * makes an object for a request of a session. Thread: the control thread.
 */
import * as Cause from './codec/cause.js';
import * as Ie from './codec/ie.js';
import { HEADER_DROP, HEADER_VERSION, type MessageReader } from './codec/message-reader.js';
import * as Message from './codec/message-type.js';
import type { MessageWriter } from './codec/message-writer.js';
import { readWord } from './codec/octets.js';
import { readNodeId } from './codec/values/node-id.js';
import type { NodeIdentity } from './node/node-identity.js';
import type { NodeRequests } from './node/node-requests.js';
import { fSeidIn, writeRefusal } from './node/refusal.js';
import type { OwnRequests } from './own-requests.js';
import { N4_OWNER_PREFIX } from './peer.js';
import type { PeerState } from './peers/peer-state.js';
import type { PeerTable } from './peers/peer-table.js';
import type { RefusalLog } from './refusal-log.js';
import type { Replies } from './replies.js';
import type { Scheduler } from './scheduler.js';
import type { SessionHandlers } from './session-handlers.js';
import type { N4Counters } from './statistics.js';
import type { RequestKey } from './transactions/request-key.js';
import { addressText } from './transport/address-words.js';
import {
  type DatagramTransport,
  FLAG_ANSWERED,
  WORD_ADDRESS,
  WORD_FAMILY,
  WORD_FLAGS,
  WORD_LENGTH,
  WORD_LOCAL,
  WORD_OFFSET,
  WORD_PORT,
  WORD_WAITED,
} from './transport/transport.js';

export interface InboundParts {
  readonly transport: DatagramTransport;
  readonly scheduler: Scheduler;
  readonly reader: MessageReader;
  readonly writer: MessageWriter;
  readonly peers: PeerTable;
  readonly replies: Replies;
  readonly requests: OwnRequests;
  readonly nodeRequests: NodeRequests;
  readonly sessions: SessionHandlers;
  readonly counters: N4Counters;
  readonly identity: NodeIdentity;
  readonly key: RequestKey;
  readonly refusals: RefusalLog;
  /** Owner of the session with that SEID; '': there is none. */
  readonly ownerOf: (seidLow: number, seidHigh: number) => string;
  /** The CP F-SEID of a session of that owner; undefined: it has none such. */
  readonly cpFSeidOf: (owner: string, seidLow: number, seidHigh: number) => CpFSeidView | undefined;
}

export interface SeidWords {
  readonly low: number;
  readonly high: number;
}
export interface CpFSeidView extends SeidWords {
  /** As text. */
  readonly address: string;
}

export class Inbound {
  /** While the node shuts down: peers repeat their requests to the next run. */
  draining = false;

  constructor(private readonly parts: InboundParts) {}

  /** The datagram that the transport describes at words[at…]. */
  take(at: number): void {
    const { transport, reader, counters } = this.parts;
    const { words, bytes } = transport;
    const start = words[at + WORD_OFFSET]!;
    const end = start + words[at + WORD_LENGTH]!;
    const verdict = reader.header(bytes, start, end);
    if (verdict === HEADER_DROP) {
      counters.malformed++;
    } else if (verdict === HEADER_VERSION) {
      counters.wrongVersion++;
      const { writer } = this.parts;
      writer.begin(Message.VersionNotSupportedResponse, false);
      this.parts.replies.answerOnce(writer, reader.sequence, words, at);
    } else if (isResponse(reader.messageType)) {
      this.#response(at);
    } else if (isRequest(reader.messageType)) {
      this.#request(at);
    } else {
      counters.unknownType++;
    }
  }

  #response(at: number): void {
    const { transport, reader, counters, peers, requests } = this.parts;
    const { words } = transport;
    const from = peers.from(words[at + WORD_FAMILY]!, words, at + WORD_ADDRESS);
    const request = requests.answeredBy(from, words, at);
    if (request < 0) counters.stray++;
    else if (!reader.body()) counters.malformed++;
    else this.#heard(requests.respond(request, words, at));
  }

  #request(at: number): void {
    const { transport, reader, replies, peers, counters } = this.parts;
    const { words } = transport;
    const type = reader.messageType;
    const from = peers.from(words[at + WORD_FAMILY]!, words, at + WORD_ADDRESS);
    if (type === Message.HeartbeatRequest) {
      this.#heartbeat(at, from);
      return;
    }
    if (this.draining) return;
    const { key } = this.parts;
    key.read(words, at, type, reader.sequence, type === Message.AssociationSetupRequest);
    if (replies.repeat(key, words, at)) {
      counters.duplicatesAnswered++;
      if (from.length > 0) from[0]!.counts.duplicates++;
    } else if (replies.open.has(key.low, key.high, key.tag)) {
      counters.duplicatesSilent++;
      if (from.length > 0) from[0]!.counts.duplicates++;
    } else {
      this.#serve(at, from);
    }
  }

  #serve(at: number, from: readonly PeerState[]): void {
    const { reader, sessions, nodeRequests, replies, key } = this.parts;
    const type = reader.messageType;
    if (!reader.body()) {
      this.#refuse(at, from, reader.cause, reader.offendingIe);
      return;
    }
    const peer = this.#peerOf(at, from);
    if (typeof peer === 'number') {
      if (type === Message.AssociationReleaseRequest && this.#repeatRelease(at)) return;
      if (peer === Cause.NoEstablishedAssociation) this.parts.counters.notAssociated++;
      const offending = peer === Cause.MandatoryIeIncorrect ? Ie.NodeId : 0;
      this.#refuse(at, from, peer, offending);
      return;
    }
    this.#heard(peer);
    peer.counts.received[type & 63]!++;
    const transaction = replies.open.take();
    // There is room: a batch is received only while there is enough for all of it.
    if (transaction === undefined) return;
    const { words } = this.parts.transport;
    transaction.peer = peer;
    transaction.messageType = type;
    transaction.sequence = reader.sequence;
    // Since it was received: the time in queues counts.
    transaction.startedMs = this.parts.scheduler.now() - words[at + WORD_WAITED]! / 1000;
    transaction.local = words[at + WORD_LOCAL]!;
    transaction.family = words[at + WORD_FAMILY]!;
    transaction.port = words[at + WORD_PORT]!;
    for (let i = 0; i < 4; i++) transaction.address[i] = words[at + WORD_ADDRESS + i]!;
    transaction.keyLow = key.low;
    transaction.keyHigh = key.high;
    transaction.tag = key.tag;
    replies.open.begin(transaction);
    if (isSessionRequest(type)) sessions.handle(transaction, reader);
    else nodeRequests.handle(transaction, reader);
  }

  /** A release that came again when its peer was gone, or going: its key is of the era before. */
  #repeatRelease(at: number): boolean {
    const { reader, replies, key, transport, counters } = this.parts;
    const { words } = transport;
    key.read(words, at, reader.messageType, reader.sequence, false, 1);
    if (replies.repeat(key, words, at)) counters.duplicatesAnswered++;
    else if (replies.open.has(key.low, key.high, key.tag)) counters.duplicatesSilent++;
    else return false;
    return true;
  }

  /** The peer that a request is of, or the Cause that refuses it. */
  #peerOf(at: number, from: readonly PeerState[]): PeerState | number {
    const { reader, nodeRequests, transport, ownerOf } = this.parts;
    const { words } = transport;
    const type = reader.messageType;
    if (type === Message.AssociationSetupRequest) return nodeRequests.admit(reader, words, at);
    const named = reader.find(-1, Ie.NodeId);
    if (from.length === 1 && named < 0) return associated(from[0]);
    if (from.length === 0 && named < 0) return associated(this.#controlling(at));
    if (named >= 0) {
      const nodeId = readNodeId(reader, named);
      if (nodeId === '') return Cause.MandatoryIeIncorrect;
      const peer = from.find((one) => one.nodeId === nodeId);
      // Some write another of their names into sessions; with one peer it is clear who it is.
      const lenient = type === Message.SessionEstablishmentRequest && from.length === 1;
      return associated(lenient ? from[0] : peer);
    }
    const port = words[at + WORD_PORT]!;
    const samePort = from.filter((peer) => peer.port === port && peer.associated);
    if (samePort.length === 1) return samePort[0]!;
    // Several peers behind one address and port: the session says whose it is.
    const owner = reader.hasSeid ? ownerOf(reader.seidLow, reader.seidHigh) : '';
    return associated(from.find((peer) => peer.owner === owner) ?? from[0]);
  }

  /**
   * The peer of the request's session, if the request is from the address of the CP F-SEID, which
   * may be another one than those of the association. Source: TS 29.244 clause 5.8.1.
   */
  #controlling(at: number): PeerState | undefined {
    const { reader, ownerOf, cpFSeidOf, peers } = this.parts;
    const { seidLow, seidHigh } = reader;
    const owner = reader.hasSeid ? ownerOf(seidLow, seidHigh) : '';
    if (!owner.startsWith(N4_OWNER_PREFIX)) return undefined;
    const isThere = cpFSeidOf(owner, seidLow, seidHigh)?.address === this.#addressText(at);
    return isThere ? peers.find(owner.slice(N4_OWNER_PREFIX.length)) : undefined;
  }

  #heartbeat(at: number, from: readonly PeerState[]): void {
    const { transport, reader, writer, replies, identity, nodeRequests } = this.parts;
    const { words } = transport;
    if ((words[at + WORD_FLAGS]! & FLAG_ANSWERED) === 0) {
      writer.begin(Message.HeartbeatResponse, false);
      writer.recoveryTimeStamp(identity.recoveryTimeStamp);
      replies.answerOnce(writer, reader.sequence, words, at);
    }
    for (const peer of from) {
      this.#heard(peer);
      peer.counts.received[Message.HeartbeatRequest]!++;
      peer.counts.sent[Message.HeartbeatResponse]!++;
    }
    if (from.length === 1 && reader.body()) nodeRequests.heartbeatSeen(from[0]!, reader);
  }

  #refuse(at: number, from: readonly PeerState[], cause: number, offendingIe: number): void {
    const { reader, writer, replies, transport, identity } = this.parts;
    const type = reader.messageType;
    const { low, high } = this.#cpSeid(from);
    writeRefusal(writer, type, cause, offendingIe, identity, low, high);
    replies.answerOnce(writer, reader.sequence, transport.words, at);
    const peer = from[0];
    const source = peer?.nodeId ?? this.#addressText(at);
    this.parts.refusals.note(source, type, cause, offendingIe);
    if (peer === undefined) return;
    this.#heard(peer);
    peer.counts.received[type & 63]!++;
    peer.counts.sent[(type + 1) & 63]!++;
    peer.counts.answered((type + 1) & 63, cause);
  }

  #addressText(at: number): string {
    const { words } = this.parts.transport;
    return addressText(words[at + WORD_FAMILY]!, words, at + WORD_ADDRESS);
  }

  /** By which the CP knows the session of a request that could not be read; 0: not known. */
  #cpSeid(from: readonly PeerState[]): SeidWords {
    const { reader, cpFSeidOf } = this.parts;
    const { bytes, seidLow, seidHigh } = reader;
    if (reader.messageType === Message.SessionEstablishmentRequest) {
      const seid = fSeidIn(bytes, reader.bodyAt, reader.bodyEnd);
      if (seid < 0) return NO_SEID;
      return { low: readWord(bytes, seid + 4), high: readWord(bytes, seid) };
    }
    const peer = reader.hasSeid ? from[0] : undefined;
    return (peer?.associated && cpFSeidOf(peer.owner, seidLow, seidHigh)) || NO_SEID;
  }

  #heard(peer: PeerState): void {
    peer.heardAtMs = this.parts.scheduler.now();
  }
}

const NO_SEID: SeidWords = { low: 0, high: 0 };

function associated(peer: PeerState | undefined): PeerState | number {
  return peer?.associated === true ? peer : Cause.NoEstablishedAssociation;
}

function isSessionRequest(type: number): boolean {
  return (
    type === Message.SessionEstablishmentRequest ||
    type === Message.SessionModificationRequest ||
    type === Message.SessionDeletionRequest
  );
}

/** Requests that a CP function sends. */
function isRequest(type: number): boolean {
  if (isSessionRequest(type)) return true;
  switch (type) {
    case Message.HeartbeatRequest:
    case Message.PfdManagementRequest:
    case Message.AssociationSetupRequest:
    case Message.AssociationUpdateRequest:
    case Message.AssociationReleaseRequest:
    case Message.SessionSetDeletionRequest:
    case Message.SessionSetModificationRequest:
      return true;
    default:
      return false;
  }
}

/** Responses to requests of ours. */
function isResponse(type: number): boolean {
  switch (type) {
    case Message.HeartbeatResponse:
    case Message.AssociationSetupResponse:
    case Message.AssociationUpdateResponse:
    case Message.AssociationReleaseResponse:
    case Message.NodeReportResponse:
    case Message.SessionReportResponse:
      return true;
    default:
      return false;
  }
}
