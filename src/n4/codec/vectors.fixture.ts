/** Messages that others have written: of the specification page, and of a real SMF. */
import { readFileSync } from 'node:fs';

export const vectors = {
  associationResponse: '2006002000000100003c0005000a000002001300010100600004ea000000002b00021001',
  modificationEndMarker:
    '2134003a000000000000002200000300000a002a006c000400000001002c00020200000b0018002a00010000' +
    '54000a0100000000550a0003090031000102',
  reportDownlinkData: '2138002100000000000000110000070000270001010053000c003800020001002d00020201',
  reportErrorIndication:
    '2138002200000000000000110000090000270001040063000d0015000901000000550a000309',
} as const;

export function octets(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

const PCAP_HEADER = 24;
const RECORD_HEADER = 16;
/** Ethernet, IPv4 without options, UDP. */
const OUTER_HEADERS = 14 + 20 + 8;

/** The PFCP messages of a whole session of Open5GS 2.7.7, requests and answers in order. */
export function open5gsMessages(): Uint8Array[] {
  const url = new URL('../../../test/vectors/open5gs-smf-2.7.7-session.pcap', import.meta.url);
  const file = readFileSync(url);
  const messages: Uint8Array[] = [];
  for (let at = PCAP_HEADER; at < file.length; ) {
    const length = file.readUInt32LE(at + 8);
    at += RECORD_HEADER;
    messages.push(Uint8Array.from(file.subarray(at + OUTER_HEADERS, at + length)));
    at += length;
  }
  return messages;
}
