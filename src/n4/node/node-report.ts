/** Node Report Request: a user-plane path failed, or is back. Source: TS 29.244 clause 7.4.5.1. */
import * as Ie from '../codec/ie.js';
import * as Message from '../codec/message-type.js';
import type { MessageWriter } from '../codec/message-writer.js';
import { readAddress } from '../transport/address-words.js';

/** Node Report Type, TS 29.244 clause 8.2.69. */
const PATH_FAILURE = 0x01;
const PATH_RECOVERY = 0x02;

/** What the packet path has found out about a tunnel peer. */
export interface PathEvent {
  readonly address: string;
  readonly isUp: boolean;
}

const words = new Uint32Array(4);

export function writeNodeReport(writer: MessageWriter, nodeId: Uint8Array, event: PathEvent): void {
  const family = readAddress(event.address, words, 0);
  writer.begin(Message.NodeReportRequest, false);
  writer.nodeId(nodeId);
  writer.flags(Ie.NodeReportType, event.isUp ? PATH_RECOVERY : PATH_FAILURE, 1);
  writer.open(event.isUp ? Ie.UserPlanePathRecoveryReport : Ie.UserPlanePathFailureReport);
  writer.remoteGtpUPeer(family === 4, words[0]!, family === 6, words);
  writer.close();
}
