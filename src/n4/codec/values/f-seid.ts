/** F-SEID. Source: TS 29.244 clause 8.2.37. */
import type { MessageReader } from '../message-reader.js';
import { readIpv6, readWord } from '../octets.js';

const V6 = 1;
const V4 = 2;
const SEID_OCTETS = 8;

/** To be used again and again: readFSeid() sets all of it. */
export class FSeid {
  seidLow = 0;
  seidHigh = 0;
  hasIpv4 = false;
  hasIpv6 = false;
  ipv4 = 0;
  readonly ipv6 = new Uint32Array(4);
}

/** False: octets are missing, or it names no address; the SEID is there if its octets are. */
export function readFSeid(reader: MessageReader, index: number, out: FSeid): boolean {
  const bytes = reader.bytes;
  const flags = reader.u8(index);
  let at = reader.valueAt[index]! + 1;
  out.hasIpv4 = (flags & V4) !== 0;
  out.hasIpv6 = (flags & V6) !== 0;
  out.ipv4 = 0;
  const room = reader.valueLength[index]! - 1;
  if (room < SEID_OCTETS) return false;
  out.seidHigh = readWord(bytes, at);
  out.seidLow = readWord(bytes, at + 4);
  at += SEID_OCTETS;
  const length = SEID_OCTETS + (out.hasIpv4 ? 4 : 0) + (out.hasIpv6 ? 16 : 0);
  if (length === SEID_OCTETS || room < length) return false;
  if (out.hasIpv4) {
    out.ipv4 = readWord(bytes, at);
    at += 4;
  }
  if (out.hasIpv6) readIpv6(bytes, at, out.ipv6);
  return true;
}
