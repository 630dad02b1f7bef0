/** Volumes and bit rates. Source: TS 29.244 clauses 8.2.8, 8.2.9, 8.2.13, 8.2.44, 8.2.50. */
import type { MessageReader } from '../message-reader.js';
import { readWord } from '../octets.js';

export const VOLUME_TOTAL = 1;
export const VOLUME_UPLINK = 2;
export const VOLUME_DOWNLINK = 4;
/** Volume Measurement only. */
export const PACKETS_TOTAL = 8;
export const PACKETS_UPLINK = 16;
export const PACKETS_DOWNLINK = 32;
const KINDS = 6;

/** To be used again and again: readVolume() sets all of it. */
export class Volume {
  /** VOLUME_ and PACKETS_ bits: which of `words` count. */
  flags = 0;
  /** Low and high word of each in the order of the bits; bytes, then packets. */
  readonly words = new Uint32Array(KINDS * 2);
}

/** Volume Threshold, Volume Quota, Volume Measurement. False: octets are missing. */
export function readVolume(reader: MessageReader, index: number, out: Volume): boolean {
  const { bytes } = reader;
  const flags = reader.u8(index) & ((1 << KINDS) - 1);
  let at = reader.valueAt[index]! + 1;
  const end = at + reader.valueLength[index]! - 1;
  out.flags = flags;
  for (let kind = 0; kind < KINDS; kind++) {
    const present = (flags & (1 << kind)) !== 0;
    if (present && end - at < 8) return false;
    out.words[kind * 2] = present ? readWord(bytes, at + 4) : 0;
    out.words[kind * 2 + 1] = present ? readWord(bytes, at) : 0;
    if (present) at += 8;
  }
  return true;
}

const WORD = 0x1_0000_0000;

/** MBR, GBR: kbit/s (1000 bit/s), up to 2^40 - 1. */
export function uplinkKbps(reader: MessageReader, index: number): number {
  const at = reader.valueAt[index]!;
  return reader.bytes[at]! * WORD + readWord(reader.bytes, at + 1);
}
export function downlinkKbps(reader: MessageReader, index: number): number {
  const at = reader.valueAt[index]! + 5;
  return reader.bytes[at]! * WORD + readWord(reader.bytes, at + 1);
}
