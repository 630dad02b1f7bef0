import { expect, it } from 'vitest';
import { describeMessage } from '../../n4/codec/describe.js';
import { MessageReader } from '../../n4/codec/message-reader.js';
import {
  associationRelease,
  associationSetup,
  deletion,
  establishment,
  type LoadSessions,
  modification,
} from './load-requests.js';
import type { RequestTemplate } from './smf-addon.js';

const V4: LoadSessions = {
  own: '192.0.2.1',
  startedAt: 1_700_000_000,
  firstUe: '10.60.0.1',
  networkInstance: 'internet',
  accessInstance: 'access',
  gnb: '192.0.2.2',
};
const V6 = { ...V4, own: '2001:db8::1', firstUe: '2001:db8:1::', gnb: '2001:db8::2' };

/** The octets of a patched place, as the native side would write them. */
function patched({ request, patches }: RequestTemplate, session: number): Uint8Array {
  const bytes = Buffer.from(request);
  for (const { kind, offset } of patches) {
    if (kind === 'cpSeid') bytes.writeBigUInt64BE(0x5566_0000_0000n + BigInt(session), offset);
    else bytes.writeUInt32BE(bytes.readUInt32BE(offset) + session, offset);
  }
  return bytes;
}

it.each([V4, V6])('are messages that every codec reads ($own)', (sessions) => {
  const reader = new MessageReader();
  const all = [associationSetup, associationRelease, establishment, modification, deletion];
  for (const make of all) {
    const { request } = make(sessions);
    expect(reader.read(request, 0, request.length)).toBe(true);
  }
});

it('differ in what belongs to a session, and in nothing else', () => {
  const template = establishment(V4);
  const first = describeMessage(patched(template, 0))!;
  const other = describeMessage(patched(template, 258))!;
  const text = (value: unknown): string => JSON.stringify(value);
  expect(text(first.elements)).toContain('"seid":"0x0000556600000000"');
  expect(text(other.elements)).toContain('"seid":"0x0000556600000102"');
  expect(text(first.elements).match(/"ipv4":"10.60.0.1"/g)).toHaveLength(2);
  expect(text(other.elements).match(/"ipv4":"10.60.1.3"/g)).toHaveLength(2);
  expect(text(other.elements)).toContain('"teid":"0x10000102"');
  expect(text(other.elements).replaceAll('10.60.1.3', '10.60.0.1').replaceAll('0102', '0000')).toBe(
    text(first.elements),
  );
});

it('count up the prefix of IPv6 addresses', () => {
  const text = JSON.stringify(describeMessage(patched(establishment(V6), 5)));
  expect(text.match(/"ipv6":"2001:db8:1:5::"/g)).toHaveLength(2);
});

it('ask for another tunnel with each modification', () => {
  const text = JSON.stringify(describeMessage(patched(modification(V4), 7)));
  expect(text).toContain('"teid":"0x10000007"');
});
