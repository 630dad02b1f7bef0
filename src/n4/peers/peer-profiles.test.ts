import { expect, it } from 'vitest';
import { parseConfig } from '../../base/config/config.js';
import { addressOf } from './peer-address.js';
import { PeerProfiles } from './peer-profiles.js';

const profiles = new PeerProfiles(
  parseConfig(
    `n4:
  retainSessions: false
  peers:
    - { nodeId: SMF.example.org, addresses: [10.0.0.2, '2001:DB8::/32'], profile: oai, retainSessions: true }
    - { nodeId: '2001:db8:0::9', profile: sd-core }
    - { addresses: [10.0.0.0/8], featureOctets: 3, sharedFTeid: true }
`,
    'x.yaml',
  ).n4,
);
const of = (nodeId: string, address: string) => profiles.of(nodeId, addressOf(address)!);
const place = (nodeId: string, address: string) => profiles.placeOf(nodeId, addressOf(address)!);

it('takes the first entry that fits, over what its SMF needs', () => {
  const oai = { name: 'oai', featureOctets: 2, sharedFTeid: false, retainSessions: true };
  expect(of('smf.example.org', '10.0.0.2')).toEqual(oai);
  expect(of('smf.example.org', '2001:db8::7')).toEqual(oai);
  expect(of('2001:db8::9', '192.0.2.1')).toMatchObject({ name: 'sd-core', sharedFTeid: true });
  expect(of('smf.example.org', '10.9.9.9')).toEqual({
    ...{ name: 'auto', featureOctets: 3, sharedFTeid: true, retainSessions: false },
  });
  expect(of('other', '192.0.2.1')).toEqual({
    ...{ name: 'auto', featureOctets: 0, sharedFTeid: 'auto', retainSessions: false },
  });
});

it('ties Node IDs to addresses where both are given', () => {
  expect(place('smf.example.org', '10.0.0.2')).toBe('here');
  expect(place('smf.example.org', '10.0.0.3')).toBe('elsewhere');
  expect(place('2001:db8::9', '10.0.0.3')).toBe('unknown');
  expect(place('other', '10.0.0.2')).toBe('unknown');
});
