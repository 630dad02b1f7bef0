import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from './address.js';
import { canonicalText, packetOf, textOf } from './text.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('packets as text', () => {
  it.each([
    'gtpu 10.0.0.2 > 10.0.0.1 teid 0x100 ul qfi 9 | udp 10.60.0.7:4000 > 203.0.113.9:443 100',
    'gtpu fd00::2 > fd00::1 teid 0x1 tos 0xb8 dl qfi 5 rqi ppi 3 | tcp [fd00:60::7]:1 > [2001:db8::9]:443 80 tos 0x20 flow 0x7',
    'gtpu 10.0.0.2:40000 > 10.0.0.1 teid 0x0 echo-request seq 7 body 0e00',
    'gtpu 10.0.0.2 > 10.0.0.1 teid 0x1 | esp 10.60.0.7 > 203.0.113.9 120 spi 0x11',
    'icmp6 fe80::1 > ff02::2 64 ttl 255 type 133/0',
    'udp 10.60.0.7:1 > 203.0.113.9:2 1500 id 9 df',
    'udp 10.60.0.7 > 203.0.113.9 100 id 3 frag 1480',
    'udp [fd00::1]:7 > [fd00::2]:8 1280 id 3 frag 0+',
    'ip 89 10.60.0.7 > 203.0.113.9 40',
  ])('come back as they were: %s', (text) => {
    expect(canonicalText(text)).toBe(text);
  });

  it('are the bytes of the specification', () => {
    // Conformance section 4: downlink with QFI 9, and RQI with PPI 5.
    const gtpu = (options: string) =>
      hex(packetOf(`gtpu 10.0.0.2 > 10.0.0.1 teid 0x01020304 ${options} | hex 45`)).slice(56);
    expect(gtpu('dl qfi 9')).toBe('34ff0009010203040000008501000900 45'.replace(' ', ''));
    expect(gtpu('dl qfi 9 rqi ppi 5')).toBe(
      '34ff000d010203040000008502 00c9a000000000 45'.replaceAll(' ', ''),
    );
    const marker = packetOf('gtpu 10.0.0.2 > 10.0.0.1 teid 0x55 end-marker');
    expect(hex(marker).slice(56)).toBe('30fe000000000055');
  });

  it('say what is wrong with bytes that are no packet', () => {
    expect(textOf(packetOf('hex 4500'), false)).toMatch(/^hex 4500 \(/);
    const spoiled = packetOf('udp 10.60.0.7:1 > 203.0.113.9:2 60');
    spoiled[11]! ^= 1;
    spoiled[50]! ^= 1;
    const text = textOf(spoiled, false);
    expect(text).toContain('wrong IP checksum');
    expect(text).toContain('wrong transport checksum');
    expect(text).toContain('payload ');
  });

  it('have addresses as they are written everywhere', () => {
    for (const text of [
      '::',
      '::1',
      'fe80::1',
      '2001:db8::9',
      '1:2:3:4:5:6:7:8',
      '1::',
      '10.0.0.1',
    ])
      expect(formatAddress(parseAddress(text))).toBe(text);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (address) => {
        expect(parseAddress(formatAddress(address))).toEqual(address);
      }),
    );
  });
});
