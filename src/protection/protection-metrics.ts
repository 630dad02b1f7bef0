/** Protections in the node's metrics (docs/METRICS.md). Owner: the control thread. */
import type { Metrics } from '../base/metrics.js';
import { PROTECTION_EVENT_KINDS } from './protection-watch.js';
import type { Protections } from './protections.js';

export function countProtections(protections: Protections, metrics: Metrics): void {
  const gauge = metrics.gauge('sluice_protections', 'Protections that there are');
  const events = metrics.counter(
    'sluice_protection_events_total',
    'Events of protections: lifetimes near their end (rekeying_wanted, expired), refused packets at a rate (not_genuine, replayed, unknown_spi)',
    ['kind'],
  );
  metrics.onScrape(() => gauge.set(protections.count));
  for (const kind of PROTECTION_EVENT_KINDS) events.inc({ kind }, 0);
  protections.watch(({ kind }) => events.inc({ kind }));
}
