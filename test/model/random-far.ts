/** Random FARs by their IDs, which PDRs choose from, and the BARs of those that buffer. */
import type { Random } from './random.js';
import type { Bar, Far, Forward } from './rules.js';
import { SESSIONS } from './small-world.js';

export function randomFars(
  random: Random,
  number: number,
): { readonly fars: Far[]; readonly bars: Bar[] } {
  const tunnel = (address: object, more: object = {}): Forward => ({
    destination_interface: 'access',
    outer_header_creation: {
      // FARs of a session meet in a tunnel, and now and then two sessions in one.
      teid: random.once(3)
        ? random.of([0x70, 0x71]) + 2 * (random.once(8) ? number >> 1 : number + SESSIONS)
        : random.between(1, 0xffff_ffff),
      ...address,
      ...more,
    },
    ...(random.once(4) ? { dscp: random.of([0, 46, 63]) } : {}),
  });
  const toCore = (): Forward => ({
    destination_interface: 'core',
    network_instance: random.of(['internet', 'ims']),
  });
  const toUpf = (address: object): Forward => ({
    ...tunnel(address),
    destination_interface: random.once(3) ? 'cp_function' : 'core',
  });
  const gnb = () => tunnel({ ipv4: random.of(['10.0.0.2', '10.0.0.3']) });
  const copies = () =>
    Array.from({ length: random.between(1, 2) }, () =>
      random.of([() => toUpf({ ipv4: '10.0.0.8' }), () => tunnel({ ipv6: 'fd00::8' }), toCore])(),
    );
  const bars = [
    { id: 1, notification_delay: random.of(['0.1s', '1s', '5s']) },
    { id: 2, packet_limit: random.of([1, 3, 40]) },
  ];
  const buffer = {
    ...(random.once(3) ? {} : { notify: true }),
    ...(random.once(2) ? { bar_id: random.of([1, 2]) } : {}),
  };
  const fars: Far[] = [
    { id: 1, forward: toCore() },
    { id: 2, forward: gnb() },
    { id: 3, forward: tunnel({ ipv6: 'fd00::2' }, random.once(3) ? { udp_port: 2153 } : {}) },
    { id: 4, drop: {} },
    { id: 5, forward: { destination_interface: 'access' } },
    { id: 6, forward: toUpf({ ipv4: '10.0.0.9' }) },
    { id: 7, forward: toUpf({ ipv6: 'fd00::9' }) },
    { id: 8, forward: gnb() },
    { id: 9, buffer },
    { id: 10, forward: gnb(), duplicates: copies() },
    { id: 11, forward: toCore(), duplicates: copies() },
    { id: 12, drop: {}, duplicates: copies() },
  ];
  return { fars, bars };
}
