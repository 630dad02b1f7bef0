/**
 * Flow descriptions of SDF filters, parsed over bytes by the strict grammar
 *
 *   permit out PROTOCOL from PLACE [PORTS] to PLACE [PORTS]
 *   PROTOCOL = ip | 0…255 | a name    PLACE = any | assigned | ADDRESS[/LENGTH]
 *   PORTS    = PORT | LOW-HIGH, several with commas
 *
 * Everything else (TS 29.212 clause 5.4.2 forbids the rest of RFC 6733's IPFilterRule) is an
 * error with its position. Pure; any thread, one parser each.
 */
import { IpTextReader } from '../base/ip-text.js';
import type { RecordBuffer } from './record.js';
import * as layout from './record-layout.js';

export const FLOW_DESCRIPTION_MAX = 512;
export const PORT_RANGES_MAX = 8;

const SPACE = 0x20;
const ZERO = 0x30;
const COLON = 0x3a;
const COMMA = 0x2c;
const DASH = 0x2d;
const SLASH = 0x2f;
const WIDEST_PROTOCOL = 255;
const WIDEST_PORT = 65535;

const wordOf = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'));
const PERMIT = wordOf('permit');
const OUT = wordOf('out');
const FROM = wordOf('from');
const TO = wordOf('to');
const ANY = wordOf('any');
const ASSIGNED = wordOf('assigned');
const IP = wordOf('ip');
const NAMES = ['tcp', 'udp', 'icmp', 'icmp6', 'ipv6-icmp', 'sctp', 'esp', 'gre'].map(wordOf);
const NAMED = [6, 17, 1, 58, 58, 132, 50, 47];
/** TCP, UDP, DCCP, SCTP, UDP-Lite. */
const WITH_PORTS = new Uint8Array(256);
for (const protocol of [6, 17, 33, 132, 136]) WITH_PORTS[protocol] = 1;

export class FlowParser {
  /** What was expected, after parse() was false. */
  expected = '';
  /** Where, in characters from 1. */
  column = 0;

  private flags = 0;
  private protocol = 0;
  /** Of source and destination, each. */
  private readonly prefix = new Int32Array(2);
  private readonly ranges = new Int32Array(2);
  /** Of the source, then of the destination. */
  private readonly addresses = new Uint32Array(8);
  private readonly ports = new Uint32Array(PORT_RANGES_MAX * 2);
  private readonly ip = new IpTextReader();
  private bytes: Uint8Array = ANY;
  private start = 0;
  private at = 0;
  private end = 0;

  /** False: not a flow description; `expected` and `column` say why. */
  parse(bytes: Uint8Array, start: number, end: number): boolean {
    this.bytes = bytes;
    this.start = start;
    this.at = start;
    this.end = end;
    this.flags = layout.FILTER_FLOW;
    if (end - start > FLOW_DESCRIPTION_MAX) {
      this.at = start + FLOW_DESCRIPTION_MAX;
      return this.fail(`the end (at most ${FLOW_DESCRIPTION_MAX} characters)`);
    }
    if (!this.take(PERMIT)) return this.fail('"permit out"');
    if (!this.space() || !this.take(OUT)) return this.fail('"out"');
    if (!this.space() || !this.readProtocol()) return this.fail('"ip" or a protocol, 0 to 255');
    if (!this.space() || !this.take(FROM)) return this.fail('"from"');
    if (!this.readPlace(0)) return false;
    if (!this.space() || !this.take(TO)) return this.fail('"to"');
    if (!this.readPlace(1)) return false;
    if (this.at !== end) return this.fail('the end');
    const families = this.flags & (layout.FILTER_SOURCE_IPV6 | layout.FILTER_DESTINATION_IPV6);
    const old = this.flags & (layout.FILTER_SOURCE_IPV4 | layout.FILTER_DESTINATION_IPV4);
    if (families !== 0 && old !== 0) return this.fail('two addresses of one family');
    return true;
  }

  /** Writes what parse() found into the filter entry at words[at]; other words stay. */
  write(record: RecordBuffer, at: number): void {
    const words = record.words;
    words[at + layout.FILTER_FLAGS] = words[at + layout.FILTER_FLAGS]! | this.flags;
    words[at + layout.FILTER_PROTOCOL] =
      this.protocol | (this.prefix[0]! << 8) | (this.prefix[1]! << 16);
    // The destination's words follow the source's.
    for (let word = 0; word < 8; word++) {
      words[at + layout.FILTER_SOURCE + word] = this.addresses[word]!;
    }
    words[at + layout.FILTER_SOURCE_PORTS] = this.writePorts(record, 0);
    words[at + layout.FILTER_DESTINATION_PORTS] = this.writePorts(record, 1);
  }

  private writePorts(record: RecordBuffer, side: number): number {
    const ranges = this.ranges[side]!;
    if (ranges === 0) return 0;
    const at = record.allocate(ranges);
    if (at === 0) return 0;
    for (let range = 0; range < ranges; range++) {
      record.words[at + range] = this.ports[side * PORT_RANGES_MAX + range]!;
    }
    return at | (ranges << 16);
  }

  private fail(expected: string): false {
    this.expected = expected;
    this.column = this.at - this.start + 1;
    return false;
  }

  /** At the end or before a space. */
  private atBreak(): boolean {
    return this.at === this.end || this.bytes[this.at] === SPACE;
  }

  private space(): boolean {
    const first = this.at;
    while (this.at < this.end && this.bytes[this.at] === SPACE) this.at++;
    return this.at > first && this.at < this.end;
  }

  /** Takes the word if it stands here by itself. */
  private take(word: Uint8Array): boolean {
    const behind = this.at + word.length;
    if (behind > this.end) return false;
    if (behind < this.end && this.bytes[behind] !== SPACE) return false;
    for (let index = 0; index < word.length; index++) {
      if (this.bytes[this.at + index] !== word[index]) return false;
    }
    this.at = behind;
    return true;
  }

  /** A decimal number up to `most` without leading zeros, or -1. */
  private number(most: number): number {
    const first = this.at;
    let value = 0;
    while (this.at < this.end && this.at - first < 6) {
      const digit = this.bytes[this.at]! - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      this.at++;
    }
    const leadingZero = this.at - first > 1 && this.bytes[first] === ZERO;
    if (this.at > first && value <= most && !leadingZero) return value;
    this.at = first;
    return -1;
  }

  private readProtocol(): boolean {
    if (this.take(IP)) {
      this.flags |= layout.FILTER_ANY_PROTOCOL;
      this.protocol = 0;
      return true;
    }
    const first = this.at;
    this.protocol = this.number(WIDEST_PROTOCOL);
    if (this.protocol >= 0 && this.atBreak()) return true;
    this.at = first;
    for (let index = 0; index < NAMES.length; index++) {
      if (this.take(NAMES[index]!)) {
        this.protocol = NAMED[index]!;
        return true;
      }
    }
    return false;
  }

  private readPlace(side: number): boolean {
    this.prefix[side] = 0;
    this.ranges[side] = 0;
    for (let word = side * 4; word < side * 4 + 4; word++) this.addresses[word] = 0;
    if (!this.space()) return this.fail('"any", "assigned" or an address');
    if (this.take(ASSIGNED)) {
      this.flags |= side === 0 ? layout.FILTER_SOURCE_ASSIGNED : layout.FILTER_DESTINATION_ASSIGNED;
    } else if (!this.take(ANY) && !this.readAddress(side)) return false;
    return this.readPorts(side);
  }

  private readAddress(side: number): boolean {
    const first = this.at;
    let family = 4;
    for (let at = first; at < first + 5 && at < this.end; at++) {
      if (this.bytes[at] === COLON) family = 6;
    }
    const behind =
      family === 4
        ? this.ip.readIpv4(this.bytes, first, this.end)
        : this.ip.readIpv6(this.bytes, first, this.end);
    if (behind < 0) return this.fail('"any", "assigned" or an address');
    this.at = behind;
    const widest = family === 4 ? 32 : 128;
    let length = widest;
    if (this.at < this.end && this.bytes[this.at] === SLASH) {
      this.at++;
      length = this.number(widest);
      if (length < 0) return this.fail(`a prefix length, 0 to ${widest}`);
    }
    if (!this.atBreak()) return this.fail('a space');
    this.keepPrefix(side, family, length);
    return true;
  }

  /** Bits behind the prefix are cleared: 10.1.2.3/8 means 10.0.0.0/8. */
  private keepPrefix(side: number, family: number, length: number): void {
    const addresses = this.addresses;
    const from = side * 4;
    const shift = side === 0 ? 0 : 2;
    this.flags |= (family === 4 ? layout.FILTER_SOURCE_IPV4 : layout.FILTER_SOURCE_IPV6) << shift;
    this.prefix[side] = length;
    if (family === 4) {
      addresses[from] = length === 0 ? 0 : this.ip.ipv4 & (-1 << (32 - length));
      return;
    }
    for (let word = 0; word < 4; word++) addresses[from + word] = this.ip.ipv6[word]!;
    maskPrefix(addresses, from, length, 4);
  }

  /** Ports, if what stands behind the space is a number. */
  private readPorts(side: number): boolean {
    let next = this.at;
    while (next < this.end && this.bytes[next] === SPACE) next++;
    if (next === this.at || next === this.end) return true;
    const digit = this.bytes[next]! - ZERO;
    if (digit < 0 || digit > 9) return true;
    this.at = next;
    const numbered = (this.flags & layout.FILTER_ANY_PROTOCOL) === 0;
    if (numbered && WITH_PORTS[this.protocol] === 0) {
      return this.fail('no ports, as the protocol has none');
    }
    for (;;) {
      if (!this.readRange(side)) return false;
      if (this.at === this.end || this.bytes[this.at] !== COMMA) return true;
      this.at++;
    }
  }

  private readRange(side: number): boolean {
    const count = this.ranges[side]!;
    if (count === PORT_RANGES_MAX) return this.fail(`at most ${PORT_RANGES_MAX} port ranges`);
    const first = this.at;
    const low = this.number(WIDEST_PORT);
    if (low < 0) return this.fail('a port, 0 to 65535');
    let high = low;
    if (this.at < this.end && this.bytes[this.at] === DASH) {
      this.at++;
      high = this.number(WIDEST_PORT);
      if (high < 0) return this.fail('a port, 0 to 65535');
    }
    if (high < low) {
      this.at = first;
      return this.fail('a port range whose end is not below its start');
    }
    const next = this.bytes[this.at];
    if (!this.atBreak() && next !== COMMA) return this.fail('a comma or a space');
    this.ports[side * PORT_RANGES_MAX + count] = low | (high << 16);
    this.ranges[side] = count + 1;
    return true;
  }
}

/** Clears the bits behind the prefix in `count` words of an address. */
export function maskPrefix(words: Uint32Array, at: number, length: number, count: number): void {
  for (let word = length >>> 5; word < count; word++) {
    const bits = length - word * 32;
    words[at + word] = bits <= 0 ? 0 : words[at + word]! & (-1 << (32 - bits));
  }
}
