/**
 * Packets as a line of text, layer by layer with " | " between, in both directions:
 *
 *   gtpu 10.0.0.2 > 10.0.0.1 teid 0x100 ul qfi 9 | udp 10.60.0.7:4000 > 203.0.113.9:443 100
 *   tcp [fd00:60::7]:4000 > [2001:db8::9]:443 80 tos 0x20
 *   esp 10.60.0.7 > 203.0.113.9 120 spi 0x11        icmp6 fe80::1 > ff02::2 64 type 133/0
 *   icmp 10.60.0.1 > 203.0.113.9 576 type 3/4 rest 1356, of ICMP the four bytes before its payload
 *   udp 10.60.0.7 > 203.0.113.9 100 frag 1480       ip 132 …, any protocol by its number
 *   gtpu 10.0.0.2 > 10.0.0.1 teid 0 echo-request seq 7 body 0e00
 *   hex 45000014…
 *
 * The number behind the addresses is the length of the whole IP packet. What is usual is left
 * out: UDP port 2152 of GTP-U, TTL 64, TOS 0, the pattern as payload. Pure; any thread.
 */
import { type Address, formatAddress, parseAddress } from './address.js';
import * as gtpu from './gtpu.js';
import * as ip from './ip.js';

const PROTOCOLS: Readonly<Record<string, number>> = {
  udp: ip.UDP,
  tcp: ip.TCP,
  icmp: ip.ICMP,
  icmp6: ip.ICMPV6,
  esp: ip.ESP,
  sctp: ip.SCTP,
};
const MESSAGES: Readonly<Record<string, number>> = {
  'echo-request': gtpu.ECHO_REQUEST,
  'echo-response': gtpu.ECHO_RESPONSE,
  'error-indication': gtpu.ERROR_INDICATION,
  'extensions-notification': gtpu.EXTENSIONS_NOTIFICATION,
  'end-marker': gtpu.END_MARKER,
};
/** As much of a payload that is no pattern as a line shows. */
const PAYLOAD_SHOWN = 48;

export function packetOf(text: string): Uint8Array {
  const [first, ...rest] = text.split('|').map((layer) => layer.trim());
  const words = first!.split(/\s+/);
  if (words[0] === 'hex') return bytesOfHex(words.slice(1).join(''));
  if (words[0] !== 'gtpu') return buildIpLayer(words);
  return buildGtpuLayer(words, rest.length > 0 ? packetOf(rest.join('|')) : undefined);
}

function bytesOfHex(text: string): Uint8Array {
  if (!/^([0-9a-f]{2})*$/i.test(text)) throw new Error(`"${text}" is no hexadecimal text`);
  return Uint8Array.from(Buffer.from(text, 'hex'));
}

interface Ends {
  source: Address;
  destination: Address;
  sourcePort?: number;
  destinationPort?: number;
}

function endsOf(from: string | undefined, arrow: string | undefined, to: string | undefined): Ends {
  if (arrow !== '>') throw new Error(`expected "SOURCE > DESTINATION", not "${from} ${arrow}"`);
  const split = (text: string): { address: Address; port?: number } => {
    const match = /^\[(.+)\]:(\d+)$/.exec(text) ?? /^([\d.]+):(\d+)$/.exec(text);
    if (match === null) return { address: parseAddress(text) };
    return { address: parseAddress(match[1]!), port: Number(match[2]) };
  };
  const source = split(from ?? '');
  const destination = split(to ?? '');
  return {
    source: source.address,
    destination: destination.address,
    ...(source.port === undefined ? {} : { sourcePort: source.port }),
    ...(destination.port === undefined ? {} : { destinationPort: destination.port }),
  };
}

/** Options behind the addresses: a word, or a word and its value. */
class Options {
  #at = 0;
  constructor(private readonly words: readonly string[]) {}

  /** The next option's name, undefined at the end. */
  next(): string | undefined {
    return this.words[this.#at++];
  }
  number(): number {
    const word = this.word();
    const value = Number(word);
    if (!Number.isInteger(value)) throw new Error(`"${word}" is no whole number`);
    return value;
  }
  word(): string {
    const word = this.words[this.#at++];
    if (word === undefined) throw new Error(`a value is missing behind "${this.words.at(-1)}"`);
    return word;
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function buildIpLayer(words: readonly string[]): Uint8Array {
  const numbered = words[0] === 'ip';
  const protocol = numbered ? Number(words[1]) : PROTOCOLS[words[0]!];
  if (protocol === undefined) throw new Error(`"${words[0]}" is no protocol`);
  const at = numbered ? 2 : 1;
  const packet: Writable<ip.IpPacket> = {
    ...endsOf(words[at], words[at + 1], words[at + 2]),
    protocol,
    bytes: Number(words[at + 3]),
  };
  if (!Number.isInteger(packet.bytes)) throw new Error(`no length in "${words.join(' ')}"`);
  const options = new Options(words.slice(at + 4));
  for (let name = options.next(); name !== undefined; name = options.next()) {
    readIpOption(packet, name, options);
  }
  return ip.buildIp(packet);
}

function readIpOption(packet: Writable<ip.IpPacket>, name: string, options: Options): void {
  if (name === 'tos') packet.tos = options.number();
  else if (name === 'ttl') packet.ttl = options.number();
  else if (name === 'flow') packet.flowLabel = options.number();
  else if (name === 'id') packet.identification = options.number();
  else if (name === 'spi') packet.spi = options.number();
  else if (name === 'rest') packet.rest = options.number();
  else if (name === 'df') packet.dontFragment = true;
  else if (name === 'payload') packet.payload = bytesOfHex(options.word());
  else if (name === 'type') {
    const [type, code] = options.word().split('/').map(Number);
    packet.type = type!;
    packet.code = code ?? 0;
  } else if (name === 'frag') {
    const place = options.word();
    packet.moreFragments = place.endsWith('+');
    packet.fragmentOffset = Number.parseInt(place, 10);
  } else throw new Error(`"${name}" is no option of an IP packet`);
}

function buildGtpuLayer(words: readonly string[], inner: Uint8Array | undefined): Uint8Array {
  const outer: Writable<gtpu.GtpuPacket['outer']> = endsOf(words[1], words[2], words[3]);
  const packet: Writable<gtpu.GtpuPacket> = {
    outer,
    type: gtpu.G_PDU,
    teid: 0,
    body: inner ?? new Uint8Array(0),
  };
  const container: Writable<gtpu.Container> = { uplink: true, qfi: -1 };
  const extensions: { type: number; content: Uint8Array }[] = [];
  const options = new Options(words.slice(4));
  for (let name = options.next(); name !== undefined; name = options.next()) {
    if (name === 'teid') packet.teid = options.number();
    else if (name === 'ul' || name === 'dl') container.uplink = name === 'ul';
    else if (name === 'qfi') container.qfi = options.number();
    else if (name === 'rqi') container.rqi = true;
    else if (name === 'ppi') container.ppi = options.number();
    else if (name === 'seq') packet.sequence = options.number();
    else if (name === 'tos') outer.tos = options.number();
    else if (name === 'df') outer.dontFragment = true;
    else if (name === 'type') packet.type = options.number();
    else if (name === 'body') packet.body = bytesOfHex(options.word());
    else if (name === 'ext') {
      const [type, content] = options.word().split(':');
      extensions.push({ type: Number(type), content: bytesOfHex(content!) });
    } else if (MESSAGES[name] !== undefined) packet.type = MESSAGES[name]!;
    else throw new Error(`"${name}" is no option of a GTP-U packet`);
  }
  if (container.qfi >= 0) packet.container = container;
  if (extensions.length > 0) packet.extensions = extensions;
  return gtpu.buildGtpu(packet);
}

/** @param tunnel  whether the packet is one of GTP-U, as on an access port. */
export function textOf(bytes: Uint8Array, tunnel: boolean): string {
  try {
    return tunnel ? gtpuText(gtpu.parseGtpu(bytes)) : ipText(ip.parseIp(bytes));
  } catch (error) {
    return `hex ${Buffer.from(bytes).toString('hex')} (${(error as Error).message})`;
  }
}

function placeText(address: Address, port: number | undefined): string {
  const text = formatAddress(address);
  if (port === undefined) return text;
  return address.length === 16 ? `[${text}]:${port}` : `${text}:${port}`;
}

function ipText(packet: ip.IpPacket): string {
  const name = Object.entries(PROTOCOLS).find(([, number]) => number === packet.protocol)?.[0];
  const source = placeText(packet.source, packet.sourcePort);
  const destination = placeText(packet.destination, packet.destinationPort);
  const parts = [name ?? `ip ${packet.protocol}`, source, '>', destination, `${packet.bytes}`];
  if (packet.tos) parts.push(`tos 0x${packet.tos.toString(16)}`);
  if (packet.ttl !== 64) parts.push(`ttl ${packet.ttl}`);
  if (packet.flowLabel) parts.push(`flow 0x${packet.flowLabel.toString(16)}`);
  if (packet.identification) parts.push(`id ${packet.identification}`);
  if (packet.dontFragment) parts.push('df');
  if (packet.spi !== undefined) parts.push(`spi 0x${packet.spi.toString(16)}`);
  if (packet.type !== undefined) parts.push(`type ${packet.type}/${packet.code}`);
  if (packet.rest) parts.push(`rest ${packet.rest}`);
  if (packet.fragmentOffset !== undefined) {
    parts.push(`frag ${packet.fragmentOffset}${packet.moreFragments ? '+' : ''}`);
  }
  const payload = packet.payload ?? new Uint8Array(0);
  const from = packet.bytes - payload.length;
  if (!payload.every((byte, i) => byte === ip.patternByte(from + i))) {
    const shown = Buffer.from(payload.subarray(0, PAYLOAD_SHOWN)).toString('hex');
    parts.push(`payload ${shown}${payload.length > PAYLOAD_SHOWN ? '…' : ''}`);
  }
  for (const what of packet.wrong ?? []) parts.push(`wrong ${what}`);
  return parts.join(' ');
}

function gtpuText(packet: gtpu.GtpuPacket): string {
  const { outer, container } = packet;
  const port = (number: number | undefined) => (number === gtpu.GTPU_PORT ? undefined : number);
  const source = placeText(outer.source, port(outer.sourcePort));
  const destination = placeText(outer.destination, port(outer.destinationPort));
  const parts = ['gtpu', source, '>', destination, `teid 0x${packet.teid.toString(16)}`];
  const message = Object.entries(MESSAGES).find(([, type]) => type === packet.type)?.[0];
  if (message !== undefined) parts.push(message);
  else if (packet.type !== gtpu.G_PDU) parts.push(`type ${packet.type}`);
  if (packet.sequence !== undefined) parts.push(`seq ${packet.sequence}`);
  if (outer.tos) parts.push(`tos 0x${outer.tos.toString(16)}`);
  for (const { type, content } of packet.extensions ?? []) {
    parts.push(`ext 0x${type.toString(16)}:${Buffer.from(content).toString('hex')}`);
  }
  if (container !== undefined) {
    parts.push(container.uplink ? 'ul' : 'dl', `qfi ${container.qfi}`);
    if (container.rqi) parts.push('rqi');
    if (container.ppi !== undefined) parts.push(`ppi ${container.ppi}`);
  }
  for (const what of outer.wrong ?? []) parts.push(`wrong outer ${what}`);
  if (packet.type !== gtpu.G_PDU) {
    if (packet.body.length > 0) parts.push(`body ${Buffer.from(packet.body).toString('hex')}`);
    return parts.join(' ');
  }
  return `${parts.join(' ')} | ${textOf(packet.body, false)}`;
}

/** Any order of options and any spelling of numbers come out the same. */
export function canonicalText(text: string): string {
  return textOf(packetOf(text), text.trimStart().startsWith('gtpu'));
}
