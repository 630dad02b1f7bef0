/** Which ports carry ESP. Pure. */
import type { PortConfig } from '../base/config/config.js';
import type { ProtectionTerms } from './protection.js';

/**
 * Why the port of a protection's local address does not carry its packets, undefined: it does. The
 * kernel's sockets of a port carry UDP alone; a device brings what it is told to.
 */
export function espObstacle(
  ports: readonly PortConfig[],
  { local, inUdp }: ProtectionTerms,
): string | undefined {
  const port = ports.find(({ addresses }) => addresses.includes(local));
  if (port?.driver === 'afxdp' && !port.esp) {
    return `port ${port.name} leaves ESP to the kernel; set its esp`;
  }
  if (port?.driver !== 'socket') return undefined;
  if (!inUdp) return `port ${port.name} is of driver socket, which carries ESP in UDP alone`;
  return port.espInUdp ? undefined : `port ${port.name} has no UDP port 4500; set its espInUdp`;
}
