/**
 * Sessions with a request under way, and the requests that wait for it, by the session's index:
 * requests on one session are served in their order. Owner: the control thread.
 */
import type { StoredRequest } from './turn.js';

/** The lower bits of a SEID are the session's index: one session at a time has it. */
export const INDEX_MASK = 0xff_ffff;

export class BusySessions {
  readonly #waiting = new Map<number, StoredRequest[] | null>();

  has(key: number): boolean {
    return this.#waiting.has(key);
  }
  begin(key: number): void {
    this.#waiting.set(key, null);
  }
  /** Behind the request that is under way on its session. */
  wait(key: number, one: StoredRequest): void {
    const waiting = this.#waiting.get(key);
    if (waiting) waiting.push(one);
    else this.#waiting.set(key, [one]);
  }
  /** The request that waits for the session longest. */
  next(key: number): StoredRequest | undefined {
    return this.#waiting.get(key)?.shift();
  }
  end(key: number): void {
    this.#waiting.delete(key);
  }
}
