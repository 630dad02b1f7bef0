/** Which packet path runs on which processor. */
import { describe, expect, it } from 'vitest';
import { chooseTier, type TierChoice } from './addon.js';

const tiers = [
  { tier: 'avx2', flags: ['avx2', 'bmi2'] },
  { tier: 'portable', flags: ['sse4_2'] },
];
const choice = (parts: Partial<TierChoice>): TierChoice => ({
  tiers,
  isBuilt: () => true,
  flags: new Set(['sse4_2', 'avx2', 'bmi2']),
  forced: '',
  ...parts,
});
const why = (parts: Partial<TierChoice>): string => {
  const answer = chooseTier(choice(parts));
  return answer instanceof Error ? answer.message : `chose ${answer}`;
};

describe('the tier of the packet path', () => {
  it('is the best that the processor runs', () => {
    expect(chooseTier(choice({}))).toBe('avx2');
    expect(chooseTier(choice({ flags: new Set(['sse4_2', 'avx2']) }))).toBe('portable');
    expect(chooseTier(choice({ tiers: [{ tier: 'portable', flags: [] }] }))).toBe('portable');
  });

  it('is the best that is built, when the best is not', () => {
    expect(chooseTier(choice({ isBuilt: (tier) => tier === 'portable' }))).toBe('portable');
  });

  it('can be forced', () => {
    expect(chooseTier(choice({ forced: 'portable' }))).toBe('portable');
    expect(why({ forced: 'avx512' })).toBe(
      'SLUICE_PATH_TIER is avx512, which is no tier that this processor runs: avx2 or portable',
    );
    expect(why({ forced: 'avx2', flags: new Set(['sse4_2']) })).toMatch(/runs: portable$/);
    const built = { isBuilt: (tier: string) => tier === 'avx2' };
    expect(why({ forced: 'portable', ...built })).toMatch(/run "npm run build -- --every-tier"$/);
  });

  it('says what to do where nothing fits', () => {
    expect(why({ isBuilt: () => false })).toBe(
      'the native part is not built for this processor (avx2 or portable); run "npm run build"',
    );
    expect(why({ flags: new Set() })).toBe(
      'this processor lacks sse4_2: no packet path is made for it',
    );
  });
});
