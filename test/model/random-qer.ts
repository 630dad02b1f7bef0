/** Random QERs: gates, rates that a burst exceeds, a shared bucket, marking. */
import type { Random } from './random.js';
import type { Qer } from './rules.js';
import { QFIS } from './small-world.js';

export function randomQers(random: Random): Qer[] {
  const rate = () => random.of([undefined, 0, 8, 8, 64, 1_000, 50_000]);
  const rates = (): Partial<Qer> => {
    const up = random.once(2) ? undefined : rate();
    const down = random.once(2) ? undefined : rate();
    return {
      ...(up === undefined || (up === 0 && !random.once(8)) ? {} : { uplink_mbr_kbps: up }),
      ...(down === undefined || (down === 0 && !random.once(8)) ? {} : { downlink_mbr_kbps: down }),
    };
  };
  const marking = (): Partial<Qer> => ({
    qfi: random.of(QFIS),
    ...(random.once(2) ? { rqi: true } : {}),
    ...(random.once(3) ? { ppi: random.below(8) } : {}),
  });
  const shared = { ...rates(), shared_bucket: 'ambr' };
  const all: Qer[] = [
    { id: 1, ...marking(), ...rates() },
    { id: 2, ...(random.once(2) ? marking() : {}), ...rates() },
    { id: 3, ...shared },
    { id: 4, ...shared, ...(random.once(4) ? marking() : {}) },
    {
      id: 5,
      ...(random.once(6) ? { uplink_gate_closed: true } : {}),
      ...(random.once(6) ? { downlink_gate_closed: true } : {}),
    },
  ];
  return random.some(all);
}

/** Members of a shared bucket keep their rates: they are one bucket's. */
export function changedQer(random: Random, qer: Qer): Qer {
  if (random.once(2)) return qer;
  if (qer.shared_bucket !== undefined) return { ...qer, uplink_gate_closed: random.once(4) };
  return { ...qer, uplink_mbr_kbps: random.of([64, 1_000]), downlink_gate_closed: random.once(4) };
}
