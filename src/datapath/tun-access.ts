import { accessSync, constants, readFileSync } from 'node:fs';

const TUN_FILE = '/dev/net/tun';
/** linux/capability.h */
const CAP_NET_ADMIN = 12n;

/**
 * What keeps this process from making TUN devices, with the command that mends it;
 * undefined: nothing does.
 */
export function tunObstacle(): string | undefined {
  if (!hasNetAdmin(readFileSync('/proc/self/status', 'utf8'))) {
    return (
      'the process lacks CAP_NET_ADMIN; run it as root, or once as root: ' +
      `setcap cap_net_admin+ep ${process.execPath}`
    );
  }
  try {
    accessSync(TUN_FILE, constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return `${TUN_FILE} can't be opened; load the driver (modprobe tun), or give the container that device`;
  }
}

/** @param status text of /proc/self/status */
export function hasNetAdmin(status: string): boolean {
  const bits = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return bits !== undefined && ((BigInt(`0x${bits}`) >> CAP_NET_ADMIN) & 1n) === 1n;
}
