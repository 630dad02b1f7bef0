/** IPv4 and IPv6 packets with the transport headers that rules look at. */
import type { Address } from './address.js';
import { checksum, get16, get32, pseudoHeaderSum, put16, put32 } from './checksum.js';

export const TCP = 6;
export const UDP = 17;
export const ICMP = 1;
export const ICMPV6 = 58;
export const ESP = 50;
export const SCTP = 132;
/** Extension headers of IPv6 (RFC 8200 section 4). */
export const HOP_BY_HOP = 0;
export const ROUTING = 43;
export const AUTHENTICATION = 51;
export const DESTINATION_OPTIONS = 60;
const FRAGMENT_HEADER = 44;
const EXTENSIONS = new Set([HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS, AUTHENTICATION]);
const PROTOCOLS_WITH_PORTS = new Set([TCP, UDP, SCTP, 33, 136]);
/** As they are written: without content; with a check value of twelve octets. */
const EXTENSION_BYTES = 8;
const AH_BYTES = 24;
const HEADER_BYTES: Readonly<Record<number, number>> = {
  [TCP]: 20,
  [UDP]: 8,
  [ICMP]: 8,
  [ICMPV6]: 8,
  [ESP]: 8,
  [SCTP]: 12,
};

export interface IpPacket {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  /** Of the whole packet. */
  readonly bytes: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** ESP's, or that of an authentication header. */
  readonly spi?: number;
  /** Of IPv6, by type: in front of a fragment header, or behind it. */
  readonly headers?: readonly number[];
  readonly innerHeaders?: readonly number[];
  /** Only read: where the upper layer begins. */
  readonly upper?: number;
  /** ICMP's type and code. */
  readonly type?: number;
  readonly code?: number;
  /** The four bytes behind its checksum: of "too big" the MTU. */
  readonly rest?: number;
  readonly tos?: number;
  readonly ttl?: number;
  readonly flowLabel?: number;
  readonly identification?: number;
  readonly dontFragment?: boolean;
  /** In bytes; absent: not a fragment. */
  readonly fragmentOffset?: number;
  readonly moreFragments?: boolean;
  /** Behind the transport header; absent: {@link patternByte}. */
  readonly payload?: Uint8Array;
  /** The transport checksum stays 0, as UDP over IPv4 may have it. */
  readonly withoutChecksum?: boolean;
  /** Only read: which checksums are wrong. */
  readonly wrong?: readonly string[];
}

/** What a payload holds when nothing else is said, by its place in the packet. */
export function patternByte(at: number): number {
  return at & 0xff;
}

const PATTERN = Uint8Array.from({ length: 0x10000 }, (_, i) => patternByte(i));

export function hasPorts(protocol: number): boolean {
  return PROTOCOLS_WITH_PORTS.has(protocol);
}

export function buildIp(packet: IpPacket): Uint8Array {
  const bytes = PATTERN.slice(0, packet.bytes);
  const isV6 = packet.source.length === 16;
  const upper = isV6 ? writeIpv6(bytes, packet) : writeIpv4(bytes, packet);
  const payloadAt = upper + writeTransport(bytes, upper, packet);
  if (packet.payload !== undefined) bytes.set(packet.payload, payloadAt);
  fillTransportChecksum(bytes, upper, packet);
  return bytes;
}

function writeIpv4(bytes: Uint8Array, packet: IpPacket): number {
  const flags = (packet.dontFragment === true ? 0x4000 : 0) | (packet.moreFragments ? 0x2000 : 0);
  bytes[0] = 0x45;
  bytes[1] = packet.tos ?? 0;
  put16(bytes, 2, packet.bytes);
  put16(bytes, 4, packet.identification ?? 0);
  put16(bytes, 6, flags | ((packet.fragmentOffset ?? 0) >>> 3));
  bytes[8] = packet.ttl ?? 64;
  bytes[9] = packet.protocol;
  put16(bytes, 10, 0);
  bytes.set(packet.source, 12);
  bytes.set(packet.destination, 16);
  put16(bytes, 10, checksum(bytes, 0, 20));
  return 20;
}

function writeIpv6(bytes: Uint8Array, packet: IpPacket): number {
  const fragment = packet.fragmentOffset !== undefined;
  const later = isLater(packet);
  put32(bytes, 0, (0x6000_0000 | ((packet.tos ?? 0) << 20) | (packet.flowLabel ?? 0)) >>> 0);
  put16(bytes, 4, packet.bytes - 40);
  bytes[7] = packet.ttl ?? 64;
  bytes.set(packet.source, 8);
  bytes.set(packet.destination, 24);
  const chain = [
    ...(packet.headers ?? []),
    ...(fragment ? [FRAGMENT_HEADER] : []),
    // What is behind a fragment header is in the first fragment.
    ...(later ? [] : (packet.innerHeaders ?? [])),
  ];
  let [next, at] = [6, 40];
  for (const type of chain) {
    bytes[next] = type;
    [next, at] = [at, at + writeExtension(bytes, at, type, packet)];
  }
  bytes[next] = later ? (packet.innerHeaders?.[0] ?? packet.protocol) : packet.protocol;
  return at;
}

/** Returns its length. */
function writeExtension(bytes: Uint8Array, at: number, type: number, packet: IpPacket): number {
  const isAh = type === AUTHENTICATION;
  bytes.fill(0, at, at + (isAh ? AH_BYTES : EXTENSION_BYTES));
  if (type === FRAGMENT_HEADER) {
    put16(bytes, at + 2, (packet.fragmentOffset ?? 0) | (packet.moreFragments === true ? 1 : 0));
    put32(bytes, at + 4, packet.identification ?? 0);
  } else if (isAh) {
    bytes[at + 1] = AH_BYTES / 4 - 2;
    put32(bytes, at + 4, packet.spi ?? 0);
  } else if (type !== ROUTING) {
    // Padding: an option of four octets.
    bytes.set([1, 4], at + 2);
  }
  return isAh ? AH_BYTES : EXTENSION_BYTES;
}

function isLater({ fragmentOffset = 0 }: IpPacket): boolean {
  return fragmentOffset !== 0;
}

/** Returns the length of the transport header; a later fragment has none. */
function writeTransport(bytes: Uint8Array, at: number, packet: IpPacket): number {
  const length = HEADER_BYTES[packet.protocol] ?? 0;
  // Over IPv4 it is a payload, but for its SPI.
  if (packet.protocol === AUTHENTICATION && packet.spi !== undefined && !isLater(packet)) {
    put32(bytes, at + 4, packet.spi);
  }
  if (length === 0 || isLater(packet) || at + length > bytes.length) return 0;
  bytes.fill(0, at, at + length);
  if (hasPorts(packet.protocol)) {
    put16(bytes, at, packet.sourcePort ?? 0);
    put16(bytes, at + 2, packet.destinationPort ?? 0);
  }
  if (packet.protocol === UDP) put16(bytes, at + 4, bytes.length - at);
  if (packet.protocol === TCP) put16(bytes, at + 12, 0x5010);
  if (packet.protocol === ESP) put32(bytes, at, packet.spi ?? 0);
  if (packet.protocol === ICMP || packet.protocol === ICMPV6) {
    bytes[at] = packet.type ?? (packet.protocol === ICMP ? 8 : 128);
    bytes[at + 1] = packet.code ?? 0;
    put32(bytes, at + 4, packet.rest ?? 0);
  }
  return length;
}

const CHECKSUM_AT: Readonly<Record<number, number>> = {
  [TCP]: 16,
  [UDP]: 6,
  [ICMP]: 2,
  [ICMPV6]: 2,
};

function fillTransportChecksum(bytes: Uint8Array, at: number, packet: IpPacket): void {
  const place = CHECKSUM_AT[packet.protocol];
  if (packet.withoutChecksum === true) return;
  const fragmented = packet.fragmentOffset !== undefined || packet.moreFragments === true;
  if (place === undefined || fragmented || at + place + 2 > bytes.length) return;
  const sum = transportChecksum(bytes, at, packet);
  put16(bytes, at + place, sum === 0 && packet.protocol === UDP ? 0xffff : sum);
}

function transportChecksum(bytes: Uint8Array, at: number, packet: IpPacket): number {
  const start =
    packet.protocol === ICMP
      ? 0
      : pseudoHeaderSum(packet.source, packet.destination, packet.protocol, bytes.length - at);
  return checksum(bytes, at, bytes.length, start);
}

/** Reads a well-formed packet; throws on anything else. */
export function parseIp(bytes: Uint8Array): IpPacket {
  const isV6 = bytes[0]! >>> 4 === 6;
  const total = isV6 ? 40 + get16(bytes, 4) : get16(bytes, 2);
  if (total !== bytes.length) throw new Error(`an IP packet says ${total} and has ${bytes.length}`);
  const header = isV6 ? readIpv6(bytes) : readIpv4(bytes);
  const upper = header.upper;
  const packet = { ...header.packet, ...readTransport(bytes, upper, header.packet), upper };
  const later = (packet.fragmentOffset ?? 0) !== 0;
  const payloadAt = upper + (later ? 0 : (HEADER_BYTES[packet.protocol] ?? 0));
  const wrong = header.wrong;
  if (isTransportChecksumWrong(bytes, upper, packet)) wrong.push('transport checksum');
  return { ...packet, payload: bytes.subarray(payloadAt), wrong };
}

interface Header {
  readonly packet: IpPacket;
  readonly upper: number;
  readonly wrong: string[];
}

function readIpv4(bytes: Uint8Array): Header {
  const upper = (bytes[0]! & 15) * 4;
  const flags = get16(bytes, 6);
  const isFragment = (flags & 0x3fff) !== 0;
  const packet: IpPacket = {
    source: bytes.subarray(12, 16),
    destination: bytes.subarray(16, 20),
    protocol: bytes[9]!,
    bytes: bytes.length,
    tos: bytes[1]!,
    ttl: bytes[8]!,
    identification: get16(bytes, 4),
    dontFragment: (flags & 0x4000) !== 0,
    ...(isFragment ? { fragmentOffset: (flags & 0x1fff) * 8 } : {}),
    moreFragments: (flags & 0x2000) !== 0,
  };
  return { packet, upper, wrong: checksum(bytes, 0, upper) === 0 ? [] : ['IP checksum'] };
}

function readIpv6(bytes: Uint8Array): Header {
  const first = get32(bytes, 0);
  const chain = readExtensions(bytes);
  const packet: IpPacket = {
    source: bytes.subarray(8, 24),
    destination: bytes.subarray(24, 40),
    protocol: chain.protocol,
    bytes: bytes.length,
    tos: (first >>> 20) & 0xff,
    flowLabel: first & 0xfffff,
    ttl: bytes[7]!,
    ...chain.fields,
  };
  return { packet, upper: chain.upper, wrong: [] };
}

/** Up to the upper layer, or to the data of a later fragment. */
function readExtensions(bytes: Uint8Array) {
  const headers: number[] = [];
  const innerHeaders: number[] = [];
  let fields: Partial<IpPacket> = {};
  let [protocol, at] = [bytes[6]!, 40];
  for (;;) {
    if (protocol === FRAGMENT_HEADER) {
      const fragmentOffset = get16(bytes, at + 2) & 0xfff8;
      const moreFragments = (bytes[at + 3]! & 1) !== 0;
      fields = { ...fields, fragmentOffset, moreFragments, identification: get32(bytes, at + 4) };
    } else if (EXTENSIONS.has(protocol)) {
      (fields.fragmentOffset === undefined ? headers : innerHeaders).push(protocol);
      if (protocol === AUTHENTICATION) fields = { ...fields, spi: get32(bytes, at + 4) };
    } else break;
    const units = bytes[at + 1]!;
    const length = protocol === AUTHENTICATION ? (units + 2) * 4 : (units + 1) * 8;
    [protocol, at] = [bytes[at]!, at + (protocol === FRAGMENT_HEADER ? EXTENSION_BYTES : length)];
    if ((fields.fragmentOffset ?? 0) !== 0) break;
  }
  const chain = {
    ...(headers.length > 0 ? { headers } : {}),
    ...(innerHeaders.length > 0 ? { innerHeaders } : {}),
  };
  return { protocol, upper: at, fields: { ...fields, ...chain } };
}

function readTransport(bytes: Uint8Array, at: number, packet: IpPacket): Partial<IpPacket> {
  const length = HEADER_BYTES[packet.protocol] ?? 0;
  const hasAh = packet.protocol === AUTHENTICATION && !isLater(packet) && at + 8 <= bytes.length;
  if (hasAh) return { spi: get32(bytes, at + 4) };
  if (isLater(packet) || length === 0 || at + length > bytes.length) return {};
  if (hasPorts(packet.protocol)) {
    return { sourcePort: get16(bytes, at), destinationPort: get16(bytes, at + 2) };
  }
  if (packet.protocol === ESP) return { spi: get32(bytes, at) };
  return { type: bytes[at]!, code: bytes[at + 1]!, rest: get32(bytes, at + 4) };
}

function isTransportChecksumWrong(bytes: Uint8Array, at: number, packet: IpPacket): boolean {
  const place = CHECKSUM_AT[packet.protocol];
  if (place === undefined || packet.fragmentOffset !== undefined) return false;
  const field = at + place;
  if (field + 2 > bytes.length) return false;
  if (packet.protocol === UDP && packet.source.length === 4 && get16(bytes, field) === 0)
    return false;
  return transportChecksum(bytes, at, packet) !== 0;
}
