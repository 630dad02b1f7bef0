/** UE IP Address. Source: TS 29.244 clause 8.2.62. */
import type { MessageReader } from '../message-reader.js';
import { readIpv6, readWord } from '../octets.js';

const V6 = 1;
const V4 = 2;
const DELEGATED = 8;
const CHOOSE_V4 = 16;
const CHOOSE_V6 = 32;
const PREFIX_LENGTH = 64;
const USUAL_PREFIX_LENGTH = 64;

/** To be used again and again: readUeIpAddress() sets all of it. S/D is not looked at. */
export class UeIpAddress {
  hasIpv4 = false;
  hasIpv6 = false;
  chooseIpv4 = false;
  chooseIpv6 = false;
  ipv4 = 0;
  readonly ipv6 = new Uint32Array(4);
  /** of the UE's prefix, in bits; 64 when nothing else is said */
  prefixLength = USUAL_PREFIX_LENGTH;
}

/** False: octets are missing, or it neither names nor asks for an address. */
export function readUeIpAddress(reader: MessageReader, index: number, out: UeIpAddress): boolean {
  const bytes = reader.bytes;
  const flags = reader.u8(index);
  const end = reader.valueAt[index]! + reader.valueLength[index]!;
  let at = reader.valueAt[index]! + 1;
  out.hasIpv4 = (flags & V4) !== 0;
  out.hasIpv6 = (flags & V6) !== 0;
  out.chooseIpv4 = (flags & CHOOSE_V4) !== 0;
  out.chooseIpv6 = (flags & CHOOSE_V6) !== 0;
  out.prefixLength = USUAL_PREFIX_LENGTH;
  out.ipv4 = 0;
  const length = (out.hasIpv4 ? 4 : 0) + (out.hasIpv6 ? 16 : 0);
  if (end - at < length) return false;
  if (out.hasIpv4) {
    out.ipv4 = readWord(bytes, at);
    at += 4;
  }
  if (out.hasIpv6) {
    readIpv6(bytes, at, out.ipv6);
    at += 16;
  }
  if ((flags & DELEGATED) !== 0) {
    if (at >= end) return false;
    out.prefixLength = USUAL_PREFIX_LENGTH - bytes[at++]!;
  }
  if ((flags & PREFIX_LENGTH) !== 0) {
    if (at >= end) return false;
    out.prefixLength = bytes[at]!;
  }
  return length !== 0 || out.chooseIpv4 || out.chooseIpv6;
}
