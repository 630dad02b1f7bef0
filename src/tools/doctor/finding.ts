/**
 * `sluice doctor`: whether a machine can run a configuration, and what mends it where it
 * can't. Checks are pure functions of a {@link Probe}, which reads the machine; any thread.
 * Start with examine() in doctor.ts.
 */

/** By severity. Only an error keeps the node from doing what the configuration says. */
export const LEVELS = ['ok', 'note', 'warning', 'error'] as const;
export type Level = (typeof LEVELS)[number];

export interface Finding {
  /** Which check says so: "hugepages", "cores"… */
  readonly check: string;
  readonly level: Level;
  /** What was found, with figures. */
  readonly found: string;
  /** What follows from it for the node. */
  readonly means?: string;
  /** The command that mends it, to be typed as it stands. */
  readonly mend?: string;
}

/** Makes the findings of one check. */
export class Findings {
  readonly all: Finding[] = [];

  constructor(private readonly check: string) {}

  ok(found: string): void {
    this.all.push({ check: this.check, level: 'ok', found });
  }
  note(found: string, means?: string, mend?: string): void {
    this.add('note', found, means, mend);
  }
  warning(found: string, means: string, mend?: string): void {
    this.add('warning', found, means, mend);
  }
  error(found: string, means: string, mend?: string): void {
    this.add('error', found, means, mend);
  }
  /** Of a level that depends. */
  add(level: Level, found: string, means?: string, mend?: string): void {
    this.all.push({
      check: this.check,
      level,
      found,
      ...(means !== undefined && { means }),
      ...(mend !== undefined && { mend }),
    });
  }
}
