/**
 * What happens to a UE's packet on the way out: a hop less, a smaller segment size, fragments,
 * and the ICMP messages about what could not leave. RFC 791, 1191, 1812, 4443, 8200, 9293.
 */
import type { Address } from '../wire/address.js';
import { checksum, get16, put16 } from '../wire/checksum.js';
import { buildIp, ICMP, ICMPV6, type IpPacket, TCP } from '../wire/ip.js';

const HEADER = 20;
const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const PIECES_MAX = 8;
const ICMP_HEADER = 8;
/** Of the whole message: RFC 1812 4.3.2.3, RFC 4443 2.4. */
const ERROR_BYTES_V4 = 576;
const ERROR_BYTES_V6 = 1_280;

export type Trouble = 'too big' | 'time exceeded';

function isV6(bytes: Uint8Array): boolean {
  return bytes[0]! >>> 4 === 6;
}

/** The packet one hop on; undefined: this was its last. */
export function oneHopOn(bytes: Uint8Array): Uint8Array | undefined {
  const at = isV6(bytes) ? 7 : 8;
  if (bytes[at]! <= 1) return undefined;
  const next = bytes.slice();
  next[at]!--;
  if (!isV6(bytes)) fillHeaderChecksum(next);
  return next;
}

function fillHeaderChecksum(bytes: Uint8Array): void {
  put16(bytes, 10, 0);
  put16(bytes, 10, checksum(bytes, 0, HEADER));
}

/** A SYN whose first option is its MSS asks for no more than `most`. */
export function withSmallerMss(bytes: Uint8Array, packet: IpPacket, most: number): Uint8Array {
  const at = packet.upper ?? HEADER;
  const whole = packet.protocol === TCP && packet.fragmentOffset === undefined;
  const isSyn = whole && (bytes[at + 13]! & 2) !== 0 && bytes[at + 12]! >>> 4 > 5;
  const place = at + 20;
  if (!isSyn || bytes[place] !== 2 || get16(bytes, place + 2) <= most) return bytes;
  const next = bytes.slice();
  put16(next, place + 2, most);
  const had = get16(bytes, at + 16);
  // The sum of what changed, so that a wrong checksum stays as wrong as it was.
  let sum = (~had & 0xffff) + (~get16(bytes, place + 2) & 0xffff) + most;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  put16(next, at + 16, ~sum & 0xffff);
  return next;
}

/** The packet in pieces of at most `room` bytes; undefined: it may not be, or not so. */
export function inPieces(bytes: Uint8Array, room: number): Uint8Array[] | undefined {
  const word = get16(bytes, 6);
  if (isV6(bytes) || (word & DONT_FRAGMENT) !== 0) return undefined;
  const step = (room - HEADER) & ~7;
  const payload = bytes.subarray(HEADER);
  if (payload.length > step * PIECES_MAX) return undefined;
  const pieces: Uint8Array[] = [];
  for (let from = 0; from < payload.length; from += step) {
    const part = payload.subarray(from, from + step);
    const last = from + step >= payload.length;
    const piece = new Uint8Array(HEADER + part.length);
    piece.set(bytes.subarray(0, HEADER));
    piece.set(part, HEADER);
    put16(piece, 2, piece.length);
    const more = !last || (word & MORE_FRAGMENTS) !== 0 ? MORE_FRAGMENTS : 0;
    put16(piece, 6, ((word & 0x1fff) + (from >>> 3)) | more);
    fillHeaderChecksum(piece);
    pieces.push(piece);
  }
  return pieces;
}

/** Nobody hears of an ICMP error, a later fragment, or what isn't from one host to one host. */
export function mayBeTold(packet: IpPacket): boolean {
  const { source, destination, protocol, type } = packet;
  if ((packet.fragmentOffset ?? 0) !== 0) return false;
  const isHost = (a: Address) =>
    a.length === 4
      ? a[0] !== 0 && a[0] !== 127 && a[0]! < 224
      : a[0] !== 0xff && !a.every((octet) => octet === 0);
  if (!isHost(source) || !isHost(destination)) return false;
  if (source.length === 4) return protocol !== ICMP || ![3, 4, 5, 11, 12].includes(type ?? 8);
  return protocol !== ICMPV6 || ((type ?? 128) >= 128 && type !== 137);
}

/** @param bytes  the packet that it is about. */
export function icmpError(
  trouble: Trouble,
  bytes: Uint8Array,
  source: Address,
  mtu: number,
): Uint8Array {
  const v6 = isV6(bytes);
  const header = v6 ? 40 : HEADER;
  const most = (v6 ? ERROR_BYTES_V6 : ERROR_BYTES_V4) - header - ICMP_HEADER;
  const quoted = bytes.subarray(0, most);
  const tooBig = trouble === 'too big';
  return buildIp({
    source,
    destination: v6 ? bytes.subarray(8, 24) : bytes.subarray(12, 16),
    protocol: v6 ? ICMPV6 : ICMP,
    bytes: header + ICMP_HEADER + quoted.length,
    tos: v6 ? 0 : 0xc0,
    ...(v6 ? { type: tooBig ? 2 : 3, code: 0 } : { type: tooBig ? 3 : 11, code: tooBig ? 4 : 0 }),
    rest: tooBig ? mtu : 0,
    payload: quoted,
  });
}
