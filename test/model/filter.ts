/**
 * Service data flow filters (TS 29.212 clause 5.4.2). A flow description is written for the
 * downlink, "from" the network "to" the UE; upwards the packet's ends change places.
 */
import { type Address, parseAddress, startsWith } from '../wire/address.js';
import { hasPorts, type IpPacket } from '../wire/ip.js';
import type { SdfFilter } from './rules.js';

interface Place {
  /** undefined: any, or the UE's own, which the session's lookup has seen to. */
  readonly prefix?: { readonly address: Address; readonly bits: number };
  /** Inclusive ranges; empty: any, also none at all. */
  readonly ports: readonly (readonly [number, number])[];
}
export interface FlowFilter {
  readonly filter: SdfFilter;
  readonly protocol?: number;
  readonly network?: Place;
  readonly ue?: Place;
}

const PROTOCOL_NAMES: Readonly<Record<string, number>> = { udp: 17, tcp: 6, icmp: 1, esp: 50 };
const FLOW = /^permit out (\S+) from (\S+)(?: ([\d,-]+))? to (\S+)(?: ([\d,-]+))?$/;

export function readFilter(filter: SdfFilter): FlowFilter {
  if (filter.flow_description === undefined) return { filter };
  const match = FLOW.exec(filter.flow_description);
  if (match === null) throw new Error(`not a flow description: ${filter.flow_description}`);
  const [, protocol, from, fromPorts, to, toPorts] = match;
  return {
    filter,
    ...(protocol === 'ip' ? {} : { protocol: PROTOCOL_NAMES[protocol!] ?? Number(protocol) }),
    network: readPlace(from!, fromPorts),
    ue: readPlace(to!, toPorts),
  };
}

function readPlace(text: string, ports: string | undefined): Place {
  const ranges = (ports?.split(',') ?? []).map((range) => {
    const [low, high] = range.split('-').map(Number);
    return [low!, high ?? low!] as const;
  });
  if (text === 'any' || text === 'assigned') return { ports: ranges };
  const [address, bits] = text.split('/');
  const parsed = parseAddress(address!);
  return {
    prefix: { address: parsed, bits: bits === undefined ? parsed.length * 8 : Number(bits) },
    ports: ranges,
  };
}

export function filterMatches(flow: FlowFilter, packet: IpPacket, uplink: boolean): boolean {
  const { filter, protocol, network, ue } = flow;
  if (protocol !== undefined && packet.protocol !== protocol) return false;
  const destination = { address: packet.destination, port: packet.destinationPort };
  const source = { address: packet.source, port: packet.sourcePort };
  if (!placeMatches(network, uplink ? destination : source, packet)) return false;
  if (!placeMatches(ue, uplink ? source : destination, packet)) return false;
  const mask = filter.tos_mask ?? 0xff;
  if (filter.tos !== undefined && ((packet.tos ?? 0) & mask) !== (filter.tos & mask)) return false;
  // Of ESP, or of an authentication header; parsed where there is one.
  if (filter.spi !== undefined && packet.spi !== filter.spi) return false;
  const isV6 = packet.source.length === 16;
  return filter.flow_label === undefined || (isV6 && (packet.flowLabel ?? 0) === filter.flow_label);
}

function isLaterFragment(packet: IpPacket): boolean {
  return (packet.fragmentOffset ?? 0) !== 0;
}

function placeMatches(
  place: Place | undefined,
  end: { readonly address: Address; readonly port: number | undefined },
  packet: IpPacket,
): boolean {
  if (place === undefined) return true;
  const { prefix, ports } = place;
  if (prefix !== undefined && !startsWith(end.address, prefix.address, prefix.bits)) return false;
  if (ports.length === 0) return true;
  // Later fragments have no ports, nor has a protocol without them.
  if (!hasPorts(packet.protocol) || isLaterFragment(packet)) return false;
  const port = end.port ?? -1;
  return ports.some(([low, high]) => port >= low && port <= high);
}
