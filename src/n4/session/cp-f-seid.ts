/**
 * The CP F-SEID of a session, and the session's name, which follows from it:
 * cp-<SEID in hexadecimal digits>-<address>. The same CP F-SEID again is thereby found by name.
 * Source: TS 29.244 clause 8.2.37. Pure; one reader each.
 */
import { ipv4Before, ipv6Before } from '../../base/ip-text.js';
import * as Ie from '../codec/ie.js';
import type { MessageReader } from '../codec/message-reader.js';
import { FSeid, readFSeid } from '../codec/values/f-seid.js';

const SEID_DIGITS = 16;
const DASH = 0x2d;
/** "cp-", 16 digits, a dash, 39 characters of an IPv6 address. */
export const NAME_BYTES_MAX = 64;
const DIGITS = Buffer.from('0123456789abcdef', 'latin1');

export class CpFSeid extends FSeid {
  /** name[nameStart…NAME_BYTES_MAX). */
  readonly name = new Uint8Array(NAME_BYTES_MAX);
  nameStart = NAME_BYTES_MAX;

  get nameLength(): number {
    return NAME_BYTES_MAX - this.nameStart;
  }

  /** The first F-SEID at the top level; false: there is none with an address. */
  read(reader: MessageReader): boolean {
    this.seidLow = 0;
    this.seidHigh = 0;
    const ie = reader.find(-1, Ie.FSeid);
    if (ie < 0 || !readFSeid(reader, ie, this)) return false;
    this.writeName();
    return true;
  }

  private writeName(): void {
    const { name } = this;
    let start = this.hasIpv4
      ? ipv4Before(name, NAME_BYTES_MAX, this.ipv4)
      : ipv6Before(name, NAME_BYTES_MAX, this.ipv6, 0);
    name[--start] = DASH;
    let rest = this.seidLow;
    for (let digit = 0; digit < SEID_DIGITS; digit++) {
      if (digit === SEID_DIGITS / 2) rest = this.seidHigh;
      name[--start] = DIGITS[rest & 15]!;
      rest >>>= 4;
    }
    name[--start] = DASH;
    name[--start] = 0x70;
    name[--start] = 0x63;
    this.nameStart = start;
  }
}

/** The CP F-SEID in a session's name; undefined: no such name. */
export function cpFSeidOf(
  name: string,
): { low: number; high: number; address: string } | undefined {
  const parts = /^cp-([0-9a-f]{8})([0-9a-f]{8})-(.*)$/.exec(name);
  if (parts === null) return undefined;
  const [, high = '', low = '', address = ''] = parts;
  return { high: Number.parseInt(high, 16), low: Number.parseInt(low, 16), address };
}
