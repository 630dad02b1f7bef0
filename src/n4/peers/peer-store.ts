/** Associations over the end of the process: one named value of the store. */
import type { Store } from '../../store/store.js';
import type { PeerState } from './peer-state.js';

const NAME = 'n4.peers';
const VERSION = 1;

export interface StoredPeer {
  readonly nodeId: string;
  readonly addresses: readonly string[];
  readonly port: number;
  readonly local: number;
  readonly recoveryTimeStamp: number;
  readonly cpFeatures: number;
  readonly associatedAtMs: number;
  readonly associated: boolean;
  /** Its sessions were being given up, which the next run has to go on with. */
  readonly purging: boolean;
  /** Those made before that time; absent: all, since it was not settled yet. */
  readonly purgingBefore?: number;
  /** Not so those whose CP F-SEID has one of these addresses. */
  readonly purgingRetained?: readonly string[];
}

export class PeerStore {
  #running: Promise<void> | undefined;
  #waiting: Promise<void> | undefined;

  constructor(private readonly store: Pick<Store, 'getMeta' | 'putMeta' | 'commit'>) {}

  /** What cannot be read is nothing: peers associate again. */
  load(): readonly StoredPeer[] {
    const value = this.store.getMeta(NAME);
    if (value === undefined) return [];
    try {
      const { version, peers } = JSON.parse(Buffer.from(value).toString()) as {
        version: number;
        peers: StoredPeer[];
      };
      return version === VERSION ? peers : [];
    } catch {
      return [];
    }
  }

  /**
   * Resolves when it is as durable as sessions are. What comes while one is under way is
   * written together afterwards, so that many associations cost few writes.
   */
  save(peers: Iterable<PeerState>): Promise<void> {
    if (this.#running === undefined) return this.#write(peers);
    const after = () => {
      this.#waiting = undefined;
      return this.#write(peers);
    };
    this.#waiting ??= this.#running.then(after, after);
    return this.#waiting;
  }

  #write(peers: Iterable<PeerState>): Promise<void> {
    const stored: StoredPeer[] = [];
    for (const peer of peers) {
      if (peer.associated || peer.purging !== undefined) stored.push(storedPeer(peer));
    }
    const text = JSON.stringify({ version: VERSION, peers: stored });
    this.store.putMeta(NAME, Buffer.from(text));
    const running = this.store.commit().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }
}

function storedPeer(peer: PeerState): StoredPeer {
  const { nodeId, port, local, recoveryTimeStamp, cpFeatures, associatedAtMs, associated } = peer;
  return {
    ...{ nodeId, port, local, recoveryTimeStamp, cpFeatures, associatedAtMs, associated },
    addresses: peer.addresses.map((address) => address.text),
    purging: peer.purging !== undefined,
    purgingRetained: peer.retained.map(({ text }) => text),
    ...(peer.purging?.isSettled === true ? { purgingBefore: peer.purging.before } : {}),
  };
}
