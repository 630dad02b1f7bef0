/** Random SDF filters of the small world. */
import type { Random } from './random.js';
import type { SdfFilter } from './rules.js';
import { FLOW_LABELS, REMOTES_V4, REMOTES_V6, SPIS, TOS } from './small-world.js';

export function randomFilters(random: Random): { sdf_filters?: SdfFilter[] } {
  if (random.once(2)) return {};
  const sdf_filters = Array.from({ length: random.between(1, 2) }, () => randomFilter(random));
  return { sdf_filters };
}

/** Everything with one type of service: what another rule takes, too, unless the order says so. */
export function markedTraffic(random: Random): { sdf_filters: SdfFilter[] } {
  const flow_description = 'permit out ip from any to assigned';
  return { sdf_filters: [{ flow_description, tos: random.of(TOS), tos_mask: 0xff }] };
}

function randomFilter(random: Random): SdfFilter {
  const extra: SdfFilter = {
    ...(random.once(6) ? { tos: random.of(TOS), tos_mask: random.of([0xff, 0xfc, 0x20]) } : {}),
    ...(random.once(12) ? { spi: random.of(SPIS) } : {}),
    ...(random.once(12) ? { flow_label: random.of(FLOW_LABELS) } : {}),
  };
  if (Object.keys(extra).length > 0 && random.once(2)) return extra;
  const protocol = random.of(['ip', 'ip', '17', 'udp', '6', '1', 'esp', '51', '132', '89']);
  const ports = ['ip', '17', 'udp', '6', '132'].includes(protocol);
  const from = random.of([
    'any',
    ...REMOTES_V4,
    '203.0.113.0/24',
    '203.0.113.0/25',
    '0.0.0.0/0',
    '2001:db8::/32',
    '2001:db8::/47',
    '::/0',
    ...REMOTES_V6,
  ]);
  const fromPorts = ports && random.once(3) ? ` ${randomPorts(random)}` : '';
  const toPorts = ports && random.once(5) ? ` ${randomPorts(random)}` : '';
  const to = random.of(['assigned', 'assigned', 'any', '10.60.1.0/28', 'fd00:60::/44']);
  const mixed = from !== 'any' && to.includes('.') !== from.includes('.');
  const place = mixed && to !== 'any' ? 'assigned' : to;
  const flow_description = `permit out ${protocol} from ${from}${fromPorts} to ${place}${toPorts}`;
  return { flow_description, ...extra };
}

function randomPorts(random: Random): string {
  return random.of(['53', '80,443', '5000-5010', '53,5000-5009', '0-65535', '40000']);
}
