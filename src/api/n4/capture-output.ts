/**
 * Datagrams of N4 as pcapng: raw IP packets whose IP and UDP headers are made here, as the
 * socket gives the payload only. Sources: draft-ietf-opsawg-pcapng, RFC 768, RFC 791, RFC 8200.
 */
import { IpTextReader } from '../../base/ip-text.js';
import { writeWord } from '../../n4/codec/octets.js';
import type { N4Datagram } from './service.js';
import type { WatchOutput } from './watch-stream.js';

const SECTION_HEADER = 0x0a0d0d0a;
const BYTE_ORDER = 0x1a2b3c4d;
const INTERFACE = 1;
const ENHANCED_PACKET = 6;
const LINKTYPE_RAW = 101;
const OPTION_NAME = 2;
const OPTION_FLAGS = 2;
const INBOUND = 1;
const OUTBOUND = 2;
const UDP = 17;
const HOPS = 64;

export class CaptureOutput implements WatchOutput {
  readonly most = 1000;
  #packets = 0;
  #told = -1;

  chunk(datagrams: readonly N4Datagram[], lost: number): object | undefined {
    const first = this.#told < 0;
    if (datagrams.length === 0 && lost === this.#told) return undefined;
    this.#told = lost;
    this.#packets += datagrams.length;
    const head = first ? [sectionHeader(), interfaceOf('n4')] : [];
    const pcapng = Buffer.concat([...head, ...datagrams.map(packetBlock)]);
    return { pcapng, packets: this.#packets, lost };
  }
}

function block(type: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length = 12 + body.length;
  const head = Buffer.alloc(8);
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(length, 4);
  return Buffer.concat([head, body, head.subarray(4)]);
}

function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

function option(code: number, value: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(code, 0);
  head.writeUInt16LE(value.length, 2);
  return Buffer.concat([head, padded(value)]);
}

const endOfOptions = Buffer.alloc(4);

function sectionHeader(): Buffer {
  const body = Buffer.alloc(16, 0xff);
  body.writeUInt32LE(BYTE_ORDER, 0);
  body.writeUInt16LE(1, 4);
  body.writeUInt16LE(0, 6);
  return block(SECTION_HEADER, body);
}

function interfaceOf(name: string): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt16LE(LINKTYPE_RAW, 0);
  return block(INTERFACE, body, option(OPTION_NAME, Buffer.from(name)), endOfOptions);
}

function packetBlock(datagram: N4Datagram): Buffer {
  const packet = ipPacket(datagram);
  const time = BigInt(Math.round(datagram.timeMs * 1000));
  const body = Buffer.alloc(20);
  body.writeUInt32LE(Number(time >> 32n), 4);
  body.writeUInt32LE(Number(time & 0xffffffffn), 8);
  body.writeUInt32LE(packet.length, 12);
  body.writeUInt32LE(packet.length, 16);
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(datagram.sent ? OUTBOUND : INBOUND, 0);
  return block(ENHANCED_PACKET, body, padded(packet), option(OPTION_FLAGS, flags), endOfOptions);
}

function ipPacket({
  family,
  sent,
  local,
  localPort,
  remote,
  remotePort,
  bytes,
}: N4Datagram): Buffer {
  const own = addressOctets(local, family);
  const other = addressOctets(remote, family);
  const [source, destination] = sent ? [own, other] : [other, own];
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(sent ? localPort : remotePort, 0);
  udp.writeUInt16BE(sent ? remotePort : localPort, 2);
  udp.writeUInt16BE(8 + bytes.length, 4);
  const pseudo = Buffer.alloc(4);
  pseudo[1] = UDP;
  pseudo.writeUInt16BE(8 + bytes.length, 2);
  const sum = checksum([source, destination, pseudo, udp, bytes]);
  udp.writeUInt16BE(sum === 0 ? 0xffff : sum, 6);
  const header = family === 4 ? ipv4Header : ipv6Header;
  return Buffer.concat([header(8 + bytes.length, source, destination), udp, bytes]);
}

function ipv4Header(length: number, source: Uint8Array, destination: Uint8Array): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(20 + length, 2);
  header[8] = HOPS;
  header[9] = UDP;
  header.set(source, 12);
  header.set(destination, 16);
  header.writeUInt16BE(checksum([header]), 10);
  return header;
}

function ipv6Header(length: number, source: Uint8Array, destination: Uint8Array): Buffer {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(length, 4);
  header[6] = UDP;
  header[7] = HOPS;
  header.set(source, 8);
  header.set(destination, 24);
  return header;
}

/** The Internet checksum over parts, all of which but the last have an even length. */
function checksum(parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; at += 2) sum += (part[at]! << 8) | (part[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

const reader = new IpTextReader();

/** Octets of an address; of a zone only what is before it. */
function addressOctets(text: string, family: 4 | 6): Uint8Array {
  const octets = new Uint8Array(family === 4 ? 4 : 16);
  const bytes = Buffer.from(text, 'latin1');
  if (family === 4) {
    if (reader.readIpv4(bytes, 0, bytes.length) > 0) writeWord(octets, 0, reader.ipv4);
  } else if (reader.readIpv6(bytes, 0, bytes.length) > 0) {
    for (let word = 0; word < 4; word++) writeWord(octets, word * 4, reader.ipv6[word]!);
  }
  return octets;
}
