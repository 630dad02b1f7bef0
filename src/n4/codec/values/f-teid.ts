/** F-TEID. Source: TS 29.244 clause 8.2.3. */
import type { MessageReader } from '../message-reader.js';
import { readIpv6, readWord } from '../octets.js';

const V4 = 1;
const V6 = 2;
const CHOOSE = 4;
const CHOOSE_ID = 8;

/** To be used again and again: readFTeid() sets all of it. */
export class FTeid {
  /** The families that it has, or, with `choose`, that are asked for. */
  hasIpv4 = false;
  hasIpv6 = false;
  choose = false;
  /** 0 to 255; -1: there is none. */
  chooseId = -1;
  teid = 0;
  ipv4 = 0;
  readonly ipv6 = new Uint32Array(4);
}

/**
 * False: octets are missing, or it names no address. CHOOSE without a family, as some SMFs
 * send it, asks for IPv4.
 */
export function readFTeid(reader: MessageReader, index: number, out: FTeid): boolean {
  const bytes = reader.bytes;
  const flags = reader.u8(index);
  const start = reader.valueAt[index]!;
  const end = start + reader.valueLength[index]!;
  let at = start + 1;
  out.choose = (flags & CHOOSE) !== 0;
  out.hasIpv6 = (flags & V6) !== 0;
  out.hasIpv4 = (flags & V4) !== 0 || (out.choose && !out.hasIpv6);
  out.chooseId = -1;
  out.teid = 0;
  out.ipv4 = 0;
  if (out.choose) {
    if ((flags & CHOOSE_ID) === 0) return true;
    if (at >= end) return false;
    out.chooseId = bytes[at]!;
    return true;
  }
  const length = 4 + (out.hasIpv4 ? 4 : 0) + (out.hasIpv6 ? 16 : 0);
  if (length === 4 || end - at < length) return false;
  out.teid = readWord(bytes, at);
  at += 4;
  if (out.hasIpv4) {
    out.ipv4 = readWord(bytes, at);
    at += 4;
  }
  if (out.hasIpv6) readIpv6(bytes, at, out.ipv6);
  return true;
}
