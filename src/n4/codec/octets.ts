/** Numbers and addresses in big-endian octets. Pure; any thread. */

export function readWord(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  );
}

export function writeWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** An IPv6 address as 4 words, most significant first. */
export function readIpv6(bytes: Uint8Array, at: number, words: Uint32Array): void {
  words[0] = readWord(bytes, at);
  words[1] = readWord(bytes, at + 4);
  words[2] = readWord(bytes, at + 8);
  words[3] = readWord(bytes, at + 12);
}
