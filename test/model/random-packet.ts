/** Random packets for sessions that are there: most of them fit some rule, some fit none. */
import { type Address, parseAddress } from '../wire/address.js';
import { buildGtpu, END_MARKER, G_PDU } from '../wire/gtpu.js';
import {
  AUTHENTICATION,
  buildIp,
  DESTINATION_OPTIONS,
  ESP,
  HOP_BY_HOP,
  hasPorts,
  ICMP,
  ICMPV6,
  type IpPacket,
  parseIp,
  ROUTING,
  TCP,
} from '../wire/ip.js';
import { addressOf, type ModelPacket } from './packet.js';
import type { Random } from './random.js';
import { SESSIONS, ueAddressOf } from './random-session.js';
import { randomSignal } from './random-signal.js';
import type { LiveSession } from './session.js';
import {
  FLOW_LABELS,
  ODD_V4,
  ODD_V6,
  PORTS,
  PROTOCOLS,
  QFIS,
  REMOTES_V4,
  REMOTES_V6,
  SPIS,
  TOS,
} from './small-world.js';
import type { UpfModel } from './upf-model.js';

export interface TestPacket {
  readonly packet: ModelPacket;
  /** As it arrives. */
  readonly bytes: Uint8Array;
}
interface Tunnel {
  readonly teid: number;
  readonly upwards: boolean;
}

const REMOTES = { v4: REMOTES_V4.map(parseAddress), v6: REMOTES_V6.map(parseAddress) };
const ODD = { v4: ODD_V4.map(parseAddress), v6: ODD_V6.map(parseAddress) };
const LINK_LOCAL = parseAddress('fe80::1');
const STRANGER = { v4: parseAddress('192.0.2.77'), v6: parseAddress('fd00:dead::1') };
const GNB = { v4: parseAddress('10.0.0.2'), v6: parseAddress('fd00::2') };
const N3 = { v4: parseAddress('10.0.0.1'), v6: parseAddress('fd00::1') };
const ROUTER_SOLICITATION = 133;
const ACCESS_PORT = 0;
/** Sizes at and around what fits with the ports' MTUs, with a tunnel around it and without. */
const LARGE = [1_400, 1_408, 1_428, 1_432, 1_436, 1_437, 1_440, 1_441, 1_456, 1_500, 1_501, 1_900];
const UNKNOWN_TEID = 0xdead;
/** An End Marker has no packet of a UE. */
const NO_INNER: IpPacket = { source: N3.v4, destination: N3.v4, protocol: 0, bytes: 0 };
/** Of twelve and of eighteen bits. */
const PDCP_NUMBERS = [0xc0, 0x82];
const NOTHING = new Uint8Array(0);

export function randomPacket(
  random: Random,
  model: UpfModel,
  names: readonly string[],
): TestPacket {
  const live = model.sessions.get(random.of(names))!;
  if (random.once(48)) return randomSignal(random, live);
  const tunnel = random.once(2) ? tunnelOf(random, live) : undefined;
  const { inner, bytes } = innerPacket(random, live, tunnel?.upwards === true);
  if (tunnel !== undefined) return tunnelPacket(random, tunnel, inner, bytes);
  return { packet: { port: random.of(model.corePorts), inner, bytes, whole: bytes }, bytes };
}

/** One of the session's tunnels, or one that nobody has; undefined: its PDR has none. */
function tunnelOf(random: Random, live: LiveSession): Tunnel | undefined {
  const at = random.below(live.session.pdrs.length);
  const upwards = live.session.pdrs[at]!.pdi.source_interface === 'access';
  if (random.once(64)) return { teid: UNKNOWN_TEID, upwards };
  const teid = live.chosen.teids[at]!;
  return teid === 0 ? undefined : { teid, upwards };
}

function tunnelPacket(
  random: Random,
  { teid, upwards }: Tunnel,
  inner: IpPacket,
  bytes: Uint8Array,
): TestPacket {
  const isV6 = random.once(8);
  const qfi = random.once(8) ? undefined : random.of(QFIS);
  const ends = random.once(48);
  const unknown = !ends && random.once(64);
  const extensions = ends ? [] : randomExtensions(random, unknown);
  const pdcpNumber = extensions.find(({ type }) => PDCP_NUMBERS.includes(type));
  const local = isV6 ? N3.v6 : N3.v4;
  const whole = buildGtpu({
    outer: {
      source: isV6 ? GNB.v6 : GNB.v4,
      destination: local,
      // As a packet has it that was put together from fragments.
      dontFragment: true,
      // Over IPv4 most senders leave it out.
      withoutChecksum: !isV6 && !random.once(8),
    },
    type: ends ? END_MARKER : G_PDU,
    teid,
    ...(qfi === undefined || ends ? {} : { container: { uplink: upwards, qfi } }),
    ...(random.once(16) ? { sequence: 7 } : {}),
    extensions,
    body: ends ? NOTHING : bytes,
  });
  const peer = isV6 ? GNB.v6 : GNB.v4;
  const marks = { ...(qfi === undefined ? {} : { qfi }), ...(pdcpNumber && { pdcpNumber }) };
  const tunnel = { local, peer, unknown, teid, ...marks, ends };
  const parts = ends ? { inner: NO_INNER, bytes: NOTHING } : { inner, bytes };
  return { packet: { port: ACCESS_PORT, tunnel, ...parts, whole }, bytes: whole };
}

/** Known ones, ones that nobody need know, and one that somebody should. */
function randomExtensions(random: Random, unknown: boolean) {
  const types = random.once(16) ? random.some([0x3f, 0x40, ...PDCP_NUMBERS, 0x84]) : [];
  if (unknown) types.push(random.of([0x81, 0xc8]));
  return types.map((type) => ({ type, content: Uint8Array.of(1, 2) }));
}

/** The UE's packet, or the one for it. */
function innerPacket(random: Random, live: LiveSession, upwards: boolean) {
  const { ueIpv4, uePrefix } = live.chosen;
  const isV6 = uePrefix !== undefined && (ueIpv4 === undefined || random.once(2));
  const ue = ueEnd(random, live, isV6);
  const remote = remoteEnd(random, isV6);
  // Now and then what the old gNB sends back.
  const isFromUe = upwards !== random.once(12);
  const [source, destination] = isFromUe ? [ue, remote] : [remote, ue];
  const drawn = random.of(PROTOCOLS);
  // Over IPv6 it is an extension header, with something behind it.
  const protocol = isV6 && drawn === AUTHENTICATION ? TCP : drawn;
  const chain = isV6 ? ipv6Fields(random, protocol) : {};
  const inner: IpPacket = {
    source,
    destination,
    protocol: isV6 && protocol === ICMP ? ICMPV6 : protocol,
    withoutChecksum: true,
    bytes: Math.max(randomLength(random, isV6 ? 80 : 60), chain.headers === undefined ? 0 : 160),
    tos: random.of(TOS),
    ...(random.once(24) ? { ttl: random.of([0, 1, 2]) } : {}),
    ...upperFields(random, protocol, isV6),
    ...(isV6 ? chain : { dontFragment: random.once(3) }),
    ...fragmentFields(random),
  };
  const bytes = buildIp(inner);
  const read = parseIp(bytes);
  if (protocol === TCP && inner.fragmentOffset === undefined && random.once(4)) {
    becomeSyn(random, bytes, read.upper!);
  }
  return { inner: read, bytes };
}

/** Extension headers now and then; ESP has an SPI of its own. */
function ipv6Fields(random: Random, protocol: number): Partial<IpPacket> {
  const flowLabel = random.of(FLOW_LABELS);
  if (!random.once(6)) return { flowLabel };
  const headers = random.some([HOP_BY_HOP, DESTINATION_OPTIONS, ROUTING]);
  const inner = protocol === ESP ? [DESTINATION_OPTIONS] : [AUTHENTICATION, DESTINATION_OPTIONS];
  const innerHeaders = random.some(inner);
  const spi = innerHeaders.includes(AUTHENTICATION) ? { spi: random.of(SPIS) } : {};
  return { flowLabel, headers, innerHeaders, ...spi };
}

function upperFields(random: Random, protocol: number, isV6: boolean): Partial<IpPacket> {
  if (hasPorts(protocol)) {
    return { sourcePort: random.of(PORTS), destinationPort: random.of(PORTS) };
  }
  if (protocol === ESP || protocol === AUTHENTICATION) return { spi: random.of(SPIS) };
  if (protocol !== ICMP) return {};
  return { type: random.of(isV6 ? [128, ROUTER_SOLICITATION, 1, 2, 137] : [8, 0, 3, 11]) };
}

function fragmentFields(random: Random): Partial<IpPacket> {
  if (!random.once(16)) return {};
  const fragmentOffset = random.of([0, 1_480]);
  const moreFragments = fragmentOffset === 0 || random.once(2);
  return { fragmentOffset, moreFragments, identification: 9 };
}

/** With the MSS as its first option. */
function becomeSyn(random: Random, bytes: Uint8Array, at: number): void {
  const mss = random.of([536, 1_199, 1_200, 1_201, 1_460]);
  bytes[at + 12] = 0x60;
  bytes[at + 13] = 2;
  bytes.set([2, 4, mss >>> 8, mss & 0xff], at + 20);
}

/** Often such that limits are met to the byte, or missed by one. */
function randomLength(random: Random, least: number): number {
  if (random.once(16)) return random.of(LARGE);
  return random.once(2) ? random.of([100, 100, 101, 200, 500]) : random.between(least, 400);
}

function ueEnd(random: Random, { chosen, session }: LiveSession, isV6: boolean): Address {
  if (random.once(32)) return isV6 ? STRANGER.v6 : STRANGER.v4;
  if (random.once(8)) return behind(random, Number(session.name.slice('ue-'.length)), isV6);
  if (isV6 && random.once(24)) return LINK_LOCAL;
  if (!isV6) return chosen.ueIpv4 ?? STRANGER.v4;
  return hostIn(random, chosen.uePrefix!);
}

function remoteEnd(random: Random, isV6: boolean): Address {
  const family = isV6 ? 'v6' : 'v4';
  if (random.once(24)) return random.of(ODD[family]);
  if (!random.once(8)) return random.of(REMOTES[family]);
  // Another UE, or a network behind one.
  const number = random.below(SESSIONS);
  if (random.once(3)) return behind(random, number, isV6);
  const { ipv4, ipv6_prefix: prefix } = ueAddressOf(number);
  return isV6 ? hostIn(random, addressOf(prefix.split('/')[0]!).subarray(0, 8)) : addressOf(ipv4);
}

function behind(random: Random, number: number, isV6: boolean): Address {
  if (!isV6) return addressOf(`192.168.${number}.${random.of([1, 65, 200])}`);
  const place = number.toString(16).padStart(3, '0');
  return addressOf(`2001:db8:f${place}:${random.of([0, 7])}::${random.of([1, 2])}`);
}

function hostIn(random: Random, prefix: Address): Address {
  const address = new Uint8Array(16);
  address.set(prefix);
  address[15] = random.between(1, 255);
  return address;
}
