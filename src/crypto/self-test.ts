import { SluiceError } from '../base/errors.js';
import { nativeCrypto, type Tier } from './native.js';
import { sm2KnownAnswers } from './sm2/known-answers.js';

/** One thing that was tried. */
export interface SelfTestResult {
  /** Such as "SM3". */
  readonly algorithm: string;
  /** How: "stream", "lanes", "pairwise"… */
  readonly mode: string;
  /** Whose code: a tier of ours, or "openssl". */
  readonly by: Tier | 'openssl';
  readonly holds: boolean;
}

export interface SelfTestReport {
  /** The tier that this process uses. */
  readonly tier: Tier;
  readonly results: readonly SelfTestResult[];
}

/**
 * Known answers of every algorithm, mode and tier that runs here, and a fresh SM2 key. It takes some
 * tens of milliseconds on the thread of the caller.
 */
export function selfTest(): SelfTestReport {
  const native = nativeCrypto();
  const ours = native
    .knownAnswers()
    .map(({ algorithm, mode, tier, holds }) => ({ algorithm, mode, by: tier, holds }));
  return { tier: native.activeTier(), results: [...ours, ...sm2Results()] };
}

function sm2Results(): SelfTestResult[] {
  return sm2KnownAnswers().map(({ mode, holds }) => ({
    algorithm: 'SM2',
    mode,
    by: 'openssl' as const,
    holds,
  }));
}

/** A sentence on what does not hold; undefined: all does. Pure. */
export function selfTestFailure({ results }: SelfTestReport): string | undefined {
  const failed = results.filter(({ holds }) => !holds);
  if (failed.length === 0) return undefined;
  const texts = failed.map(({ algorithm, mode, by }) => `${algorithm} (${mode}, ${by})`);
  return `the self test of cryptography failed: ${texts.join(', ')}`;
}

/**
 * The tier of a report in which all holds.
 * @throws SluiceError failed_precondition that names what does not
 */
export function passedTier(report: SelfTestReport): Tier {
  const failure = selfTestFailure(report);
  if (failure !== undefined) throw new SluiceError('failed_precondition', failure);
  return report.tier;
}
