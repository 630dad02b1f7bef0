/**
 * IP addresses as text, read from bytes and written into bytes without strings. IPv4 is a
 * 32-bit word (10.0.0.1 = 0x0a000001), IPv6 four words, most significant first. Pure; any
 * thread, one reader each. Sources: RFC 4291 clause 2.2 (reading), RFC 5952 (writing).
 */

const DOT = 0x2e;
const COLON = 0x3a;
const ZERO = 0x30;

function hexDigit(byte: number): number {
  if (byte >= ZERO && byte <= 0x39) return byte - ZERO;
  const letter = (byte | 0x20) - 0x61;
  return letter >= 0 && letter < 6 ? letter + 10 : -1;
}

export class IpTextReader {
  /** Result of readIpv4(), a signed 32-bit integer. */
  ipv4 = 0;
  /** Result of readIpv6(). */
  readonly ipv6 = new Uint32Array(4);
  private readonly groups = new Uint16Array(8);

  /** Reads a dotted quad; returns the position behind it, or -1. No leading zeros. */
  readIpv4(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    let address = 0;
    for (let octet = 0; octet < 4; octet++) {
      if (octet > 0 && (at >= end || bytes[at++] !== DOT)) return -1;
      const first = at;
      let value = 0;
      while (at < end && at - first < 3) {
        const digit = bytes[at]! - ZERO;
        if (digit < 0 || digit > 9) break;
        value = value * 10 + digit;
        at++;
      }
      if (at === first || value > 255 || (at - first > 1 && bytes[first] === ZERO)) return -1;
      address = (address << 8) | value;
    }
    this.ipv4 = address;
    return at;
  }

  /** Reads an IPv6 address without a zone; returns the position behind it, or -1. */
  readIpv6(bytes: Uint8Array, start: number, end: number): number {
    const groups = this.groups;
    let at = start;
    let count = 0;
    let gap = -1;
    if (at + 1 < end && bytes[at] === COLON && bytes[at + 1] === COLON) {
      gap = 0;
      at += 2;
    }
    while (count < 8) {
      const first = at;
      let value = 0;
      while (at < end && at - first < 4) {
        const digit = hexDigit(bytes[at]!);
        if (digit < 0) break;
        value = (value << 4) | digit;
        at++;
      }
      if (at === first) break;
      if (at < end && bytes[at] === DOT) {
        if (count > 6) return -1;
        at = this.readIpv4(bytes, first, end);
        if (at < 0) return -1;
        groups[count++] = this.ipv4 >>> 16;
        groups[count++] = this.ipv4;
        break;
      }
      groups[count++] = value;
      if (at >= end || bytes[at] !== COLON) break;
      at++;
      if (at < end && bytes[at] === COLON) {
        if (gap >= 0) return -1;
        gap = count;
        at++;
      } else if (at >= end || hexDigit(bytes[at]!) < 0) return -1;
    }
    if (gap < 0 ? count !== 8 : count > 7) return -1;
    this.spread(count, gap < 0 ? 8 : gap);
    return at;
  }

  /** Puts the groups before and behind the gap into their places. */
  private spread(count: number, gap: number): void {
    const groups = this.groups;
    for (let word = 0; word < 4; word++) {
      let value = 0;
      for (let half = word * 2; half < word * 2 + 2; half++) {
        const from = half < gap ? half : half - (8 - count);
        value = (value << 16) | (half >= gap && from < gap ? 0 : groups[from]!);
      }
      this.ipv6[word] = value;
    }
  }
}

const DIGITS = new Uint8Array(16);
for (let digit = 0; digit < 16; digit++) DIGITS[digit] = digit.toString(16).charCodeAt(0);

/** Writes a number so that it ends before `end`; returns its first position. */
export function decimalBefore(bytes: Uint8Array, end: number, value: number): number {
  let at = end;
  let rest = value;
  do {
    const tenth = Math.floor(rest / 10);
    bytes[--at] = ZERO + rest - tenth * 10;
    rest = tenth;
  } while (rest > 0);
  return at;
}

/** Writes an IPv4 address (at most 15 bytes) so that it ends before `end`. */
export function ipv4Before(bytes: Uint8Array, end: number, address: number): number {
  let at = end;
  for (let shift = 0; shift < 32; shift += 8) {
    let octet = (address >>> shift) & 255;
    if (shift > 0) bytes[--at] = DOT;
    do {
      const tenth = (octet * 205) >>> 11;
      bytes[--at] = ZERO + octet - tenth * 10;
      octet = tenth;
    } while (octet > 0);
  }
  return at;
}

function group(words: Uint32Array, from: number, index: number): number {
  const word = words[from + (index >>> 1)]!;
  return (index & 1) === 0 ? word >>> 16 : word & 0xffff;
}

function groupsBefore(
  bytes: Uint8Array,
  end: number,
  words: Uint32Array,
  from: number,
  first: number,
  behind: number,
): number {
  let at = end;
  for (let index = behind - 1; index >= first; index--) {
    let value = group(words, from, index);
    do {
      bytes[--at] = DIGITS[value & 15]!;
      value >>>= 4;
    } while (value > 0);
    if (index > first) bytes[--at] = COLON;
  }
  return at;
}

/** Writes the IPv6 address at words[from…] (at most 39 bytes) so that it ends before `end`. */
export function ipv6Before(
  bytes: Uint8Array,
  end: number,
  words: Uint32Array,
  from: number,
): number {
  let start = 8;
  let length = 1;
  for (let index = 0; index < 8; index++) {
    let run = 0;
    while (index + run < 8 && group(words, from, index + run) === 0) run++;
    if (run > length) {
      start = index;
      length = run;
    }
    index += run;
  }
  if (start === 8) return groupsBefore(bytes, end, words, from, 0, 8);
  let at = groupsBefore(bytes, end, words, from, start + length, 8);
  bytes[--at] = COLON;
  bytes[--at] = COLON;
  at = groupsBefore(bytes, at, words, from, 0, start);
  return at;
}
