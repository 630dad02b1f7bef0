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
  const bits = addressBits(local);
  const port = ports.find(({ addresses }) =>
    addresses.some((one) => isIP(one) === isIP(local) && addressBits(one) === bits),
  );
  if (port === undefined) {
    if (ports.some(({ driver }) => driver !== 'socket')) return undefined;
    return { field: 'local_address', message: 'is on no port of this node' };
  }
  const message = obstacleAt(port, inUdp);
  return message === undefined ? undefined : { field: 'udp_encapsulation', message };
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
