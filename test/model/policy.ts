/** Addresses that have no business on N6 (RFC 6890, RFC 4291), and those of UEs, which turn round. */
import type { IpPolicy } from '../../src/datapath/datapath.js';
import { type Address, isLinkLocal, sameAddress } from '../wire/address.js';
import { type IpPacket, UDP } from '../wire/ip.js';
import { addressOf, type ModelPacket, type ModelPort } from './packet.js';
import type { SessionIndex } from './session.js';

const GTPU_PORT = 2152;

export function isMulticast(address: Address): boolean {
  if (address.length === 16) return address[0] === 0xff;
  return address[0]! >>> 4 === 14 || address.every((octet) => octet === 255);
}

/** An address that never is on a wire. */
export function isMartian(address: Address): boolean {
  const [first, second] = address as unknown as [number, number];
  if (address.length === 4) {
    return first === 0 || first === 127 || first >= 240 || (first === 169 && second === 254);
  }
  if (isLinkLocal(address)) return true;
  const zeros = (from: number, to: number) => address.subarray(from, to).every((o) => o === 0);
  const loopback = zeros(0, 15) && address[15]! <= 1;
  return loopback || (zeros(0, 10) && address[10] === 255 && address[11] === 255);
}

/** Of a packet that leaves a tunnel for N6: why it may not, "turn", or undefined. */
export function towardsN6(
  { source, destination, protocol, destinationPort, fragmentOffset = 0 }: IpPacket,
  port: number,
  policy: IpPolicy,
  ports: readonly ModelPort[],
  index: SessionIndex,
): string | undefined {
  // Link-local packets stay on their link: to the control plane function, never to N6.
  if (isLinkLocal(source)) return 'martian';
  if (isMulticast(destination)) return policy.multicast === 'drop' ? 'multicast' : undefined;
  if (isLinkLocal(destination)) return 'martian';
  if (isMartian(destination)) return policy.martians === 'drop' ? 'martian' : undefined;
  const own = ports
    .flatMap((one) => (one.role === 'access' ? one.addresses : []))
    .some((text) => sameAddress(addressOf(text), destination));
  if (own) {
    const nested = protocol === UDP && destinationPort === GTPU_PORT && fragmentOffset === 0;
    if (nested && policy.nestedGtpu === 'drop') return 'nested_gtpu';
    if (!nested && policy.ownAddresses === 'drop') return 'own_address';
    if (nested) return undefined;
  }
  return policy.hairpin && index.byAddress(destination, port) !== undefined ? 'turn' : undefined;
}

export function fromN6({ inner }: ModelPacket, policy: IpPolicy): string | undefined {
  const wrong = isMartian(inner.source) || isMulticast(inner.source);
  return wrong && policy.martians === 'drop' ? 'martian' : undefined;
}
