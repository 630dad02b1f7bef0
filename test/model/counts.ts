/** What a run of the model has come by. */

export interface RunCounts {
  steps: number;
  packets: number;
  sent: number;
  held: number;
  operations: number;
  reports: number;
  restarts: number;
  walks: number;
  readonly dropped: Map<string, number>;
  readonly triggers: Map<string, number>;
  /** What peers became. */
  readonly paths: ReadonlyMap<string, number>;
}

export function newCounts(paths: ReadonlyMap<string, number>): RunCounts {
  return {
    steps: 0,
    packets: 0,
    sent: 0,
    held: 0,
    operations: 0,
    reports: 0,
    restarts: 0,
    walks: 0,
    dropped: new Map(),
    triggers: new Map(),
    paths,
  };
}

export function count1(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
