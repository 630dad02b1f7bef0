import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decimalBefore, IpTextReader, ipv4Before, ipv6Before } from './ip-text.js';

const reader = new IpTextReader();
const bytesOf = (text: string) => Buffer.from(text, 'latin1');
const ipv4Of = (text: string) => {
  const bytes = bytesOf(text);
  return reader.readIpv4(bytes, 0, bytes.length) === bytes.length ? reader.ipv4 >>> 0 : undefined;
};
const ipv6Of = (text: string) => {
  const bytes = bytesOf(text);
  return reader.readIpv6(bytes, 0, bytes.length) === bytes.length ? [...reader.ipv6] : undefined;
};
const textOf = (write: (bytes: Uint8Array, end: number) => number) => {
  const bytes = Buffer.alloc(64);
  return bytes.toString('latin1', write(bytes, 60), 60);
};
/** Platform's own normal form of an IPv6 address. */
const normal = (text: string) => new URL(`http://[${text}]/`).hostname.slice(1, -1);

describe('IP text', () => {
  it('reads IPv4', () => {
    expect(ipv4Of('10.0.0.1')).toBe(0x0a000001);
    expect(ipv4Of('255.255.255.255')).toBe(0xffffffff);
    for (const bad of ['', '1.2.3', '1.2.3.4.5', '256.1.1.1', '01.2.3.4', '1..2.3', '1.2.3.4 ']) {
      expect([bad, ipv4Of(bad)]).toEqual([bad, undefined]);
    }
  });

  it('reads IPv6', () => {
    expect(ipv6Of('2001:db8::1')).toEqual([0x20010db8, 0, 0, 1]);
    expect(ipv6Of('::')).toEqual([0, 0, 0, 0]);
    expect(ipv6Of('::ffff:192.0.2.1')).toEqual([0, 0, 0xffff, 0xc0000201]);
    expect(ipv6Of('1:2:3:4:5:6:7::')).toEqual([0x10002, 0x30004, 0x50006, 0x70000]);
    for (const bad of [':', ':::', '1:2', '1::2::3', '1:2:3:4:5:6:7:8:', '1:2:3:4:5:6:7:8:9']) {
      expect([bad, ipv6Of(bad)]).toEqual([bad, undefined]);
    }
    for (const bad of ['12345::', '::g', ':1::', '1:2:3:4:5:6:7:1.2.3.4', '::1.2.3', 'fe80::1%1']) {
      expect([bad, ipv6Of(bad)]).toEqual([bad, undefined]);
    }
  });

  it('accepts what the platform accepts, and nothing else', () => {
    const pieces = fc.constantFrom(
      '0',
      '1',
      '25',
      '255',
      '256',
      'f',
      'ab12',
      '.',
      ':',
      '::',
      '1.2.3.4',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 17 }), (parts) => {
        const text = parts.join('');
        expect([text, ipv4Of(text) !== undefined]).toEqual([text, isIPv4(text)]);
        expect([text, ipv6Of(text) !== undefined]).toEqual([text, isIPv6(text)]);
      }),
      { numRuns: 2000 },
    );
  });

  it('reads back what it writes, in the normal form', () => {
    const word = fc.oneof(fc.nat(0xffff), fc.constantFrom(0, 0x10000, 0xffffffff), fc.nat());
    fc.assert(
      fc.property(fc.array(word, { minLength: 4, maxLength: 4 }), (words) => {
        const address = Uint32Array.from(words);
        const text = textOf((bytes, end) => ipv6Before(bytes, end, address, 0));
        expect(text).toBe(normal(text));
        expect(ipv6Of(text)).toEqual([...address]);
        const ipv4 = textOf((bytes, end) => ipv4Before(bytes, end, address[0]!));
        expect(ipv4Of(ipv4)).toBe(address[0]);
      }),
      { numRuns: 1000 },
    );
  });

  it('writes numbers', () => {
    expect(textOf((bytes, end) => decimalBefore(bytes, end, 0))).toBe('0');
    expect(textOf((bytes, end) => decimalBefore(bytes, end, 4294967295))).toBe('4294967295');
  });
});
