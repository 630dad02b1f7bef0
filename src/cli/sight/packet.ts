/** Packets for a trace: built from a few words, or read from hexadecimal text. Pure. */
import { usageError } from '../../tools/tool-error.js';
import { ipBytes } from './addresses.js';

export type Protocol = 'udp' | 'tcp' | 'icmp';

/** The UE's packet. */
export interface InnerPacket {
  readonly protocol: Protocol;
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** of the whole IP packet */
  readonly bytes: number;
  /** type of service or traffic class */
  readonly tos: number;
}
/** The tunnel around it. */
export interface Tunnel {
  readonly source: string;
  readonly destination: string;
  readonly teid: number;
  /** undefined: without a PDU Session Container */
  readonly qfi: number | undefined;
}

const HEADER_BYTES: Readonly<Record<Protocol, number>> = { udp: 8, tcp: 20, icmp: 8 };
const ETHERNET_BYTES = 14;
const GTPU_PORT = 2152;

/** A whole, well-formed IP packet; `flag` names where its size comes from. */
export function buildInner(packet: InnerPacket, flag: string): Uint8Array {
  const v6 = packet.source.includes(':');
  if (v6 !== packet.destination.includes(':')) {
    throw usageError(`${packet.source} and ${packet.destination} are of different IP versions`);
  }
  const least = (v6 ? 40 : 20) + HEADER_BYTES[packet.protocol];
  if (packet.bytes < least) {
    throw usageError(`${flag}: this packet has at least ${least} bytes of headers`);
  }
  const protocol = { udp: 17, tcp: 6, icmp: v6 ? 58 : 1 }[packet.protocol];
  const payload = upperLayer(packet, packet.bytes - (v6 ? 40 : 20));
  return ip(packet.source, packet.destination, protocol, packet.tos, payload);
}

export function wrap(inner: Uint8Array, tunnel: Tunnel): Uint8Array {
  const { qfi } = tunnel;
  const header = qfi === undefined ? 8 : 16;
  const message = new Uint8Array(8 + header + inner.length);
  const view = new DataView(message.buffer);
  view.setUint16(0, GTPU_PORT);
  view.setUint16(2, GTPU_PORT);
  view.setUint16(4, message.length);
  view.setUint16(8, qfi === undefined ? 0x30ff : 0x34ff);
  view.setUint16(10, header - 8 + inner.length);
  view.setUint32(12, tunnel.teid);
  if (qfi !== undefined) {
    view.setUint8(19, 0x85);
    view.setUint32(20, 0x0110_0000 | (qfi << 8));
  }
  message.set(inner, 8 + header);
  return ip(tunnel.source, tunnel.destination, 17, 0, message);
}

/** An IP packet out of hexadecimal text; an Ethernet header before it is taken off. */
export function parseHex(text: string, flag: string): Uint8Array {
  const digits = text.replace(/0x|[\s:,-]/g, '');
  if (digits === '') throw usageError(`${flag}: gives no bytes`);
  const wrong = /[^0-9a-fA-F]/.exec(digits);
  if (wrong !== null) throw usageError(`${flag}: "${wrong[0]}" is no hexadecimal digit`);
  if (digits.length % 2 !== 0) {
    throw usageError(`${flag}: ${digits.length} digits are no whole number of bytes`);
  }
  const bytes = new Uint8Array(Buffer.from(digits, 'hex'));
  return withoutEthernet(bytes);
}

function withoutEthernet(bytes: Uint8Array): Uint8Array {
  const version = (bytes[0] ?? 0) >> 4;
  const ipLength = version === 4 ? (bytes[2] ?? 0) * 256 + (bytes[3] ?? 0) : bytes.length;
  if (version === 6 || (version === 4 && ipLength <= bytes.length)) return bytes;
  let at = ETHERNET_BYTES;
  const type = (): number => (bytes[at - 2] ?? 0) * 256 + (bytes[at - 1] ?? 0);
  while ((type() === 0x8100 || type() === 0x88a8) && at < ETHERNET_BYTES + 8) at += 4;
  return type() === 0x0800 || type() === 0x86dd ? bytes.subarray(at) : bytes;
}

/** Whether this is UDP to the GTP-U port, and to which address: then N3 has received it. */
export function gtpuDestination(packet: Uint8Array): Uint8Array | undefined {
  const v6 = (packet[0] ?? 0) >> 4 === 6;
  const header = v6 ? 40 : ((packet[0] ?? 0) & 15) * 4;
  const port = (packet[header + 2] ?? 0) * 256 + (packet[header + 3] ?? 0);
  if (packet[v6 ? 6 : 9] !== 17 || port !== GTPU_PORT) return undefined;
  return packet.subarray(v6 ? 24 : 16, v6 ? 40 : 20);
}

function ip(from: string, to: string, protocol: number, tos: number, payload: Uint8Array) {
  const v6 = from.includes(':');
  const [source, destination] = [ipBytes(from), ipBytes(to)];
  const header = v6 ? 40 : 20;
  const packet = new Uint8Array(header + payload.length);
  const view = new DataView(packet.buffer);
  packet.set(payload, header);
  packet.set(source, v6 ? 8 : 12);
  packet.set(destination, v6 ? 24 : 16);
  if (v6) {
    view.setUint32(0, 0x6000_0000 | (tos << 20));
    view.setUint16(4, payload.length);
    view.setUint8(6, protocol);
    view.setUint8(7, 64);
  } else {
    view.setUint16(0, 0x4500 | tos);
    view.setUint16(2, packet.length);
    view.setUint8(8, 64);
    view.setUint8(9, protocol);
    view.setUint16(10, checksum([packet.subarray(0, 20)]));
  }
  fillChecksum(packet.subarray(header), protocol, source, destination);
  return packet;
}

/** Where the checksum of the upper layer is; all of these but ICMP cover the addresses. */
function fillChecksum(upper: Uint8Array, protocol: number, from: Uint8Array, to: Uint8Array) {
  const at = { 17: 6, 6: 16, 1: 2, 58: 2 }[protocol] ?? 0;
  const pseudo = new Uint8Array(8);
  new DataView(pseudo.buffer).setUint32(0, upper.length);
  pseudo[7] = protocol;
  const parts = protocol === 1 ? [upper] : [from, to, pseudo, upper];
  const sum = checksum(parts);
  const view = new DataView(upper.buffer, upper.byteOffset, upper.length);
  view.setUint16(at, protocol === 17 && sum === 0 ? 0xffff : sum);
}

function checksum(parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 2) sum += (part[i]! << 8) | (part[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return ~sum & 0xffff;
}

function upperLayer(packet: InnerPacket, bytes: number): Uint8Array {
  const upper = new Uint8Array(bytes);
  const view = new DataView(upper.buffer);
  if (packet.protocol === 'icmp') {
    view.setUint8(0, packet.source.includes(':') ? 128 : 8);
    return upper;
  }
  view.setUint16(0, packet.sourcePort);
  view.setUint16(2, packet.destinationPort);
  if (packet.protocol === 'udp') view.setUint16(4, bytes);
  else view.setUint16(12, 0x5010);
  return upper;
}
