import { expect, it } from 'vitest';
import { addressText, readAddress } from './address-words.js';
import { AllowList } from './allow-list.js';

function has(list: AllowList, address: string): boolean {
  const words = new Uint32Array(6);
  const family = readAddress(address, words, 1);
  return list.has(family, words, 1);
}

it('has everybody while it is empty, and then only its prefixes', () => {
  expect(has(new AllowList(), '192.0.2.1')).toBe(true);
  const list = new AllowList(['10.1.2.3', '192.0.2.0/31', '2001:db8::/33', '::1/128']);
  for (const inside of ['10.1.2.3', '192.0.2.1', '2001:db8:7fff::5', '::1'])
    expect(has(list, inside)).toBe(true);
  for (const outside of ['10.1.2.4', '192.0.2.2', '2001:db8:8000::5', '::2', '::a01:203'])
    expect(has(list, outside)).toBe(false);
  expect(has(new AllowList(['0.0.0.0/0']), '::1')).toBe(false);
  expect(has(new AllowList(['0.0.0.0/0']), '203.0.113.9')).toBe(true);
});

it.each([
  '10.0.0.0/33',
  '::/129',
  'x',
  '',
  '10.0.0.0/',
  '10.0.0.0/8/8',
  '10.0.0.0/-1',
  '10.0.0.0/1e1',
])('refuses %j', (prefix) => {
  expect(() => new AllowList([prefix])).toThrow('is no IP prefix');
});

it('reads addresses with a zone, and writes what it read', () => {
  const words = new Uint32Array(4);
  expect(addressText(readAddress('fe80::1%eth0', words, 0), words, 0)).toBe('fe80::1');
  expect(addressText(readAddress('198.51.100.7', words, 0), words, 0)).toBe('198.51.100.7');
  expect(readAddress('localhost', words, 0)).toBe(0);
});
