/**
 * One wheel for everything in N4 that waits for a time: no JavaScript timer a transaction.
 * Timers are small numbers that their users choose; links and times are flat. Pure: time is
 * passed in. Thread: the control thread.
 */

const SLOTS = 1024;
/** A timer goes off at most this much late. */
export const TICK_MS = 10;
const NONE = -1;

export class TimerWheel {
  readonly #heads = new Int32Array(SLOTS).fill(NONE);
  #next = new Int32Array(64).fill(NONE);
  #previous = new Int32Array(64).fill(NONE);
  /** Tick of expiry; NONE: not set. */
  #due = new Float64Array(64).fill(NONE);
  #tick = 0;
  #count = 0;

  /** Timers that are set. */
  get count(): number {
    return this.#count;
  }

  /** Sets timer `id`, or sets it anew; a time that has passed is the next tick. */
  set(id: number, atMs: number): void {
    this.#grow(id);
    if (this.#due[id] !== NONE) this.cancel(id);
    const tick = Math.max(this.#tick + 1, Math.ceil(atMs / TICK_MS));
    const slot = tick % SLOTS;
    const head = this.#heads[slot]!;
    this.#due[id] = tick;
    this.#next[id] = head;
    this.#previous[id] = NONE;
    if (head !== NONE) this.#previous[head] = id;
    this.#heads[slot] = id;
    this.#count++;
  }

  cancel(id: number): void {
    if (id >= this.#due.length || this.#due[id] === NONE) return;
    const next = this.#next[id]!;
    const previous = this.#previous[id]!;
    if (previous === NONE) this.#heads[this.#due[id]! % SLOTS] = next;
    else this.#next[previous] = next;
    if (next !== NONE) this.#previous[next] = previous;
    this.#due[id] = NONE;
    this.#count--;
  }

  /** Expires what is due; `expire` may set and cancel timers. */
  advance(nowMs: number, expire: (id: number) => void): void {
    const until = Math.floor(nowMs / TICK_MS);
    if (this.#count === 0) {
      this.#tick = Math.max(this.#tick, until);
      return;
    }
    // After a long pause one round shows every slot; what is due in them is due.
    const first = Math.max(this.#tick + 1, until - SLOTS + 1);
    for (let tick = first; tick <= until; tick++) {
      this.#tick = tick;
      this.#expireSlot(tick % SLOTS, until, expire);
    }
    this.#tick = Math.max(this.#tick, until);
  }

  /** When to look next, in milliseconds: the next timer, or the end of a round; -1: never. */
  nextMs(): number {
    if (this.#count === 0) return -1;
    for (let tick = this.#tick + 1; tick < this.#tick + SLOTS; tick++) {
      for (let id = this.#heads[tick % SLOTS]!; id !== NONE; id = this.#next[id]!) {
        if (this.#due[id] === tick) return tick * TICK_MS;
      }
    }
    return (this.#tick + SLOTS) * TICK_MS;
  }

  #expireSlot(slot: number, until: number, expire: (id: number) => void): void {
    for (let id = this.#heads[slot]!; id !== NONE; ) {
      if (this.#due[id]! > until) {
        id = this.#next[id]!;
        continue;
      }
      this.cancel(id);
      expire(id);
      // What expired may have changed the list; what it set is due later.
      id = this.#heads[slot]!;
    }
  }

  #grow(id: number): void {
    const { length } = this.#due;
    if (id < length) return;
    const size = Math.max(length * 2, id + 1);
    const links = (old: Int32Array) => {
      const grown = new Int32Array(size).fill(NONE);
      grown.set(old);
      return grown;
    };
    this.#next = links(this.#next);
    this.#previous = links(this.#previous);
    const due = new Float64Array(size).fill(NONE);
    due.set(this.#due);
    this.#due = due;
  }
}
