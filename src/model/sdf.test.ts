import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { flowDescription } from './arbitrary.fixture.js';
import { RecordBuffer } from './record.js';
import * as layout from './record-layout.js';
import { FlowParser } from './sdf.js';

const parser = new FlowParser();
const record = new RecordBuffer();

function parse(text: string): boolean {
  const bytes = Buffer.from(`x${text}y`);
  return parser.parse(bytes, 1, bytes.length - 1);
}

/** The filter entry that the text makes. */
function filterOf(text: string): Uint32Array {
  expect([text, parse(text), parser.expected]).toEqual([text, true, parser.expected]);
  record.begin(0, 0, 0, 0, 0, 1);
  parser.write(record, record.filtersAt);
  return record.words.slice(record.filtersAt, record.filtersAt + layout.FILTER_WORDS);
}

function portsOf(entry: Uint32Array, word: number): string[] {
  const at = entry[word]! & 0xffff;
  return Array.from({ length: entry[word]! >>> 16 }, (_, index) => {
    const range = record.words[at + index]!;
    return `${range & 0xffff}-${range >>> 16}`;
  });
}

describe('flow description', () => {
  it('reads protocols, prefixes and ports', () => {
    const entry = filterOf('permit out udp from 203.0.113.77/24 5000-5010,53 to assigned 9');
    expect(entry[layout.FILTER_FLAGS]).toBe(
      layout.FILTER_FLOW | layout.FILTER_SOURCE_IPV4 | layout.FILTER_DESTINATION_ASSIGNED,
    );
    expect(entry[layout.FILTER_PROTOCOL]).toBe(17 | (24 << 8));
    expect(entry[layout.FILTER_SOURCE]).toBe(0xcb007100);
    expect(portsOf(entry, layout.FILTER_SOURCE_PORTS)).toEqual(['5000-5010', '53-53']);
    expect(portsOf(entry, layout.FILTER_DESTINATION_PORTS)).toEqual(['9-9']);
  });

  it('reads IPv6, any protocol and any place', () => {
    const entry = filterOf('permit out  ip from any to 2001:db8:ffff::1/33');
    expect(entry[layout.FILTER_FLAGS]).toBe(
      layout.FILTER_FLOW | layout.FILTER_ANY_PROTOCOL | layout.FILTER_DESTINATION_IPV6,
    );
    expect(entry[layout.FILTER_PROTOCOL]).toBe(33 << 16);
    expect([...entry.slice(layout.FILTER_DESTINATION, layout.FILTER_SOURCE_PORTS)]).toEqual([
      0x20010db8, 0x80000000, 0, 0,
    ]);
    expect(filterOf('permit out 58 from ff02::2/128 to assigned')[layout.FILTER_PROTOCOL]).toBe(
      58 | (128 << 8),
    );
    expect(filterOf('permit out ip from 1.2.3.4/0 to any')[layout.FILTER_SOURCE]).toBe(0);
  });

  it.each([
    ['tcp', 6],
    ['udp', 17],
    ['icmp', 1],
    ['icmp6', 58],
    ['ipv6-icmp', 58],
    ['sctp', 132],
    ['esp', 50],
    ['gre', 47],
    ['0', 0],
    ['255', 255],
  ])('knows protocol %s', (name, number) => {
    const entry = filterOf(`permit out ${name} from any to assigned`);
    expect(entry[layout.FILTER_PROTOCOL]).toBe(number);
  });

  it.each([
    ['', 1],
    ['permit', 7],
    ['deny out ip from any to assigned', 1],
    ['permit in ip from any to assigned', 8],
    ['permit out ip', 14],
    ['permit out uid from any to assigned', 12],
    ['permit out table(1) from any to assigned', 12],
    ['permit out 256 from any to assigned', 12],
    ['permit out 06 from any to assigned', 12],
    ['permit out ip from table(1) to assigned', 20],
    ['permit out ip from 2001:db8::/129 to assigned', 31],
    ['permit out ip from 10.0.0.0/33 to assigned', 29],
    ['permit out ip from 10.0.0.0/ to assigned', 29],
    ['permit out ip from 10.0.0 to assigned', 20],
    ['permit out udp from any 70000 to assigned', 25],
    ['permit out udp from any 5010-5000 to assigned', 25],
    ['permit out udp from any 1,2,3,4,5,6,7,8,9 to assigned', 41],
    ['permit out udp from any 80, to assigned', 28],
    ['permit out icmp from any 80 to assigned', 26],
    ['permit out ip from 10.0.0.1 to 2001:db8::1', 43],
    ['permit out ip from any to assigned ', 35],
    ['permit out ip from any to assigned keep-state', 35],
    ['permit out ip from !10.0.0.1 to assigned', 20],
    ['permit\tout ip from any to assigned', 1],
  ])('refuses "%s" at character %i', (text, column) => {
    expect(parse(text)).toBe(false);
    expect([parser.column, parser.expected]).toEqual([column, expect.stringMatching(/./)]);
  });

  it('refuses 64 kB at its limit', () => {
    expect(parse(`permit out ip from any to assigned${' '.repeat(65_000)}`)).toBe(false);
    expect(parser.column).toBe(513);
  });

  it('accepts all that the grammar allows, and no prefix of it that ends in a word', () => {
    fc.assert(
      fc.property(flowDescription, fc.nat(200), (text, cut) => {
        expect([text, parse(text), parser.expected]).toEqual([text, true, parser.expected]);
        parse(text.slice(0, cut % text.length));
        const [head] = text.split(' to ');
        expect(parse(`${head} to`)).toBe(false);
        expect(parse(head!)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it('never throws', () => {
    const word = fc.constantFrom(
      'permit',
      'out',
      'from',
      'to',
      'ip',
      ' ',
      '1',
      '/',
      '-',
      ',',
      '::',
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 30 }), (words) => {
        expect(typeof parse(words.join(''))).toBe('boolean');
      }),
      { numRuns: 2000 },
    );
  });
});
