/** Who this node is on N4, and where it has its sessions: the addresses of UP F-SEIDs. Pure. */
import type { MessageWriter } from '../codec/message-writer.js';
import { nodeIdValue } from '../codec/values/node-id.js';
import { addressOf } from '../peers/peer-address.js';

const NO_WORDS = new Uint32Array(4);

export interface NodeIdentity {
  /** Value of the Node ID IE. */
  readonly nodeId: Uint8Array;
  /** Seconds since 1970: SessionEngine.recoveryTimeStamp. */
  readonly recoveryTimeStamp: number;
  /** Of UP F-SEIDs; 0 and null: none. */
  readonly ipv4: number;
  readonly ipv6: Uint32Array | null;
}

/** The UP F-SEID of a session; 0, 0: of one that was refused. */
export function writeUpFSeid(
  writer: MessageWriter,
  { ipv4, ipv6 }: NodeIdentity,
  low: number,
  high: number,
): void {
  writer.fSeid(low, high, ipv4 !== 0, ipv4, ipv6 !== null, ipv6 ?? NO_WORDS);
}

/**
 * The addresses are the first ones that it listens at. A wildcard names none; then it is the Node
 * ID, if it is one.
 */
export function nodeIdentity(
  nodeId: string,
  local: readonly { readonly host: string }[],
  recoveryTimeStamp: number,
): NodeIdentity {
  const value = nodeIdValue(nodeId);
  if (value === undefined) throw new Error(`${nodeId} is no Node ID`);
  const hosts = [...local.map(({ host }) => host), nodeId].filter((host) => !/^[0.:]+$/.test(host));
  const addresses = hosts.flatMap((host) => addressOf(host) ?? []);
  return {
    nodeId: value,
    recoveryTimeStamp,
    ipv4: addresses.find(({ family }) => family === 4)?.words[0] ?? 0,
    ipv6: addresses.find(({ family }) => family === 6)?.words ?? null,
  };
}
