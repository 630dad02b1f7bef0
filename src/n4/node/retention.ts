/**
 * Sessions that a CP function wants to find again when it sets its association up anew.
 * Source: TS 29.244 clauses 6.2.6.2.2, 7.4.4.1 and 8.2.135. Pure.
 */
import * as Ie from '../codec/ie.js';
import type { MessageReader } from '../codec/message-reader.js';
import { readIpv6, readWord } from '../codec/octets.js';
import { addressAt, type PeerAddress } from '../peers/peer-address.js';

const V6 = 1;
const V4 = 2;

/**
 * Those whose CP F-SEID has one of these addresses; none: all. Undefined: the request does not
 * ask for any.
 */
export function readRetention(reader: MessageReader): readonly PeerAddress[] | undefined {
  const group = reader.find(-1, Ie.PfcpSessionRetentionInformation);
  if (group < 0) return undefined;
  const addresses: PeerAddress[] = [];
  const type = Ie.CpPfcpEntityIpAddress;
  for (let ie = reader.find(group, type); ie >= 0; ie = reader.findNext(group, ie, type)) {
    addresses.push(...addressesIn(reader, ie));
  }
  return addresses;
}

function addressesIn(reader: MessageReader, ie: number): PeerAddress[] {
  const { bytes } = reader;
  const flags = reader.u8(ie);
  const end = reader.valueAt[ie]! + reader.valueLength[ie]!;
  let at = reader.valueAt[ie]! + 1;
  const found: PeerAddress[] = [];
  if ((flags & V4) !== 0 && at + 4 <= end) {
    found.push(addressAt(4, Uint32Array.of(readWord(bytes, at), 0, 0, 0), 0));
    at += 4;
  }
  if ((flags & V6) !== 0 && at + 16 <= end) {
    const words = new Uint32Array(4);
    readIpv6(bytes, at, words);
    found.push(addressAt(6, words, 0));
  }
  return found;
}
