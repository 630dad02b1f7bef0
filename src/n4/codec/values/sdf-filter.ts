/** SDF Filter. Source: TS 29.244 clause 8.2.5. */
import type { MessageReader } from '../message-reader.js';
import { readWord } from '../octets.js';

export const SDF_FLOW_DESCRIPTION = 1;
export const SDF_TOS = 2;
export const SDF_SPI = 4;
export const SDF_FLOW_LABEL = 8;
export const SDF_ID = 16;

/** To be used again and again: readSdfFilter() sets all of it. */
export class SdfFilter {
  /** SDF_ bits: what it has; the rest is 0. */
  flags = 0;
  /** The flow description's octets in the reader's bytes. */
  textAt = 0;
  textLength = 0;
  tos = 0;
  tosMask = 0;
  spi = 0;
  /** 20 bits */
  flowLabel = 0;
  id = 0;
}

/** False: octets are missing, or it has nothing in it. */
export function readSdfFilter(reader: MessageReader, index: number, out: SdfFilter): boolean {
  const { bytes } = reader;
  const flags = reader.u8(index) & 31;
  const end = reader.valueAt[index]! + reader.valueLength[index]!;
  let at = reader.valueAt[index]! + 2;
  out.flags = flags;
  out.textAt = 0;
  out.textLength = 0;
  if ((flags & SDF_FLOW_DESCRIPTION) !== 0) {
    if (end - at < 2) return false;
    out.textLength = (bytes[at]! << 8) | bytes[at + 1]!;
    out.textAt = at + 2;
    at = out.textAt + out.textLength;
  }
  const hasTos = (flags & SDF_TOS) !== 0;
  const hasSpi = (flags & SDF_SPI) !== 0;
  const hasFlowLabel = (flags & SDF_FLOW_LABEL) !== 0;
  const hasId = (flags & SDF_ID) !== 0;
  const length = (hasTos ? 2 : 0) + (hasSpi ? 4 : 0) + (hasFlowLabel ? 3 : 0) + (hasId ? 4 : 0);
  if (end - at < length) return false;
  out.tos = hasTos ? bytes[at]! : 0;
  out.tosMask = hasTos ? bytes[at + 1]! : 0;
  if (hasTos) at += 2;
  out.spi = hasSpi ? readWord(bytes, at) : 0;
  if (hasSpi) at += 4;
  out.flowLabel = hasFlowLabel
    ? ((bytes[at]! & 15) << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
    : 0;
  if (hasFlowLabel) at += 3;
  out.id = hasId ? readWord(bytes, at) : 0;
  return flags !== 0;
}
