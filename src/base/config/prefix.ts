import { isIP } from 'node:net';

/** An IP prefix as numbers: what comparing two of them needs. */
export interface Prefix {
  readonly family: 4 | 6;
  readonly bits: bigint;
  readonly length: number;
}

/** "10.60.0.0/16" or "fd00:60::/40"; undefined when it is neither. */
export function parsePrefix(text: string): Prefix | undefined {
  const match = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(text);
  const address = match?.[1] ?? '';
  const family = isIP(address);
  const length = Number(match?.[2]);
  if (family === 4 && length <= 32) return { family, bits: ipv4Bits(address), length };
  if (family === 6 && length <= 128) return { family, bits: ipv6Bits(address), length };
  return undefined;
}

/** An IP address as a number, however it is written. */
export function addressBits(text: string): bigint {
  return isIP(text) === 4 ? ipv4Bits(text) : ipv6Bits(text);
}

function width(prefix: Prefix): number {
  return prefix.family === 4 ? 32 : 128;
}

function network(prefix: Prefix, length: number): bigint {
  return prefix.bits >> BigInt(width(prefix) - length);
}

/** Bits behind the prefix length are set: a mistake, or an address instead of a prefix. */
export function hasHostBits(prefix: Prefix): boolean {
  const host = BigInt(width(prefix) - prefix.length);
  return (prefix.bits & ((1n << host) - 1n)) !== 0n;
}

export function overlap(a: Prefix, b: Prefix): boolean {
  if (a.family !== b.family) return false;
  const shorter = Math.min(a.length, b.length);
  return network(a, shorter) === network(b, shorter);
}

function ipv4Bits(address: string): bigint {
  return address.split('.').reduce((bits, octet) => (bits << 8n) | BigInt(octet), 0n);
}

function ipv6Bits(address: string): bigint {
  // The tail may be written as IPv4.
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  const tail = dotted === null ? 0n : ipv4Bits(dotted[2] ?? '');
  const plain =
    dotted === null
      ? address
      : `${dotted[1]}${(tail >> 16n).toString(16)}:${(tail & 0xffffn).toString(16)}`;
  const [head = '', rest] = plain.split('::');
  const words = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const front = words(head);
  const back = words(rest ?? '');
  const zeros = new Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0');
  return [...front, ...zeros, ...back].reduce(
    (bits, word) => (bits << 16n) | BigInt(`0x${word}`),
    0n,
  );
}
