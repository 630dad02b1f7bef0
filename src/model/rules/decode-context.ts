/**
 * This folder: one rule at a time, protobuf to record and back, and the checks of each kind.
 * Here is what the decoders share: one reader, one record to fill, one refusal. The first
 * refusal ends all loops, as malformed bytes do. Pure; any thread, one context each.
 */
import type { Refusal } from '../../base/errors.js';
import { IpTextReader } from '../../base/ip-text.js';
import { refuseRule } from '../link.js';
import { ProtobufReader } from '../protobuf.js';
import type { RecordBuffer } from '../record.js';
import { PROTECTION_MAX } from '../record-layout.js';
import { FlowParser } from '../sdf.js';

/** Longer texts are cut here; validate.ts refuses them, no field allows as much. */
export const TEXT_KEPT_MAX = 1024;
export const DURATION_DAYS_MAX = 49;
const DURATION_MS_MAX = DURATION_DAYS_MAX * 86_400_000;

/** What an address field held. */
export const ADDRESS_EMPTY = 0;
export const ADDRESS_READ = 1;
export const ADDRESS_BAD = -1;
export const BAD_IPV4 = 'must be an IPv4 address such as 192.0.2.1';
export const BAD_IPV6 = 'must be an IPv6 address such as 2001:db8::1';

export class DecodeContext {
  readonly reader = new ProtobufReader();
  /** Looks ahead without moving `reader`. */
  readonly scanner = new ProtobufReader();
  readonly ip = new IpTextReader();
  readonly flow = new FlowParser();
  /** Filters of the session that were placed. */
  filters = 0;

  constructor(
    readonly record: RecordBuffer,
    readonly refusal: Refusal,
  ) {}

  refuse(table: number, index: number, suffix: string, message: string): false {
    refuseRule(this.refusal, table, index, suffix, message);
    this.reader.fail();
    return false;
  }

  /** Keeps the text that comes next; its Ref. */
  text(): number {
    const reader = this.reader;
    const length = reader.length();
    const start = reader.position;
    if (length === 0) return 0;
    reader.position = start + length;
    return this.record.appendText(reader.bytes, start, Math.min(length, TEXT_KEPT_MAX));
  }

  /** A value kept in 8 bits; what is too large becomes 255, which validate.ts refuses. */
  byte(): number {
    const value = this.reader.varint();
    return value >= 0 && value <= 255 ? value : 255;
  }

  /** The number of a protection, 0: none. */
  protection(table: number, index: number, suffix: string): number {
    const number = this.reader.varint();
    if (number >= 0 && number <= PROTECTION_MAX) return number;
    this.refuse(table, index, suffix, `must be from 1 to ${PROTECTION_MAX}, or 0 for none`);
    return 0;
  }

  /** Occurrences of a tag in the message bytes[start…end). */
  count(wanted: number, start: number, end: number): number {
    const scanner = this.scanner;
    scanner.reset(this.reader.bytes, start, end);
    let count = 0;
    for (let tag = scanner.tag(); tag !== 0; tag = scanner.tag()) {
      if (tag === wanted) count++;
      scanner.skip(tag);
    }
    return count;
  }

  /** The IPv4 address that comes next, into ip.ipv4; an empty text is 0. */
  ipv4(): number {
    const reader = this.reader;
    const length = reader.length();
    const end = reader.position + length;
    this.ip.ipv4 = 0;
    if (length === 0) return ADDRESS_EMPTY;
    if (this.ip.readIpv4(reader.bytes, reader.position, end) !== end) return ADDRESS_BAD;
    reader.position = end;
    return ADDRESS_READ;
  }

  /** The IPv6 address that comes next, into words[at…]; an empty text is ::. */
  ipv6(at: number): number {
    const reader = this.reader;
    const length = reader.length();
    const end = reader.position + length;
    const words = this.record.words;
    for (let word = at; word < at + 4; word++) words[word] = 0;
    if (length === 0) return ADDRESS_EMPTY;
    if (this.ip.readIpv6(reader.bytes, reader.position, end) !== end) return ADDRESS_BAD;
    reader.position = end;
    for (let word = 0; word < 4; word++) words[at + word] = this.ip.ipv6[word]!;
    return ADDRESS_READ;
  }

  /** A google.protobuf.Duration in milliseconds, rounded up. */
  durationMs(table: number, index: number, suffix: string): number {
    const reader = this.reader;
    let seconds = 0;
    let nanos = 0;
    const outer = reader.open();
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 8) {
        seconds = reader.varint();
        if (reader.high !== 0) seconds = -1;
      } else if (tag === 16) {
        nanos = reader.varint();
        if (reader.high !== 0) nanos = -1;
      } else reader.skip(tag);
    }
    reader.close(outer);
    const ms = seconds * 1000 + Math.ceil(nanos / 1e6);
    const valid = seconds >= 0 && nanos >= 0 && nanos < 1e9;
    if (valid && ms <= DURATION_MS_MAX) return ms;
    this.refuse(table, index, suffix, `must be from 0 to ${DURATION_DAYS_MAX} days`);
    return 0;
  }

  /** One uint32 or a packed list of them, appended to ids[count…]; the new count. */
  ruleIds(tag: number, ids: Uint32Array, count: number): number {
    const reader = this.reader;
    let next = count;
    if ((tag & 7) === 0) ids[next++] = reader.varint();
    else {
      const outer = reader.open();
      while (reader.position < reader.end && next < ids.length) ids[next++] = reader.varint();
      if (!reader.failed && reader.position < reader.end) reader.fail();
      reader.close(outer);
    }
    if (next < ids.length) return next;
    const message = `must hold fewer than ${ids.length} references between rules`;
    this.refusal.set('resource_exhausted', 'session', message);
    reader.fail();
    return next - 1;
  }
}
