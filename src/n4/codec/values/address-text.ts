/** Addresses in octets to and from text: for edges only, as they make strings. Any thread. */
import { IpTextReader, ipv4Before, ipv6Before } from '../../../base/ip-text.js';
import { readIpv6, readWord, writeWord } from '../octets.js';

const TEXT_MAX = 40;
const scratch = Buffer.alloc(TEXT_MAX);
const words = new Uint32Array(4);
const reader = new IpTextReader();

export function ipv4Text(bytes: Uint8Array, at: number): string {
  return scratch.toString('latin1', ipv4Before(scratch, TEXT_MAX, readWord(bytes, at)));
}

export function ipv6Text(bytes: Uint8Array, at: number): string {
  readIpv6(bytes, at, words);
  return scratch.toString('latin1', ipv6Before(scratch, TEXT_MAX, words, 0));
}

/** 4 octets; undefined: it is no IPv4 address. */
export function parseIpv4(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'latin1');
  if (reader.readIpv4(bytes, 0, bytes.length) !== bytes.length) return undefined;
  const value = new Uint8Array(4);
  writeWord(value, 0, reader.ipv4);
  return value;
}

/** 16 octets; undefined: it is no IPv6 address. */
export function parseIpv6(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'latin1');
  if (reader.readIpv6(bytes, 0, bytes.length) !== bytes.length) return undefined;
  const value = new Uint8Array(16);
  for (let word = 0; word < 4; word++) writeWord(value, word * 4, reader.ipv6[word]!);
  return value;
}
