import { expect, it } from 'vitest';
import { parseConfig } from './config.js';

const configOf = (mtu: number, addresses: string, pools: string) =>
  parseConfig(
    `ports:
  - { name: n3, driver: memory, role: access, addresses: ${addresses}, mtu: ${mtu} }
  - { name: n6, driver: memory, role: core, uePools: ${pools} }
`,
    'sluice.yaml',
  );

it.each([
  [1323, '[10.0.0.1]', '["fd00:60::/40"]', 1324],
  [1343, '[10.0.0.1, "fd00::1"]', '[10.60.0.0/16, "fd00:60::/40"]', 1344],
])('an MTU of %d at %s leaves no room for IPv6 of %s', (mtu, addresses, pools, least) => {
  const complaint = `ports[0].mtu: must be at least ${least}: pools have IPv6`;
  expect(() => configOf(mtu, addresses, pools)).toThrow(complaint);
  expect(configOf(least, addresses, pools).ports[0]?.mtu).toBe(least);
  expect(configOf(1280, '[10.0.0.1]', '[10.60.0.0/16]').ports[0]?.mtu).toBe(1280);
});
