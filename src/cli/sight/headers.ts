/** The headers of a packet, decoded for people. Pure. */
import { formatIp } from './addresses.js';

/** One header: its name and what it says. */
export interface HeaderLine {
  readonly name: string;
  readonly text: string;
}

const GTPU_PORT = 2152;
const PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'ICMP',
  6: 'TCP',
  17: 'UDP',
  44: 'fragment',
  50: 'ESP',
  58: 'ICMPv6',
  132: 'SCTP',
};
const GTPU_TYPES: Readonly<Record<number, string>> = {
  1: 'Echo Request',
  2: 'Echo Response',
  26: 'Error Indication',
  31: 'Supported Extension Headers Notification',
  254: 'End Marker',
  255: 'G-PDU',
};
const NO_MORE_EXTENSIONS = 0;
const PDU_SESSION_CONTAINER = 0x85;

/** From the outer IP header to the last one that is understood; a packet cut off says so. */
export function decodeHeaders(packet: Uint8Array): HeaderLine[] {
  const lines: HeaderLine[] = [];
  try {
    ip(new DataView(packet.buffer, packet.byteOffset, packet.byteLength), lines, 'outer ');
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    lines.push({ name: '…', text: 'cut off here' });
  }
  if (!lines.some((line) => line.name === 'GTP-U')) {
    return lines.map((line) => ({ ...line, name: line.name.replace(/^outer /, '') }));
  }
  return lines;
}

function rest(view: DataView, from: number): DataView {
  if (from > view.byteLength) throw new RangeError();
  return new DataView(view.buffer, view.byteOffset + from, view.byteLength - from);
}

function ip(view: DataView, lines: HeaderLine[], which: string): void {
  if (view.getUint8(0) >> 4 === 6) ipv6(view, lines, which);
  else ipv4(view, lines, which);
}

function ipv4(view: DataView, lines: HeaderLine[], which: string): void {
  const header = (view.getUint8(0) & 15) * 4;
  const tos = view.getUint8(1);
  const fragment = view.getUint16(6);
  const protocol = view.getUint8(9);
  const parts = [
    `${formatIp(view, 12, 4)} > ${formatIp(view, 16, 4)}`,
    `length ${view.getUint16(2)}`,
    `ttl ${view.getUint8(8)}`,
  ];
  if (tos >> 2 !== 0) parts.push(`dscp ${tos >> 2}`);
  if ((tos & 3) !== 0) parts.push(`ecn ${tos & 3}`);
  if ((fragment & 0x4000) !== 0) parts.push('DF');
  const offset = (fragment & 0x1fff) * 8;
  if ((fragment & 0x2000) !== 0 || offset !== 0) {
    parts.push(
      `fragment at ${offset}${(fragment & 0x2000) !== 0 ? ', more follow' : ', the last'}`,
    );
  }
  lines.push({ name: `${which}IPv4`, text: parts.join(', ') });
  if (offset === 0) upper(protocol, rest(view, header), lines, which);
}

function ipv6(view: DataView, lines: HeaderLine[], which: string): void {
  const first = view.getUint32(0);
  const parts = [
    `${formatIp(view, 8, 16)} > ${formatIp(view, 24, 16)}`,
    `length ${view.getUint16(4) + 40}`,
    `hop limit ${view.getUint8(7)}`,
  ];
  const dscp = (first >>> 22) & 63;
  if (dscp !== 0) parts.push(`dscp ${dscp}`);
  if ((first & 0xfffff) !== 0) parts.push(`flow label 0x${(first & 0xfffff).toString(16)}`);
  lines.push({ name: `${which}IPv6`, text: parts.join(', ') });
  upper(view.getUint8(6), rest(view, 40), lines, which);
}

function upper(protocol: number, view: DataView, lines: HeaderLine[], which: string): void {
  const name = PROTOCOLS[protocol] ?? `protocol ${protocol}`;
  if (protocol !== 17 && protocol !== 6) {
    const icmp = protocol === 1 || protocol === 58;
    const text = icmp
      ? `type ${view.getUint8(0)}, code ${view.getUint8(1)}`
      : `${view.byteLength} bytes`;
    lines.push({ name: `${which}${name}`, text });
    return;
  }
  const ports = `${view.getUint16(0)} > ${view.getUint16(2)}`;
  if (protocol === 6) {
    lines.push({ name: `${which}TCP`, text: `${ports}, ${tcpFlags(view.getUint8(13))}` });
    return;
  }
  const checksum = view.getUint16(6);
  const length = `length ${view.getUint16(4)}${checksum === 0 ? ', no checksum' : ''}`;
  lines.push({ name: `${which}UDP`, text: `${ports}, ${length}` });
  if (which !== '' && view.getUint16(2) === GTPU_PORT) gtpu(rest(view, 8), lines);
}

function tcpFlags(flags: number): string {
  const names = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG'];
  return names.filter((_, bit) => ((flags >> bit) & 1) !== 0).join(' ') || 'no flags';
}

function gtpu(view: DataView, lines: HeaderLine[]): void {
  const flags = view.getUint8(0);
  const type = view.getUint8(1);
  const teid = view.getUint32(4).toString(16);
  const name = GTPU_TYPES[type] ?? `message type ${type}`;
  lines.push({ name: 'GTP-U', text: `${name}, TEID 0x${teid}, length ${view.getUint16(2)}` });
  let at = 8;
  if ((flags & 7) !== 0) {
    let next = (flags & 4) !== 0 ? view.getUint8(11) : NO_MORE_EXTENSIONS;
    at = 12;
    while (next !== NO_MORE_EXTENSIONS) {
      const bytes = view.getUint8(at) * 4;
      if (bytes === 0) throw new RangeError();
      if (next === PDU_SESSION_CONTAINER) lines.push(container(view, at + 1));
      else lines.push({ name: 'extension', text: `type 0x${next.toString(16)}, ${bytes} bytes` });
      next = view.getUint8(at + bytes - 1);
      at += bytes;
    }
  }
  if (type === 255) ip(rest(view, at), lines, 'inner ');
}

/** TS 38.415 clause 5.5.2. */
function container(view: DataView, at: number): HeaderLine {
  const downlink = view.getUint8(at) >> 4 === 0;
  const second = view.getUint8(at + 1);
  const parts = [downlink ? 'downlink' : 'uplink', `QFI ${second & 63}`];
  if (downlink && (second & 0x40) !== 0) parts.push('RQI');
  if (downlink && (second & 0x80) !== 0) parts.push(`PPI ${view.getUint8(at + 2) >> 5}`);
  return { name: 'PDU Session Container', text: parts.join(', ') };
}
