/** Random packets for sessions that are there: most of them fit some rule, some fit none. */
import { type Address, parseAddress } from '../wire/address.js';
import { buildGtpu } from '../wire/gtpu.js';
import { buildIp, hasPorts, ICMP, type IpPacket } from '../wire/ip.js';
import type { ModelPacket } from './forward.js';
import type { Random } from './random.js';
import {
  FLOW_LABELS,
  PORTS,
  PROTOCOLS,
  QFIS,
  REMOTES_V4,
  REMOTES_V6,
  SPIS,
  TOS,
} from './random-session.js';
import type { Chosen, UpfModel } from './upf-model.js';

export interface TestPacket {
  readonly packet: ModelPacket;
  /** As it arrives, and the part of it that is the UE's. */
  readonly bytes: Uint8Array;
  readonly inner: Uint8Array;
}

const REMOTES = { v4: REMOTES_V4.map(parseAddress), v6: REMOTES_V6.map(parseAddress) };
const STRANGER = { v4: parseAddress('192.0.2.77'), v6: parseAddress('fd00:dead::1') };
const GNB = { v4: parseAddress('10.0.0.2'), v6: parseAddress('fd00::2') };
const N3 = { v4: parseAddress('10.0.0.1'), v6: parseAddress('fd00::1') };
/** Fits every MTU with a tunnel around it: what does not is in test/packets. */
const LARGEST = 1_400;

/** @param accessPort  index of N3; the others are core ports. */
export function randomPacket(
  random: Random,
  model: UpfModel,
  names: readonly string[],
  accessPort: number,
): TestPacket {
  const live = model.sessions.get(random.of(names))!;
  const uplink = random.once(2);
  if (!uplink) return downlinkPacket(random, live.chosen, corePort(random, model));
  const pdr = random.of(live.session.pdrs.map((_, i) => i));
  const teid = live.chosen.teids[pdr]!;
  const upwards = live.session.pdrs[pdr]!.pdi.source_interface === 'access';
  const unknown = random.once(64);
  if (teid === 0 && !unknown) {
    return downlinkPacket(random, live.chosen, corePort(random, model));
  }
  return tunnelPacket(random, live.chosen, unknown ? 0xdead : teid, upwards, accessPort);
}

function corePort(random: Random, model: UpfModel): number {
  return random.of(model.corePorts);
}

function downlinkPacket(random: Random, chosen: Chosen, port: number): TestPacket {
  const inner = innerPacket(random, chosen, false);
  const bytes = buildIp(inner);
  return { packet: { port, inner }, bytes, inner: bytes };
}

function tunnelPacket(
  random: Random,
  chosen: Chosen,
  teid: number,
  upwards: boolean,
  port: number,
): TestPacket {
  const inner = innerPacket(random, chosen, upwards);
  const innerBytes = buildIp(inner);
  const isV6 = random.once(8);
  const qfi = random.once(8) ? undefined : random.of(QFIS);
  const local = isV6 ? N3.v6 : N3.v4;
  const bytes = buildGtpu({
    outer: {
      source: isV6 ? GNB.v6 : GNB.v4,
      destination: local,
      // Over IPv4 most senders leave it out.
      withoutChecksum: !isV6 && !random.once(8),
    },
    type: 255,
    teid,
    ...(qfi === undefined ? {} : { container: { uplink: upwards, qfi } }),
    ...(random.once(16) ? { sequence: 7 } : {}),
    body: innerBytes,
  });
  const tunnel = { local, teid, ...(qfi === undefined ? {} : { qfi }) };
  return { packet: { port, tunnel, inner }, bytes, inner: innerBytes };
}

/** The UE's packet, or the one for it. */
function innerPacket(random: Random, chosen: Chosen, upwards: boolean): IpPacket {
  const { ueIpv4, uePrefix } = chosen;
  const isV6 = uePrefix !== undefined && (ueIpv4 === undefined || random.once(2));
  const stranger = isV6 ? STRANGER.v6 : STRANGER.v4;
  const ue = random.once(32) ? stranger : ueAddress(random, chosen, isV6);
  const remote = random.of(isV6 ? REMOTES.v6 : REMOTES.v4);
  const protocol = random.of(PROTOCOLS);
  const [source, destination] = upwards ? [ue, remote] : [remote, ue];
  const ports = hasPorts(protocol)
    ? { sourcePort: random.of(PORTS), destinationPort: random.of(PORTS) }
    : {};
  const later = random.once(24);
  const least = isV6 ? 80 : 60;
  return {
    source,
    destination,
    protocol: isV6 && protocol === ICMP ? 58 : protocol,
    withoutChecksum: true,
    bytes: randomLength(random, least),
    tos: random.of(TOS),
    ...ports,
    ...(protocol === 50 ? { spi: random.of(SPIS) } : {}),
    ...(isV6 ? { flowLabel: random.of(FLOW_LABELS) } : {}),
    ...(later ? { fragmentOffset: 1_480, moreFragments: random.once(2), identification: 9 } : {}),
  };
}

/** Often such that limits are met to the byte, or missed by one. */
function randomLength(random: Random, least: number): number {
  if (random.once(48)) return LARGEST;
  return random.once(2) ? random.of([100, 100, 101, 200, 500]) : random.between(least, 400);
}

function ueAddress(random: Random, { ueIpv4, uePrefix }: Chosen, isV6: boolean): Address {
  if (!isV6) return ueIpv4 ?? STRANGER.v4;
  const address = new Uint8Array(16);
  address.set(uePrefix!);
  address[15] = random.between(1, 255);
  return address;
}
