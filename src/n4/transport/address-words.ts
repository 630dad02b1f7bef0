/**
 * IP addresses as the four words of transport.ts, from and to text. Pure but for the buffers
 * of this module, which the control thread has for itself.
 */
import { IpTextReader, ipv4Before, ipv6Before } from '../../base/ip-text.js';

export const ADDRESS_WORDS = 4;
/** Longest text of an address, without a zone. */
const TEXT_MAX = 45;

const reader = new IpTextReader();
const encoder = new TextEncoder();
const text = Buffer.alloc(TEXT_MAX);

/**
 * Writes the address into four words; a zone (%eth0) is left out, and IPv4 inside IPv6
 * stays IPv6. Returns 4 or 6, 0: it is no address.
 */
export function readAddress(address: string, words: Uint32Array, at: number): number {
  const zone = address.indexOf('%');
  const plain = zone < 0 ? address : address.slice(0, zone);
  if (plain.length > TEXT_MAX) return 0;
  const { written } = encoder.encodeInto(plain, text);
  words.fill(0, at, at + ADDRESS_WORDS);
  if (reader.readIpv4(text, 0, written) === written) {
    words[at] = reader.ipv4;
    return 4;
  }
  if (reader.readIpv6(text, 0, written) !== written) return 0;
  words.set(reader.ipv6, at);
  return 6;
}

/** The address of `family` at words[at…]. */
export function addressText(family: number, words: Uint32Array, at: number): string {
  const start =
    family === 4 ? ipv4Before(text, TEXT_MAX, words[at]!) : ipv6Before(text, TEXT_MAX, words, at);
  return text.toString('latin1', start, TEXT_MAX);
}
