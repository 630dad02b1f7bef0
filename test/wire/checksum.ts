/** Numbers in network byte order, and the Internet checksum over them (RFC 1071). */
import type { Address } from './address.js';

/** Over bytes[from, end), on top of a sum begun elsewhere; 0 over data with its own checksum. */
export function checksum(bytes: Uint8Array, from: number, end: number, start = 0): number {
  let sum = start;
  for (let i = from; i < end; i += 2) {
    sum += (bytes[i]! << 8) | (i + 1 < end ? bytes[i + 1]! : 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

export function pseudoHeaderSum(
  source: Address,
  destination: Address,
  protocol: number,
  length: number,
): number {
  let sum = protocol + length;
  for (let i = 0; i < source.length; i += 2) {
    sum += ((source[i]! << 8) | source[i + 1]!) + ((destination[i]! << 8) | destination[i + 1]!);
  }
  return sum;
}

export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}
export function put32(bytes: Uint8Array, at: number, value: number): void {
  put16(bytes, at, value >>> 16);
  put16(bytes, at + 2, value);
}
export function get16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
export function get32(bytes: Uint8Array, at: number): number {
  return ((get16(bytes, at) << 16) | get16(bytes, at + 2)) >>> 0;
}
