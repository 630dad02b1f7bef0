/** Time for N4, as tests replace it. */
export interface Scheduler {
  /** Milliseconds that only grow. */
  now(): number;
  /** Runs once, in `ms` milliseconds or a little later. */
  after(ms: number, run: () => void): void;
  /** Runs behind what the event loop has waiting. */
  defer(run: () => void): void;
}

export const systemScheduler: Scheduler = {
  now: () => performance.now(),
  after: (ms, run) => {
    setTimeout(run, ms).unref();
  },
  defer: (run) => {
    setImmediate(run);
  },
};
