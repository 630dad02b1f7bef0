/** Turns the wheel: one timer of the event loop, for whatever in the wheel is due first. */
import type { Scheduler } from '../scheduler.js';
import { TICK_MS, TimerWheel } from './timer-wheel.js';

export class WheelAlarm {
  readonly #wheel = new TimerWheel();
  /** When the earliest alarm goes off that is set; Infinity: none is. */
  #armedAt = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly expired: (id: number) => void,
  ) {
    this.#wheel.advance(scheduler.now(), expired);
  }

  set(id: number, atMs: number): void {
    this.#wheel.set(id, atMs);
    this.#arm(atMs);
  }
  cancel(id: number): void {
    this.#wheel.cancel(id);
  }
  stop(): void {
    this.#stopped = true;
  }

  #arm(atMs: number): void {
    if (atMs >= this.#armedAt || this.#stopped) return;
    this.#armedAt = atMs;
    const ms = Math.max(TICK_MS, atMs - this.scheduler.now() + 1);
    this.scheduler.after(ms, () => this.#ring(atMs));
  }

  #ring(atMs: number): void {
    // An alarm that an earlier one has replaced.
    if (this.#stopped || atMs !== this.#armedAt) return;
    this.#armedAt = Number.POSITIVE_INFINITY;
    this.#wheel.advance(this.scheduler.now(), this.expired);
    const next = this.#wheel.nextMs();
    if (next >= 0) this.#arm(next);
  }
}
