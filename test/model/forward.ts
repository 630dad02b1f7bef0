/** What a FAR does with a packet, and the words for packets and where they went. */
import { type Address, parseAddress } from '../wire/address.js';
import type { Container } from '../wire/gtpu.js';
import type { IpPacket } from '../wire/ip.js';
import { directionOf, type Far, type Pdr, type Qer, type Session } from './rules.js';

export interface ModelPort {
  readonly name: string;
  readonly role: 'access' | 'core';
  readonly addresses: readonly string[];
  readonly networkInstances: readonly string[];
  readonly mtu: number;
}

/** A packet at a port: in a tunnel, or not. */
export interface ModelPacket {
  readonly port: number;
  readonly tunnel?: { readonly local: Address; readonly teid: number; readonly qfi?: number };
  readonly inner: IpPacket;
}

/** The outer header that a packet leaves with. */
export interface SentTunnel {
  readonly source: Address;
  readonly destination: Address;
  readonly udpPort: number;
  readonly teid: number;
  readonly tos: number;
  readonly container?: Container;
}
/** Where the inner packet went, unchanged; or why not. */
export type Verdict =
  | { readonly port: number; readonly tunnel?: SentTunnel; readonly by?: string }
  | { readonly dropped: string; readonly by?: string };

const UDP_PORT = 2152;

export function forward(
  session: Session,
  pdr: Pdr,
  packet: ModelPacket,
  ports: readonly ModelPort[],
): Verdict {
  const far = session.fars.find((one) => one.id === pdr.far_id) as Far;
  const { forward: rule } = far;
  if (rule === undefined) return { dropped: 'far_drop' };
  const outer = rule.outer_header_creation;
  if (outer === undefined && rule.destination_interface === 'access') {
    return { dropped: 'no_tunnel' };
  }
  const role = outer === undefined ? 'core' : 'access';
  const port = ports.findIndex((one) => one.role === role && carries(one, rule.network_instance));
  if (outer === undefined) {
    if (packet.inner.bytes > ports[port]!.mtu) return { dropped: 'mtu_exceeded' };
    return { port };
  }
  const destination = addressOf(outer.ipv4 ?? outer.ipv6 ?? '');
  const own = ports[port]!.addresses.map(addressOf);
  const container = containerOf(session, pdr, packet);
  const tunnel: SentTunnel = {
    source: own.find((address) => address.length === destination.length)!,
    destination,
    udpPort: outer.udp_port || UDP_PORT,
    teid: outer.teid,
    tos: (rule.dscp ?? 0) << 2,
    ...(container === undefined ? {} : { container }),
  };
  return { port, tunnel };
}

/** The PDU Session Container: the QER's marking, else what came along, else the default QFI. */
function containerOf(session: Session, pdr: Pdr, packet: ModelPacket): Container | undefined {
  const uplink = directionOf(pdr) === 'uplink';
  const marking = qersOf(session, pdr).find((qer) => qer.qfi !== undefined);
  if (marking !== undefined) {
    if (uplink) return { uplink, qfi: marking.qfi! };
    const { rqi, ppi } = marking;
    return { uplink, qfi: marking.qfi!, rqi: rqi === true, ...(ppi === undefined ? {} : { ppi }) };
  }
  const came = packet.tunnel?.qfi;
  if (came !== undefined) return uplink ? { uplink, qfi: came } : { uplink, qfi: came, rqi: false };
  const usual = session.qers.find((qer) => qer.qfi !== undefined)?.qfi;
  return uplink || usual === undefined ? undefined : { uplink, qfi: usual, rqi: false };
}

const addresses = new Map<string, Address>();

/** Parsed once. */
export function addressOf(text: string): Address {
  const known = addresses.get(text);
  if (known !== undefined) return known;
  const address = parseAddress(text);
  addresses.set(text, address);
  return address;
}

export function carries(port: ModelPort, instance: string | undefined): boolean {
  const { networkInstances } = port;
  if (instance === undefined || instance === '') return true;
  return networkInstances.includes('*') || networkInstances.includes(instance);
}

export function qersOf(session: Session, pdr: Pdr): Qer[] {
  return (pdr.qer_ids ?? []).map((id) => session.qers.find((qer) => qer.id === id)!);
}
