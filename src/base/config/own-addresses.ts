/** Addresses of the node that no UE has business with. Pure; any thread. */
import { isIP } from 'node:net';
import { parseListen } from './listen.js';
import type { Config } from './schema.js';

/**
 * Where the node listens, and what access ports are called outside; the access ports' own
 * addresses are known to the packet path. A wildcard names no address, so it protects none.
 */
export function ownAddresses(config: Config): string[] {
  const listens = [config.api.listen, config.http.listen, ...config.n4.listen];
  const hosts = listens.flatMap((text) => {
    const listen = parseListen(text);
    return listen?.kind === 'tcp' ? [listen.host] : [];
  });
  const named = [...hosts, ...config.ports.flatMap((port) => port.advertise)];
  return [...new Set(named)].filter((host) => isIP(host) !== 0 && !/^[0.:]+$/.test(host));
}
