/**
 * Packets for tests, written and read from the specifications and by nothing of the product:
 * fields to bytes, bytes to fields, and both to a line of text that people can read
 * (text.ts). IP addresses are 4 or 16 bytes, most significant first. Pure; any thread.
 */
import { isIPv4, isIPv6 } from 'node:net';

export type Address = Uint8Array;

export function parseAddress(text: string): Address {
  if (isIPv4(text)) return Uint8Array.from(text.split('.').map(Number));
  if (!isIPv6(text)) throw new Error(`"${text}" is no IP address`);
  const [head, tail] = text.split('::') as [string, string?];
  const groups = (part: string | undefined) =>
    part === undefined || part === '' ? [] : part.split(':').map((g) => Number.parseInt(g, 16));
  const before = groups(head);
  const after = groups(tail);
  const middle = new Array<number>(8 - before.length - after.length).fill(0);
  const words = tail === undefined ? before : [...before, ...middle, ...after];
  return Uint8Array.from(words.flatMap((word) => [word >>> 8, word & 0xff]));
}

export function formatAddress(address: Address): string {
  if (address.length === 4) return address.join('.');
  const words = Array.from({ length: 8 }, (_, i) =>
    ((address[2 * i]! << 8) | address[2 * i + 1]!).toString(16),
  );
  const text = words.join(':');
  // The longest run of zeros becomes "::".
  const runs = [...text.matchAll(/(?<![^:])0(?::0)+(?![^:])/g)];
  const longest = runs.sort((a, b) => b[0].length - a[0].length)[0];
  if (longest === undefined) return text;
  const before = text.slice(0, longest.index).replace(/:$/, '');
  const after = text.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${before}::${after}`;
}

export function sameAddress(a: Address, b: Address): boolean {
  return a.length === b.length && startsWith(a, b, a.length * 8);
}

/** Whether the first `bits` bits of both are the same. */
export function startsWith(address: Address, prefix: Address, bits: number): boolean {
  if (address.length !== prefix.length) return false;
  const whole = bits >>> 3;
  for (let i = 0; i < whole; i++) if (address[i] !== prefix[i]) return false;
  const rest = bits & 7;
  return rest === 0 || ((address[whole]! ^ prefix[whole]!) & (0xff00 >>> rest) & 0xff) === 0;
}

export function isLinkLocal(address: Address): boolean {
  return address.length === 16 && address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}
