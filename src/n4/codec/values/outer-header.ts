/** Outer Header Creation and Removal. Source: TS 29.244 clauses 8.2.56 and 8.2.64. */
import type { MessageReader } from '../message-reader.js';
import { readIpv6, readWord } from '../octets.js';

/** Bits of the description, octet 5 in the low byte, octet 6 above it. */
export const CREATE_GTPU_IPV4 = 0x1;
export const CREATE_GTPU_IPV6 = 0x2;
export const CREATE_UDP_IPV4 = 0x4;
export const CREATE_UDP_IPV6 = 0x8;
export const CREATE_IPV4 = 0x10;
export const CREATE_IPV6 = 0x20;
export const CREATE_C_TAG = 0x40;
export const CREATE_S_TAG = 0x80;
export const CREATE_N19 = 0x100;
export const CREATE_N6 = 0x200;

const GTPU = CREATE_GTPU_IPV4 | CREATE_GTPU_IPV6;
const UDP = CREATE_UDP_IPV4 | CREATE_UDP_IPV6;
const IPV4 = CREATE_GTPU_IPV4 | CREATE_UDP_IPV4 | CREATE_IPV4;
const IPV6 = CREATE_GTPU_IPV6 | CREATE_UDP_IPV6 | CREATE_IPV6;

/** To be used again and again: readOuterHeaderCreation() sets all of it. */
export class OuterHeaderCreation {
  /** CREATE_ bits */
  description = 0;
  hasTeid = false;
  hasIpv4 = false;
  hasIpv6 = false;
  hasPort = false;
  teid = 0;
  ipv4 = 0;
  readonly ipv6 = new Uint32Array(4);
  port = 0;
}

/** False: octets are missing. Which descriptions make sense is for the one who asks. */
export function readOuterHeaderCreation(
  reader: MessageReader,
  index: number,
  out: OuterHeaderCreation,
): boolean {
  const { bytes } = reader;
  const description = reader.flags(index) & 0xffff;
  out.description = description;
  out.hasTeid = (description & GTPU) !== 0;
  out.hasIpv4 = (description & IPV4) !== 0;
  out.hasIpv6 = (description & IPV6) !== 0;
  out.hasPort = (description & UDP) !== 0;
  out.teid = 0;
  out.ipv4 = 0;
  out.port = 0;
  const end = reader.valueAt[index]! + reader.valueLength[index]!;
  let at = reader.valueAt[index]! + 2;
  const length =
    (out.hasTeid ? 4 : 0) + (out.hasIpv4 ? 4 : 0) + (out.hasIpv6 ? 16 : 0) + (out.hasPort ? 2 : 0);
  if (end - at < length) return false;
  if (out.hasTeid) {
    out.teid = readWord(bytes, at);
    at += 4;
  }
  if (out.hasIpv4) {
    out.ipv4 = readWord(bytes, at);
    at += 4;
  }
  if (out.hasIpv6) {
    readIpv6(bytes, at, out.ipv6);
    at += 16;
  }
  if (out.hasPort) out.port = (bytes[at]! << 8) | bytes[at + 1]!;
  return true;
}

/** Descriptions of Outer Header Removal, which are numbers: reader.u8() has one. */
export const REMOVE_GTPU_UDP_IPV4 = 0;
export const REMOVE_GTPU_UDP_IPV6 = 1;
export const REMOVE_UDP_IPV4 = 2;
export const REMOVE_UDP_IPV6 = 3;
export const REMOVE_IPV4 = 4;
export const REMOVE_IPV6 = 5;
export const REMOVE_GTPU_UDP_IP = 6;
