/** Requests about nodes: associations, PFDs, sets of sessions. Thread: the control thread. */
import type { Log } from '../../base/log.js';
import * as Cause from '../codec/cause.js';
import * as Ie from '../codec/ie.js';
import type { MessageReader } from '../codec/message-reader.js';
import * as Message from '../codec/message-type.js';
import { MessageWriter } from '../codec/message-writer.js';
import { readNodeId } from '../codec/values/node-id.js';
import { addressAt } from '../peers/peer-address.js';
import type { PeerState } from '../peers/peer-state.js';
import type { RefusalLog } from '../refusal-log.js';
import type { SessionHandlers } from '../session-handlers.js';
import type { OpenTransaction } from '../transactions/open-transactions.js';
import { WORD_ADDRESS, WORD_FAMILY, WORD_LOCAL, WORD_PORT } from '../transport/transport.js';
import type { Associations, SetupRequest } from './associations.js';
import type { NodeIdentity } from './node-identity.js';
import type { PfdTable } from './pfd-table.js';
import { beginAnswer, writeRefusal } from './refusal.js';
import { readRetention } from './retention.js';
import { UP_FEATURES } from './up-features.js';

export interface NodeRequestsParts {
  readonly associations: Associations;
  readonly pfds: PfdTable;
  readonly sessions: SessionHandlers;
  readonly identity: NodeIdentity;
  readonly refusals: RefusalLog;
  readonly log: Log;
  /** A request's stamp may mean that the peer has restarted: it is to be asked. */
  readonly ask: (peer: PeerState) => void;
}

/** PFCPASRsp-Flags: the sessions that were to be retained are. Source: TS 29.244 clause 8.2.134. */
const PSREI = 1;
/** What a set of sessions may be named by, beside FQ-CSIDs. */
const OTHER_SETS = [Ie.GroupId, Ie.CpIpAddress];

export class NodeRequests {
  readonly #writer = new MessageWriter();
  #setup: SetupRequest | undefined;

  constructor(private readonly parts: NodeRequestsParts) {}

  /** The peer of an Association Setup Request described at words[at…], or a Cause. */
  admit(reader: MessageReader, words: Uint32Array, at: number): PeerState | number {
    const nodeId = readNodeId(reader, reader.find(-1, Ie.NodeId));
    if (nodeId === '') return Cause.MandatoryIeIncorrect;
    const features = reader.find(-1, Ie.CpFunctionFeatures);
    this.#setup = {
      nodeId,
      recoveryTimeStamp: reader.u32(reader.find(-1, Ie.RecoveryTimeStamp)),
      cpFeatures: features < 0 ? 0 : reader.flags(features),
      retained: readRetention(reader),
      from: addressAt(words[at + WORD_FAMILY]!, words, at + WORD_ADDRESS),
      port: words[at + WORD_PORT]!,
      local: words[at + WORD_LOCAL]!,
    };
    return this.parts.associations.admit(this.#setup);
  }

  /** Serves one; the reader is good during the call. */
  handle(transaction: OpenTransaction, reader: MessageReader): void {
    switch (transaction.messageType) {
      case Message.AssociationSetupRequest:
        this.#setUp(transaction, this.#setup!);
        return;
      case Message.AssociationUpdateRequest:
        this.#update(transaction, reader);
        return;
      case Message.AssociationReleaseRequest:
        this.#serve(transaction, this.parts.associations.release(transaction.peer));
        return;
      case Message.PfdManagementRequest:
        this.#provision(transaction, reader);
        return;
      case Message.SessionSetDeletionRequest:
        this.#deleteSets(transaction, reader);
        return;
      default:
        this.#refuse(transaction, Cause.ServiceNotSupported, 0);
    }
  }

  /** The stamp of a request says nothing by itself: OAI's is the time of day. */
  heartbeatSeen(peer: PeerState, reader: MessageReader): void {
    const stamp = reader.u32(reader.find(-1, Ie.RecoveryTimeStamp));
    if (peer.associated && stamp !== peer.recoveryTimeStamp) this.parts.ask(peer);
  }

  #setUp(transaction: OpenTransaction, request: SetupRequest): void {
    const done = this.parts.associations.setUp(transaction.peer, request);
    this.#serve(transaction, done, (retains) => {
      const writer = this.#writer;
      writer.recoveryTimeStamp(this.parts.identity.recoveryTimeStamp);
      const octets = transaction.peer.profile.featureOctets || UP_FEATURES.length;
      const features = new Uint8Array(octets);
      features.set(UP_FEATURES.subarray(0, octets));
      writer.copy(Ie.UpFunctionFeatures, features);
      if (retains) writer.flags(Ie.PfcpAsRspFlags, PSREI, 1);
    });
  }

  /** @param more  writes what an accepting answer has besides. */
  #serve<T>(
    transaction: OpenTransaction,
    done: Promise<T>,
    more: (result: T) => void = () => {},
  ): void {
    const { identity } = this.parts;
    done.then(
      (result) => {
        beginAnswer(this.#writer, transaction.messageType, Cause.Accepted, identity);
        more(result);
        transaction.answer(this.#writer);
      },
      (error: unknown) => {
        const { peer, messageType } = transaction;
        this.parts.log.error({ err: error, peer: peer.nodeId, messageType }, 'a request failed');
        this.#refuse(transaction, Cause.SystemFailure, 0);
      },
    );
  }

  #refuse(transaction: OpenTransaction, cause: number, offendingIe: number): void {
    const { identity, refusals } = this.parts;
    refusals.note(transaction.peer.nodeId, transaction.messageType, cause, offendingIe);
    writeRefusal(this.#writer, transaction.messageType, cause, offendingIe, identity);
    transaction.answer(this.#writer);
  }

  #update(transaction: OpenTransaction, reader: MessageReader): void {
    const features = reader.find(-1, Ie.CpFunctionFeatures);
    const cpFeatures = features < 0 ? transaction.peer.cpFeatures : reader.flags(features);
    this.#serve(transaction, this.parts.associations.update(transaction.peer, cpFeatures));
  }

  /** Who asks for what is not understood is told so: less would be deleted than it means, or more. */
  #deleteSets(transaction: OpenTransaction, reader: MessageReader): void {
    const other = OTHER_SETS.find((type) => reader.find(-1, type) >= 0);
    if (other !== undefined) {
      this.#refuse(transaction, Cause.ServiceNotSupported, other);
    } else if (reader.find(-1, Ie.FqCsid) < 0) {
      this.#refuse(transaction, Cause.ConditionalIeMissing, Ie.FqCsid);
    } else {
      this.#serve(transaction, this.parts.sessions.deleteSets(transaction.peer, reader));
    }
  }

  #provision(transaction: OpenTransaction, reader: MessageReader): void {
    const { pfds, sessions } = this.parts;
    const { peer } = transaction;
    const { cause, offendingIe } = pfds.provision(peer.nodeId, reader);
    if (cause !== Cause.Accepted) {
      this.#refuse(transaction, cause, offendingIe);
      return;
    }
    peer.applications = pfds.of(peer.nodeId);
    sessions.applicationsChanged(peer);
    this.#serve(transaction, pfds.save());
  }
}
