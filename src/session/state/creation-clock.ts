/**
 * When sessions are made: the time of day, by which those of before some moment and those of
 * later can be told apart, also when the clock steps back or the process ends between the two.
 * Owner: the control thread.
 */
import type { Clock } from '../../base/clock.js';

export class CreationClock {
  /** The latest time that a session has. */
  #latest = 0;
  #from = 0;

  constructor(private readonly now: Clock) {}

  /** Of a session that is made now; milliseconds since 1970. */
  next(): number {
    const time = Math.max(this.now(), this.#from);
    this.saw(time);
    return time;
  }

  /** A session of an earlier run has it. */
  saw(time: number): void {
    if (time > this.#latest) this.#latest = time;
  }

  /** A time that all sessions made so far are older than, and none that is made later. */
  divide(): number {
    this.divideAt(Math.max(this.#latest + 1, this.now()));
    return this.#from;
  }

  /** divide() gave it in an earlier run: no session that is made later is older. */
  divideAt(time: number): void {
    this.#from = Math.max(this.#from, time);
  }
}
