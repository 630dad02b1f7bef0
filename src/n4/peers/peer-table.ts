/**
 * Who talks to this node over N4: peers (peer-state.ts) by Node ID and by the address that they
 * send from, the profiles that the configuration gives them, and what is kept of them over a
 * restart. Thread: the control thread. Start at PeerTable.
 */
import type { PeerProfile } from '../peer.js';
import { TRANSPORT_PEERS_MAX } from '../transport/transport.js';
import type { PeerAddress } from './peer-address.js';
import { PEER_ADDRESSES_MAX, type PeerHost, PeerState } from './peer-state.js';

export const PEERS_MAX = TRANSPORT_PEERS_MAX;

export class PeerTable implements Iterable<PeerState> {
  readonly #byNodeId = new Map<string, PeerState>();
  /** By a hash of the address. */
  readonly #byAddress = new Map<number, PeerState[]>();
  readonly #byIndex: (PeerState | undefined)[] = [];

  constructor(private readonly host: PeerHost) {}

  [Symbol.iterator](): Iterator<PeerState> {
    return this.#byNodeId.values();
  }
  get size(): number {
    return this.#byNodeId.size;
  }
  find(nodeId: string): PeerState | undefined {
    return this.#byNodeId.get(nodeId);
  }
  at(index: number): PeerState | undefined {
    return this.#byIndex[index];
  }

  /** undefined: there are as many as there may be. */
  add(nodeId: string, profile: PeerProfile): PeerState | undefined {
    if (this.size >= PEERS_MAX) return undefined;
    const free = this.#byIndex.indexOf(undefined);
    const index = free < 0 ? this.#byIndex.length : free;
    const peer = new PeerState(nodeId, index, profile, this.host);
    this.#byIndex[index] = peer;
    this.#byNodeId.set(nodeId, peer);
    return peer;
  }

  remove(peer: PeerState): void {
    for (const address of [...peer.addresses]) this.#forget(peer, address);
    this.#byNodeId.delete(peer.nodeId);
    this.#byIndex[peer.index] = undefined;
  }

  /** Makes an address the peer's main one; its oldest one goes when there are too many. */
  enterAddress(peer: PeerState, address: PeerAddress): void {
    if (peer.address === address.text) return;
    const known = peer.addresses.findIndex((one) => one.text === address.text);
    if (known >= 0) peer.addresses.splice(known, 1);
    else this.#remember(peer, address);
    peer.addresses.unshift(address);
    if (peer.addresses.length > PEER_ADDRESSES_MAX) this.#forget(peer, peer.addresses.at(-1)!);
  }

  /** Gives up every address: the peer has moved. */
  clearAddresses(peer: PeerState): void {
    for (const address of [...peer.addresses]) this.#forget(peer, address);
    peer.forgetPort();
  }

  /** Peers that send from this address: mostly one. The list is not to be changed. */
  from(family: number, words: Uint32Array, at: number): readonly PeerState[] {
    const found = this.#byAddress.get(addressHash(words, at));
    if (found === undefined) return NOBODY;
    // A hash is no address; two peers of one hash are rare enough for a new list.
    for (const peer of found) {
      if (peer.hasAddress(family, words, at)) continue;
      return found.filter((one) => one.hasAddress(family, words, at));
    }
    return found;
  }

  #remember(peer: PeerState, address: PeerAddress): void {
    const hash = addressHash(address.words, 0);
    const there = this.#byAddress.get(hash);
    if (there === undefined) this.#byAddress.set(hash, [peer]);
    else if (!there.includes(peer)) there.push(peer);
  }

  #forget(peer: PeerState, address: PeerAddress): void {
    peer.addresses.splice(peer.addresses.indexOf(address), 1);
    const hash = addressHash(address.words, 0);
    if (peer.addresses.some((one) => addressHash(one.words, 0) === hash)) return;
    const left = (this.#byAddress.get(hash) ?? []).filter((one) => one !== peer);
    if (left.length === 0) this.#byAddress.delete(hash);
    else this.#byAddress.set(hash, left);
  }
}

const NOBODY: readonly PeerState[] = [];

function addressHash(words: Uint32Array, at: number): number {
  const high = words[at]! ^ Math.imul(words[at + 1]!, 0x9e3779b1);
  const low = words[at + 2]! ^ Math.imul(words[at + 3]!, 0x85ebca6b);
  return (high ^ Math.imul(low, 0xc2b2ae35)) | 0;
}
