/** Batches by peer that have not ended, and who waits for the last of them. Owner: the control thread. */
import type { OperationBatch, SessionEngine } from '../../session/engine.js';
import type { Peer } from '../peer.js';

export class UnderWay {
  readonly #batches = new Map<Peer, number>();
  readonly #listeners = new Map<Peer, (() => void)[]>();

  constructor(private readonly engine: SessionEngine) {}

  has(peer: Peer): boolean {
    return this.#batches.has(peer);
  }

  openBatch(peer: Peer, done: (batch: OperationBatch) => void): OperationBatch {
    const batch = this.engine.openBatch(peer.owner, (ended) => {
      try {
        done(ended);
      } finally {
        this.#ended(peer);
      }
    });
    this.#batches.set(peer, (this.#batches.get(peer) ?? 0) + 1);
    return batch;
  }

  /** Resolves when nothing of the peer is under way. */
  whenIdle(peer: Peer): Promise<void> {
    if (!this.has(peer)) return Promise.resolve();
    return new Promise((resolve) => {
      const listeners = this.#listeners.get(peer);
      if (listeners === undefined) this.#listeners.set(peer, [resolve]);
      else listeners.push(resolve);
    });
  }

  #ended(peer: Peer): void {
    const left = this.#batches.get(peer)! - 1;
    if (left > 0) {
      this.#batches.set(peer, left);
      return;
    }
    this.#batches.delete(peer);
    const listeners = this.#listeners.get(peer) ?? [];
    this.#listeners.delete(peer);
    for (const listener of listeners) listener();
  }
}
