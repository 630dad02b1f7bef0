/** A session as the model keeps it, and where packets find it: by tunnel, address and route. */
import { type Address, sameAddress, startsWith } from '../wire/address.js';
import type { Bucket } from './bucket.js';
import { type FlowFilter, readFilter } from './filter.js';
import { addressOf, carries, keyOf, type ModelPort } from './packet.js';
import { type Direction, directionOf, type Pdr, type Session } from './rules.js';
import type { UrrUsage } from './usage.js';

/** What the UPF chose for a session, by the position of the PDR. */
export interface Chosen {
  readonly teids: readonly number[];
  readonly ueIpv4: Address | undefined;
  /** Its first 8 bytes. */
  readonly uePrefix: Address | undefined;
}
export interface Prefix {
  readonly address: Address;
  readonly bits: number;
}
export interface LivePdr {
  readonly pdr: Pdr;
  readonly direction: Direction;
  readonly teid: number;
  readonly locals: readonly Address[];
  /** Ports on which its packets arrive. */
  readonly ports: readonly number[];
  readonly filters: readonly FlowFilter[];
  readonly routes: readonly Prefix[];
}
export interface LiveSession {
  readonly session: Session;
  readonly chosen: Chosen;
  /** In the order in which they are asked. */
  readonly pdrs: readonly LivePdr[];
  readonly buckets: Map<string, Bucket>;
  readonly usage: Map<number, UrrUsage>;
}

export const PREFIX_BITS = 64;

export function livePdrs(session: Session, chosen: Chosen, ports: readonly ModelPort[]): LivePdr[] {
  const pdrs = session.pdrs.map((pdr, i) => livePdr(pdr, chosen.teids[i]!, ports));
  return pdrs.sort((a, b) => a.pdr.precedence - b.pdr.precedence || a.pdr.id - b.pdr.id);
}

function livePdr(pdr: Pdr, teid: number, all: readonly ModelPort[]): LivePdr {
  const { local_f_teid: fTeid, network_instance: instance } = pdr.pdi;
  const role = fTeid === undefined ? 'core' : 'access';
  const ports = [...all.keys()].filter((i) => {
    const port = all[i]!;
    return port.role === role && carries(port, instance);
  });
  const given = [fTeid?.ipv4, fTeid?.ipv6].filter((text) => text !== undefined);
  const own = ports.flatMap((i) => all[i]!.addresses);
  const locals = fTeid === undefined ? [] : given.length > 0 ? given : own;
  return {
    pdr,
    direction: directionOf(pdr),
    teid,
    ports,
    locals: locals.map(addressOf),
    filters: (pdr.pdi.sdf_filters ?? []).map(readFilter),
    routes: (pdr.pdi.framed_routes ?? []).map(readPrefix),
  };
}

function readPrefix(text: string): Prefix {
  const [address, bits] = text.split('/');
  return { address: addressOf(address!), bits: Number(bits) };
}

export function isIn(address: Address, { address: prefix, bits }: Prefix): boolean {
  // A UE's prefix is the half of an address.
  const part = prefix.length === 8 ? address.subarray(0, 8) : address;
  return part.length === prefix.length && address.length !== 8 && startsWith(part, prefix, bits);
}

/** Whether the address is the UE's or in one of its framed routes. */
export function isOfUe({ chosen, pdrs }: LiveSession, address: Address): boolean {
  const { ueIpv4, uePrefix } = chosen;
  if (address.length === 4) {
    if (ueIpv4 !== undefined && sameAddress(address, ueIpv4)) return true;
  } else if (uePrefix !== undefined && startsWith(address.subarray(0, 8), uePrefix, PREFIX_BITS)) {
    return true;
  }
  return pdrs.some(({ routes }) => routes.some((route) => isIn(address, route)));
}

export class SessionIndex {
  /** By local address and TEID, and by port and UE address: names of sessions. */
  readonly #tunnels = new Map<string, string>();
  readonly #addresses = new Map<string, string>();
  readonly #routes = new Map<string, { prefix: Prefix; port: number; name: string }>();

  add(live: LiveSession): void {
    const { name } = live.session;
    this.#change(live, (map, key) => map.set(key, name));
    for (const [key, prefix, port] of routesOf(live)) this.#routes.set(key, { prefix, port, name });
  }

  remove(live: LiveSession): void {
    this.#change(live, (map, key) => map.delete(key));
    for (const [key] of routesOf(live)) this.#routes.delete(key);
  }

  byTunnel(local: Address, teid: number): string | undefined {
    return this.#tunnels.get(keyOf(local, teid));
  }

  /** A UE's address, else the longest framed route. */
  byAddress(to: Address, port: number): string | undefined {
    const own = this.#addresses.get(keyOf(to.length === 16 ? to.subarray(0, 8) : to, port));
    if (own !== undefined) return own;
    let longest: { prefix: Prefix; name: string } | undefined;
    for (const route of this.#routes.values()) {
      if (route.port !== port || !isIn(to, route.prefix)) continue;
      if (longest === undefined || route.prefix.bits > longest.prefix.bits) longest = route;
    }
    return longest?.name;
  }

  #change(live: LiveSession, change: (map: Map<string, string>, key: string) => void): void {
    for (const { pdr, teid, locals, ports } of live.pdrs) {
      for (const local of locals) change(this.#tunnels, keyOf(local, teid));
      if (pdr.pdi.local_f_teid !== undefined) continue;
      for (const port of ports) {
        if (live.chosen.ueIpv4) change(this.#addresses, keyOf(live.chosen.ueIpv4, port));
        if (live.chosen.uePrefix) change(this.#addresses, keyOf(live.chosen.uePrefix, port));
      }
    }
  }
}

function routesOf(live: LiveSession): [string, Prefix, number][] {
  const found: [string, Prefix, number][] = [];
  for (const { pdr, ports, routes } of live.pdrs) {
    if (pdr.pdi.local_f_teid !== undefined) continue;
    for (const prefix of routes) {
      for (const port of ports) {
        found.push([`${keyOf(prefix.address, port)}/${prefix.bits}`, prefix, port]);
      }
    }
  }
  return found;
}
