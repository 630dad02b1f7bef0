/** One way to do an operation. */
export interface Candidate {
  /** Who does it. */
  readonly by: string;
  /** Messages that an operation does. */
  readonly messages: number;
  /** Does so many operations in a row. @returns the nanoseconds that they took */
  time(operations: number): number;
}

/** Rounds in which all candidates take their turn, so that a slow moment hits all of them. */
const ROUNDS = 5;
const OPERATIONS_MAX = 1 << 24;

/**
 * Nanoseconds that each candidate takes for a message: the median of interleaved rounds.
 * @param timeMs  that a candidate gets in all, about
 */
export function measure(candidates: readonly Candidate[], timeMs: number): Map<string, number> {
  const roundNs = (timeMs * 1e6) / ROUNDS;
  const operations = candidates.map((candidate) => operationsFor(candidate, roundNs));
  const found = candidates.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    candidates.forEach((candidate, i) => {
      const spent = candidate.time(operations[i]!);
      found[i]!.push(spent / operations[i]! / candidate.messages);
    });
  }
  return new Map(candidates.map(({ by }, i) => [by, median(found[i]!)]));
}

/** A candidate of JavaScript: a function that is called. */
export function calling(by: string, operation: () => void): Candidate {
  return {
    by,
    messages: 1,
    time(operations) {
      const start = process.hrtime.bigint();
      for (let i = 0; i < operations; i++) operation();
      return Number(process.hrtime.bigint() - start);
    },
  };
}

/** How many take about so long; found by doubling, which warms code and caches up, too. */
function operationsFor(candidate: Candidate, ns: number): number {
  // The first one may load a library.
  candidate.time(1);
  for (let operations = 1; ; operations *= 2) {
    const spent = candidate.time(operations);
    if (spent >= ns / 2 || operations >= OPERATIONS_MAX) {
      return Math.max(1, Math.round((operations * ns) / Math.max(spent, 1)));
    }
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
