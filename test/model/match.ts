/** Which PDR of its session a packet has, and whether the packet is the session's at all. */
import { type Address, isLinkLocal, sameAddress, startsWith } from '../wire/address.js';
import { ICMPV6, type IpPacket, UDP } from '../wire/ip.js';
import { type FlowFilter, filterMatches } from './filter.js';
import { addressOf, type ModelPacket } from './packet.js';
import { type Direction, farOf } from './rules.js';
import {
  isIn,
  isOfUe,
  type LivePdr,
  type LiveSession,
  PREFIX_BITS,
  type Prefix,
} from './session.js';

const DHCPV6_SERVER_PORT = 547;

/** A packet without a tunnel comes from the network; in one, the PDRs of the tunnel say. */
export function directionFor(live: LiveSession, { tunnel }: ModelPacket): Direction {
  if (tunnel === undefined) return 'downlink';
  return pdrsOfTunnel(live, tunnel)[0]?.direction ?? 'uplink';
}

export function pdrsOfTunnel(
  live: LiveSession,
  { teid, local }: NonNullable<ModelPacket['tunnel']>,
): LivePdr[] {
  return live.pdrs.filter(
    (pdr) => pdr.teid === teid && pdr.locals.some((own) => sameAddress(own, local)),
  );
}

/** Whether a packet that a session held is its own under its new rules. */
export function isStillOf(live: LiveSession, { tunnel, inner, port }: ModelPacket): boolean {
  if (tunnel !== undefined) return pdrsOfTunnel(live, tunnel).length > 0;
  const takes = live.pdrs.some(
    ({ pdr, ports }) => pdr.pdi.local_f_teid === undefined && ports.includes(port),
  );
  return takes && isOfUe(live, inner.destination);
}

/** The PDR, or the reason for which there is none. */
export function match(live: LiveSession, packet: ModelPacket): LivePdr | string {
  const { inner } = packet;
  const uplink = directionFor(live, packet) === 'uplink';
  const foreign = uplink && isSpoofed(live, inner);
  // What the old gNB sends back was meant for the UE, and goes on to it.
  const returns = foreign && isOfUe(live, inner.destination);
  if (foreign && !returns) return 'spoofed_source';
  const found = live.pdrs.find((pdr) => matches(live, pdr, packet));
  if (found === undefined) return 'no_pdr';
  const { forward: rule, buffer } = farOf(live.session, found.pdr.far_id);
  if (!returns) return found;
  const toGnb =
    rule?.destination_interface === 'access' &&
    rule.outer_header_creation !== undefined &&
    found.pdr.outer_header_removal !== 'none';
  // What is buffered is asked again when it leaves.
  return toGnb || buffer !== undefined ? found : 'spoofed_source';
}

/** Without an address of its UE, a session doesn't know its sources. */
function isOfChecked({ chosen: { ueIpv4, uePrefix } }: LiveSession): boolean {
  return ueIpv4 !== undefined || uePrefix !== undefined;
}

/**
 * Link-local sources are good for what a UE has to send from them; the interface identifier
 * that they should have is not known.
 */
function isSpoofed(live: LiveSession, packet: IpPacket): boolean {
  const { source } = packet;
  if (!isOfChecked(live)) return false;
  if (isLinkLocal(source)) {
    if (live.chosen.uePrefix === undefined) return true;
    return packet.protocol !== ICMPV6 && !isToDhcpServer(packet);
  }
  return !isOfUe(live, source);
}

function isToDhcpServer({ protocol, destinationPort, fragmentOffset = 0 }: IpPacket): boolean {
  return protocol === UDP && destinationPort === DHCPV6_SERVER_PORT && fragmentOffset === 0;
}

function matches(live: LiveSession, found: LivePdr, packet: ModelPacket): boolean {
  const { tunnel, inner, port } = packet;
  const { pdr, direction, filters } = found;
  const { pdi } = pdr;
  if (!found.ports.includes(port)) return false;
  if ((pdi.local_f_teid !== undefined) !== (tunnel !== undefined)) return false;
  if (tunnel !== undefined) {
    if (found.teid !== tunnel.teid) return false;
    if (!found.locals.some((local) => sameAddress(local, tunnel.local))) return false;
  }
  if (pdi.qfis !== undefined && pdi.qfis.length > 0 && !pdi.qfis.includes(tunnel?.qfi ?? -1)) {
    return false;
  }
  const uplink = direction === 'uplink';
  if (!isOnSide(live, found, uplink ? inner.source : inner.destination)) return false;
  return filters.length === 0 || filters.some((flow) => filterMatches(flow, inner, uplink));
}

/** Whether the UE's end of the packet is what the PDI names. */
function isOnSide(live: LiveSession, found: LivePdr, end: Address): boolean {
  return sidesOf(live, found).some((side) => isIn(end, side));
}

const ANY_V4: Prefix = { address: new Uint8Array(4), bits: 0 };
const ANY_V6: Prefix = { address: new Uint8Array(16), bits: 0 };
const LINK_LOCAL: Prefix = { address: addressOf('fe80::'), bits: 10 };
/** What is for every host on the UE's link is for the UE too. */
const ON_LINK: Prefix = { address: addressOf('ff02::'), bits: 16 };

/** Where the UE's end has to be. */
function sidesOf({ chosen, pdrs }: LiveSession, found: LivePdr): readonly Prefix[] {
  const { pdr, direction, routes } = found;
  const named = pdr.pdi.ue_address;
  const routed = pdrs.some((one) => one.direction === direction && one.routes.length > 0);
  const downTunnel = direction === 'downlink' && pdr.pdi.local_f_teid !== undefined;
  if (named === undefined && (routes.length === 0 || !routed)) return [ANY_V4, ANY_V6];
  const [v4, v6] = [named?.ipv4 !== undefined, named?.ipv6_prefix !== undefined];
  // Without routes all that is the session's is the UE's.
  if (!routed && !downTunnel) return [...(v4 ? [ANY_V4] : []), ...(v6 ? [ANY_V6] : [])];
  const link = direction === 'downlink' ? [LINK_LOCAL, ON_LINK] : [LINK_LOCAL];
  return [
    ...routes,
    ...(v4 ? [{ address: chosen.ueIpv4!, bits: 32 }] : []),
    ...(v6 ? [{ address: chosen.uePrefix!, bits: PREFIX_BITS }, ...link] : []),
  ];
}

/** Whether there is any packet that the PDR could have. */
export function canMatch(live: LiveSession, found: LivePdr): boolean {
  const { filters } = found;
  return (
    filters.length === 0 ||
    sidesOf(live, found).some((side) => filters.some((flow) => canMatchOn(flow, side)))
  );
}

function canMatchOn({ filter, network, ue }: FlowFilter, side: Prefix): boolean {
  const isV6 = side.address.length > 4;
  if (filter.flow_label !== undefined && !isV6) return false;
  if (network?.prefix !== undefined && network.prefix.address.length > 4 !== isV6) return false;
  const prefix = ue?.prefix;
  if (prefix === undefined) return true;
  const bits = Math.min(prefix.bits, side.bits);
  const half = side.address.length === 8 ? prefix.address.subarray(0, 8) : prefix.address;
  return (
    prefix.address.length > 4 === isV6 &&
    startsWith(half, side.address, Math.min(bits, half.length * 8))
  );
}
