/** Words of the model for ports, packets, and what becomes of a packet. */
import { type Address, parseAddress } from '../wire/address.js';
import type { Container, Extension } from '../wire/gtpu.js';
import { type IpPacket, parseIp } from '../wire/ip.js';
import type { Fragment } from './reassembly.js';

export interface ModelPort {
  readonly name: string;
  readonly role: 'access' | 'core';
  readonly addresses: readonly string[];
  readonly networkInstances: readonly string[];
  /** Largest IP packet, on an access port that around the UE's; Infinity: no limit. */
  readonly mtu: number;
  /** Largest segment that a TCP SYN may ask for, by IP version. */
  readonly mss?: { readonly v4: number; readonly v6: number };
  readonly decrementTtl: boolean;
  /** What ICMP errors come from. */
  readonly icmpSource: { readonly v4: Address; readonly v6?: Address };
}

/** A GTP-U message for the UPF itself. */
export type Signal = { readonly local: Address; readonly peer: Address } & (
  | { readonly kind: 'echo request'; readonly sequence: number; readonly udpPort: number }
  | { readonly kind: 'echo response'; readonly sequence: number }
  | { readonly kind: 'extensions' }
  | { readonly kind: 'error indication'; readonly teid: number; readonly about: Address }
);

/** A packet at a port: in a tunnel, or not. */
export interface ModelPacket {
  readonly port: number;
  readonly tunnel?: {
    readonly local: Address;
    readonly teid: number;
    readonly qfi?: number;
    /** Who sent it. */
    readonly peer: Address;
    /** It has an extension header that has to be understood, and that nobody knows. */
    readonly unknown?: boolean;
    /** An End Marker, which has no inner packet that means anything. */
    readonly ends?: boolean;
    /** It goes on into another tunnel. */
    readonly pdcpNumber?: Extension;
  };
  readonly signal?: Signal;
  /** What is wrong with it, as the reason for which it ends. */
  readonly broken?: string;
  /** The UE's packet as fields and as bytes. */
  readonly inner: IpPacket;
  readonly bytes: Uint8Array;
  /** With the outer headers; the same as `bytes` without a tunnel. */
  readonly whole: Uint8Array;
  /** It is but a piece of this in its tunnel. */
  readonly fragment?: Fragment;
  /** It has turned round here: once out of a session, and in again. */
  readonly turned?: boolean;
}

/** The outer header that a packet leaves with. */
export interface SentTunnel {
  readonly source: Address;
  readonly destination: Address;
  readonly udpPort: number;
  readonly teid: number;
  readonly tos: number;
  readonly container?: Container;
  readonly pdcpNumber?: Extension;
  /** Of GTP-U: a G-PDU or another message, which may be numbered. */
  readonly type: number;
  readonly sequence?: number;
}
/** A packet that leaves, in its tunnel if there is one; or one that ends, and why. */
export type Effect =
  | { readonly port: number; readonly bytes: Uint8Array; readonly tunnel?: SentTunnel }
  | { readonly dropped: string };

export function plainPacket(port: number, bytes: Uint8Array, turned: boolean): ModelPacket {
  return { port, inner: parseIp(bytes), bytes, whole: bytes, turned };
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

export function keyOf(address: Address, number: number): string {
  return `${String.fromCharCode(...address)} ${number}`;
}

export function carries(port: ModelPort, instance: string | undefined): boolean {
  const { networkInstances } = port;
  if (instance === undefined || instance === '') return true;
  return networkInstances.includes('*') || networkInstances.includes(instance);
}
