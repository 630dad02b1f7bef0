/**
 * What every bench module agrees on. A module `<family>.bench.ts` default-exports a function
 * of (report, options) and reports names that begin with its family; one that has more than
 * one family exports `families`. Start at run.ts. One thread, that of the runner.
 */

/** One figure: the median of its runs, with the least and the greatest. */
export interface BenchResult {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
}

/** Takes a figure as soon as it is known: it is shown at once. */
export type Report = (result: BenchResult) => void;

export interface BenchOptions {
  /** Fewer runs and smaller sizes: to see that a bench works, not for figures to quote. */
  readonly quick: boolean;
  /** The prefix that is asked for, for native programs; empty: everything. */
  readonly only: string;
  /** Whether this name, or anything below it, is asked for; skip work that is not. */
  readonly wanted: (name: string) => boolean;
  /** Says what is going on, for people. */
  readonly say: (text: string) => void;
}

export interface BenchModule {
  readonly default: (report: Report, options: BenchOptions) => Promise<void>;
  /** Prefixes of the names that it reports; by default the file's name and a slash. */
  readonly families?: readonly string[];
}

/** The figure of several runs of the same thing. */
export function summarize(name: string, unit: string, values: readonly number[]): BenchResult {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.floor(sorted.length / 2)];
  if (value === undefined) throw new Error(`${name}: no run`);
  return { name, value, unit, min: sorted[0]!, max: sorted.at(-1)!, runs: sorted.length };
}

/** Whether a bench named `name`, or one below it, is asked for by a prefix. */
export function matches(name: string, only: string): boolean {
  return name.startsWith(only) || only.startsWith(name);
}
