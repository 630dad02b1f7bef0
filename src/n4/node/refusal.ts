/** Answers that refuse a request, of every type that a CP function sends. Pure. */
import * as Ie from '../codec/ie.js';
import * as Message from '../codec/message-type.js';
import type { MessageWriter } from '../codec/message-writer.js';
import { type NodeIdentity, writeUpFSeid } from './node-identity.js';

/** Response types that name the node, and those that have an Offending IE. */
const WITH_NODE_ID = new Set<number>([
  Message.AssociationSetupResponse,
  Message.AssociationUpdateResponse,
  Message.AssociationReleaseResponse,
  Message.SessionSetDeletionResponse,
  Message.SessionSetModificationResponse,
  Message.SessionEstablishmentResponse,
]);
const WITHOUT_OFFENDING_IE = new Set<number>([
  Message.AssociationSetupResponse,
  Message.AssociationUpdateResponse,
  Message.AssociationReleaseResponse,
]);

/** Begins an answer with what every one of its type has; the rest may follow. */
export function beginAnswer(
  writer: MessageWriter,
  requestType: number,
  cause: number,
  identity: NodeIdentity,
  seidLow = 0,
  seidHigh = 0,
): void {
  const type = requestType + 1;
  const isSession = type >= Message.SessionEstablishmentResponse;
  writer.begin(type, isSession, seidLow, seidHigh);
  if (WITH_NODE_ID.has(type)) writer.nodeId(identity.nodeId);
  writer.cause(cause);
}

export function writeRefusal(
  writer: MessageWriter,
  requestType: number,
  cause: number,
  offendingIe: number,
  identity: NodeIdentity,
  seidLow = 0,
  seidHigh = 0,
): void {
  beginAnswer(writer, requestType, cause, identity, seidLow, seidHigh);
  if (offendingIe !== 0 && !WITHOUT_OFFENDING_IE.has(requestType + 1)) {
    writer.offendingIe(offendingIe);
  }
  // There are SMFs that look for it before they look at the cause.
  if (requestType === Message.SessionEstablishmentRequest) writeUpFSeid(writer, identity, 0, 0);
  if (requestType === Message.AssociationSetupRequest) {
    writer.recoveryTimeStamp(identity.recoveryTimeStamp);
  }
}

const F_SEID_BYTES = 9;
const IE_HEADER_BYTES = 4;

/**
 * Where the SEID in the first F-SEID of a body is, though the body could not be read as a
 * whole; -1: nowhere. A refusal carries it, so that the CP finds its session.
 */
export function fSeidIn(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at + IE_HEADER_BYTES <= end; ) {
    const type = (bytes[at]! << 8) | bytes[at + 1]!;
    const length = (bytes[at + 2]! << 8) | bytes[at + 3]!;
    at += IE_HEADER_BYTES;
    if (at + length > end) return -1;
    if (type === Ie.FSeid && length >= F_SEID_BYTES) return at + 1;
    at += length;
  }
  return -1;
}
