/** The model in the unit tests: fixed seeds, and a fresh one that is printed. `npm run model` runs longer. */
import { describe, expect, it } from 'vitest';
import { Mismatch } from './history.js';
import { ModelRun } from './run.js';

const STEPS = 40_000;
const PATIENCE_MS = 600_000;
const REASONS = [
  'no_pdr',
  'spoofed_source',
  'martian',
  'gate_closed',
  'mbr_exceeded',
  'quota_exhausted',
  'hold_expired',
  'mtu_exceeded',
  'ttl_exceeded',
  'end_marker',
  'gtpu_echo',
  'gtpu_unknown_extension',
  'error_indication',
  'error_indication_forged',
  'extensions_notification',
];
const TRIGGERS = [
  'periodic',
  'volume_threshold',
  'volume_quota',
  'time_threshold',
  'time_quota',
  'immediate',
  'termination',
  'start',
  'stop',
  'linked',
  'monitoring_time',
  'quota_validity_time',
  'dropped_downlink',
  'end_marker',
  'envelope_closure',
];
const fresh = Date.now() % 1_000_000_000;

describe('the packet path does what the model says', () => {
  it.each([1, 2, 3])(
    'with seed %i',
    async (seed) => {
      const counts = await ModelRun.play({ seed, steps: STEPS });
      expect(counts.steps).toBeGreaterThanOrEqual(STEPS);
      // The sequences reach the rules that they are for.
      for (const reason of REASONS) {
        expect(counts.dropped.get(reason), reason).toBeGreaterThan(0);
      }
      for (const trigger of TRIGGERS) {
        expect(counts.triggers.get(trigger), trigger).toBeGreaterThan(0);
      }
      for (const state of ['up', 'down']) {
        expect(counts.paths.get(state), state).toBeGreaterThan(0);
      }
      expect(counts.sent).toBeGreaterThan(STEPS / 5);
      expect(counts.held).toBeGreaterThan(0);
      expect(counts.walks).toBeGreaterThan(0);
    },
    PATIENCE_MS,
  );

  it(
    'with a seed of its own',
    async () => {
      process.stdout.write(`model: seed ${fresh}\n`);
      await ModelRun.play({ seed: fresh, steps: STEPS });
    },
    PATIENCE_MS,
  );

  it('and a difference would name its seed and step', () => {
    const { message } = new Mismatch(7, 42, 'a report differs', '');
    expect(message).toContain('npm run model -- --seed 7 --until 42');
  });
});
