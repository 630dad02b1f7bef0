/** Which ports carry ESP. Pure. */
import { isIP } from 'node:net';
import type { PortConfig } from '../base/config/config.js';
import { addressBits } from '../base/config/prefix.js';
import type { ProtectionTerms } from './protection.js';

export interface EspObstacle {
  /** Of the protection. */
  readonly field: string;
  readonly message: string;
}

/**
 * Why no port carries a protection's packets, undefined: one does, as far as can be known. The kernel's
 * sockets of a port carry UDP alone; a device brings what it is told to, and what is routed to it, so
 * that beside one any local address may be right.
 */
export function espObstacle(
  ports: readonly PortConfig[],
  { local, inUdp }: Pick<ProtectionTerms, 'local' | 'inUdp'>,
): EspObstacle | undefined {
  const port = ports[indexOf(ports, local)];
  if (port === undefined) {
    if (ports.some(({ driver }) => driver !== 'socket')) return undefined;
    return { field: 'local_address', message: 'is on no port of this node' };
  }
  const message = obstacleAt(port, inUdp);
  return message === undefined ? undefined : { field: 'udp_encapsulation', message };
}

/**
 * Bit n: what leaves by port n may have the local address of a protection. That is the port which has
 * the address; of one that no port has, each device may be told of, or have it routed to it.
 */
export function espPorts(
  ports: readonly PortConfig[],
  { local, inUdp }: Pick<ProtectionTerms, 'local' | 'inUdp'>,
): number {
  const own = indexOf(ports, local);
  if (own >= 0) return 1 << own;
  const mayCarry = (port: PortConfig): boolean =>
    port.driver !== 'socket' && obstacleAt(port, inUdp) === undefined;
  return ports.reduce((mask, port, index) => (mayCarry(port) ? mask | (1 << index) : mask), 0);
}

/** Of the port that has an address, -1: none. */
function indexOf(ports: readonly PortConfig[], address: string): number {
  const bits = addressBits(address);
  return ports.findIndex(({ addresses }) =>
    addresses.some((one) => isIP(one) === isIP(address) && addressBits(one) === bits),
  );
}

function obstacleAt(
  { driver, name, esp, espInUdp }: PortConfig,
  inUdp: boolean,
): string | undefined {
  if (driver === 'afxdp' && !esp) return `port ${name} leaves ESP to the kernel; set its esp`;
  if (driver !== 'socket') return undefined;
  if (!inUdp) return `port ${name} is of driver socket, which carries ESP in UDP alone`;
  return espInUdp ? undefined : `port ${name} has no UDP port 4500; set its espInUdp`;
}
