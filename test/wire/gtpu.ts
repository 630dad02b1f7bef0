/** GTP-U (TS 29.281) in UDP in IP, with the PDU Session Container (TS 38.415). */
import { get16, get32, put16, put32 } from './checksum.js';
import { buildIp, type IpPacket, parseIp, UDP } from './ip.js';

export const GTPU_PORT = 2152;
export const ECHO_REQUEST = 1;
export const ECHO_RESPONSE = 2;
export const ERROR_INDICATION = 26;
export const EXTENSIONS_NOTIFICATION = 31;
export const END_MARKER = 254;
export const G_PDU = 255;
const PDU_SESSION_CONTAINER = 0x85;

export interface Container {
  readonly uplink: boolean;
  readonly qfi: number;
  readonly rqi?: boolean;
  readonly ppi?: number;
}

/** Another extension header than the container: its content is between length and next type. */
export interface Extension {
  readonly type: number;
  readonly content: Uint8Array;
}

export interface GtpuPacket {
  /** Addresses, ports and marking of the outer packet; its length follows from the rest. */
  readonly outer: Omit<IpPacket, 'protocol' | 'bytes'>;
  readonly type: number;
  readonly teid: number;
  readonly sequence?: number;
  readonly container?: Container;
  /** Written before the container. */
  readonly extensions?: readonly Extension[];
  /** The UE's packet of a G-PDU, the information elements of another message. */
  readonly body: Uint8Array;
}

function containerBytes(container: Container): Uint8Array {
  const { uplink, qfi, rqi, ppi } = container;
  const second = (rqi === true ? 0x40 : 0) | (ppi === undefined ? 0 : 0x80) | qfi;
  if (ppi === undefined) return Uint8Array.of(uplink ? 0x10 : 0, second);
  return Uint8Array.of(uplink ? 0x10 : 0, second, ppi << 5, 0, 0, 0);
}

/** Extension headers, each {length in units of 4, content, next type}. */
function extensionBytes(packet: GtpuPacket): { readonly first: number; readonly bytes: number[] } {
  const list = [...(packet.extensions ?? [])];
  if (packet.container !== undefined) {
    list.push({ type: PDU_SESSION_CONTAINER, content: containerBytes(packet.container) });
  }
  const bytes: number[] = [];
  list.forEach(({ content }, i) => {
    bytes.push((content.length + 2) / 4, ...content, list[i + 1]?.type ?? 0);
  });
  return { first: list[0]?.type ?? 0, bytes };
}

export function buildGtpu(packet: GtpuPacket): Uint8Array {
  const { first, bytes: extensions } = extensionBytes(packet);
  const hasSequence = packet.sequence !== undefined;
  const options = hasSequence || extensions.length > 0 ? 4 : 0;
  const length = options + extensions.length + packet.body.length;
  const message = new Uint8Array(8 + length);
  message[0] = 0x30 | (extensions.length > 0 ? 4 : 0) | (hasSequence ? 2 : 0);
  message[1] = packet.type;
  put16(message, 2, length);
  put32(message, 4, packet.teid);
  if (options > 0) {
    put16(message, 8, packet.sequence ?? 0);
    message[11] = first;
    message.set(extensions, 12);
  }
  message.set(packet.body, 8 + options + extensions.length);
  const header = packet.outer.source.length === 16 ? 48 : 28;
  return buildIp({
    sourcePort: GTPU_PORT,
    destinationPort: GTPU_PORT,
    ...packet.outer,
    protocol: UDP,
    bytes: header + message.length,
    payload: message,
  });
}

/** Reads a well-formed message; throws on anything else. */
export function parseGtpu(bytes: Uint8Array): GtpuPacket {
  const outer = parseIp(bytes);
  if (outer.protocol !== UDP || outer.payload === undefined) throw new Error('not UDP');
  const message = outer.payload;
  const flags = message[0]!;
  if (flags >>> 4 !== 3) throw new Error('not GTP version 1');
  if (get16(message, 2) !== message.length - 8) throw new Error('a wrong GTP-U length');
  let at = 8;
  let container: Container | undefined;
  const extensions: Extension[] = [];
  if ((flags & 7) !== 0) {
    at = 12;
    let next = (flags & 4) !== 0 ? message[11]! : 0;
    while (next !== 0) {
      const length = message[at]! * 4;
      if (length === 0 || at + length > message.length) throw new Error('a broken extension');
      const content = message.subarray(at + 1, at + length - 1);
      if (next === PDU_SESSION_CONTAINER) container = readContainer(content);
      else extensions.push({ type: next, content });
      next = message[at + length - 1]!;
      at += length;
    }
  }
  return {
    outer,
    type: message[1]!,
    teid: get32(message, 4),
    ...((flags & 2) !== 0 ? { sequence: get16(message, 8) } : {}),
    ...(container === undefined ? {} : { container }),
    extensions,
    body: message.subarray(at),
  };
}

function readContainer(content: Uint8Array): Container {
  const uplink = content[0]! >>> 4 === 1;
  const second = content[1]!;
  const qfi = second & 0x3f;
  if (uplink) return { uplink, qfi };
  const rqi = (second & 0x40) !== 0;
  return (second & 0x80) !== 0
    ? { uplink, qfi, rqi, ppi: content[2]! >>> 5 }
    : { uplink, qfi, rqi };
}
