import { accessSync, constants, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { listenText, parseListen } from './listen.js';
import { overlap, parsePrefix } from './prefix.js';
import { type Config, isDpdkDevice, isInterface, MTU_MAX, type PortConfig } from './schema.js';
import type { YamlSource } from './source.js';

type Complain = (keys: readonly PropertyKey[], message: string) => void;

/** Keys that mean something for some drivers alone. */
const DRIVERS_OF_KEY: { readonly [K in keyof PortConfig]?: readonly PortConfig['driver'][] } = {
  device: ['tun', 'afxdp', 'dpdk'],
  gateway: ['dpdk'],
  masquerade: ['tun'],
  sourcePorts: ['socket', 'afxdp', 'dpdk'],
  espInUdp: ['socket'],
  esp: ['afxdp'],
  busyPoll: ['afxdp'],
  forwardInDriver: ['afxdp'],
  file: ['pcap'],
  outputFile: ['pcap'],
};
const IPV6_MTU_MIN = 1280;
/** Of IP, UDP and GTP-U with a PDU Session Container. */
const OUTER_BYTES_IPV4 = 44;
const OUTER_BYTES_IPV6 = 64;
/** Keys that mean something on one side alone. */
const ROLE_OF_KEY: { readonly [K in keyof PortConfig]?: PortConfig['role'] } = {
  advertise: 'access',
  udpPort: 'access',
  esp: 'access',
  uePools: 'core',
  decrementTtl: 'core',
  icmpSource: 'core',
};

/** Whether the key says anything about this port. */
export function keyApplies(key: keyof PortConfig, port: PortConfig): boolean {
  return (
    (DRIVERS_OF_KEY[key]?.includes(port.driver) ?? true) &&
    (ROLE_OF_KEY[key] ?? port.role) === port.role
  );
}

/** What no single key can tell: duplicates, overlaps, files that aren't there. */
export function checkAcross(config: Config, source: YamlSource, complain: Complain): void {
  for (const [index, port] of config.ports.entries()) {
    checkKeys(port, index, source, complain);
    checkPort(port, index, complain);
  }
  checkUnique(config, complain);
  checkPools(config.ports, complain);
  checkTunnelRoom(config.ports, complain);
  checkTls(config, complain);
  checkListen(config, complain);
  checkN4(config, complain);
  const { lanesMin, lanesMax } = config.crypto;
  if (lanesMax !== 0 && lanesMax < lanesMin) {
    complain(['crypto', 'lanesMax'], `is below crypto.lanesMin, which is ${lanesMin}`);
  }
  const { cores, count } = config.workers;
  if (cores === 'auto') return;
  if (new Set(cores).size !== cores.length) {
    complain(['workers', 'cores'], 'names a core twice; a core runs one worker');
  } else if (cores.length !== count) {
    complain(
      ['workers', 'cores'],
      `names ${cores.length} cores for workers.count ${count}; name one core per worker`,
    );
  }
}

function checkKeys(port: PortConfig, index: number, source: YamlSource, complain: Complain): void {
  for (const [key, drivers] of Object.entries(DRIVERS_OF_KEY)) {
    if (!drivers.includes(port.driver) && source.has(['ports', index, key])) {
      const names = drivers.join(', ').replace(/, (?=[^,]*$)/, ' and ');
      complain(['ports', index, key], `applies to driver ${names} only, not to ${port.driver}`);
    }
  }
  if (port.driver === 'afxdp' && !source.has(['ports', index, 'device'])) {
    complain(['ports', index], 'needs device: the interface that driver afxdp takes, such as eth1');
  }
  if (port.driver === 'dpdk' && !source.has(['ports', index, 'device'])) {
    complain(['ports', index], 'needs device: a PCI address such as 0000:01:00.0, or net_memif0,…');
  }
  for (const [key, role] of Object.entries(ROLE_OF_KEY)) {
    if (role !== port.role && source.has(['ports', index, key])) {
      complain(['ports', index, key], `applies to role ${role} only, not to ${port.role}`);
    }
  }
}

function checkPort(port: PortConfig, index: number, complain: Complain): void {
  const at = ['ports', index];
  if (port.driver === 'tun' && port.role === 'access') {
    complain([...at, 'role'], 'must be core: driver tun carries plain IP');
  }
  if (port.driver === 'socket' && port.role === 'core') {
    complain([...at, 'role'], 'must be access: driver socket carries GTP-U');
  }
  if (port.driver === 'pcap' && port.file === '' && port.outputFile === '') {
    complain(at, 'needs file (to read), outputFile (to write) or both with driver pcap');
  }
  if (port.role === 'access' && port.addresses.length === 0) {
    complain(at, 'needs addresses: an access port has at least one IP address');
  }
  // With afxdp and dpdk it is the device's unless it is given.
  const noMtu = port.mtu === 0 && port.driver !== 'afxdp' && port.driver !== 'dpdk';
  if (port.role === 'core' && noMtu) {
    complain([...at, 'mtu'], 'must be from 1280 to 65535 on a core port');
  }
  const mostMtu = MTU_MAX[port.driver];
  if (port.mtu > mostMtu) {
    complain(
      [...at, 'mtu'],
      `must be at most ${mostMtu} with driver ${port.driver}, not ${port.mtu}`,
    );
  }
  if (port.clampMss === true && noMtu) {
    complain([...at, 'clampMss'], "needs the port's mtu; give it, or clampMss a number of bytes");
  }
  if (port.driver === 'afxdp' && port.role === 'core' && port.uePools.length === 0) {
    complain(at, 'needs uePools: driver afxdp takes what goes to them, and leaves all else');
  }
  checkDevice(port, index, complain);
  const families = port.icmpSource.map((address) => isIP(address));
  if (new Set(families).size !== families.length) {
    complain([...at, 'icmpSource'], 'must have at most one address of each family');
  }
  checkAddresses(port, index, complain);
  if (port.networkInstances.includes('*') && port.networkInstances.length > 1) {
    complain([...at, 'networkInstances'], "has '*' beside other instances; '*' alone is any");
  }
}

/**
 * An IPv6 packet of 1280 bytes is never cut (RFC 8200 clause 5), and no sender makes smaller ones:
 * a tunnel that has no room for it would lose it for ever.
 */
function checkTunnelRoom(ports: readonly PortConfig[], complain: Complain): void {
  if (!ports.some((port) => port.uePools.some((pool) => pool.includes(':')))) return;
  for (const [index, port] of ports.entries()) {
    if (port.role !== 'access' || port.mtu === 0) continue;
    const overIpv6 = port.addresses.some((address) => isIP(address) === 6);
    const least = IPV6_MTU_MIN + (overIpv6 ? OUTER_BYTES_IPV6 : OUTER_BYTES_IPV4);
    if (port.mtu >= least) continue;
    const message = `must be at least ${least}: pools have IPv6, and packets of 1280 bytes can't be cut`;
    complain(['ports', index, 'mtu'], message);
  }
}

/** What a device is called, and the next hop that no kernel knows. */
function checkDevice(port: PortConfig, index: number, complain: Complain): void {
  const at = ['ports', index];
  if (port.driver !== 'dpdk') {
    if (keyApplies('device', port) && !isInterface(port.device)) {
      complain([...at, 'device'], `must be an interface with driver ${port.driver}`);
    }
    return;
  }
  if (!isDpdkDevice(port.device)) {
    complain(
      [...at, 'device'],
      'must be a PCI address such as 0000:01:00.0, or a device of DPDK such as net_memif0,role=client',
    );
  }
  if (port.gateway.length === 0) {
    complain(at, 'needs gateway: the next hop, because no kernel has routes for driver dpdk');
  }
  const families = port.gateway.map((address) => isIP(address));
  if (new Set(families).size !== families.length) {
    complain([...at, 'gateway'], 'must have at most one address of each family');
  }
  if (families.includes(4) && !port.addresses.some((address) => isIP(address) === 4)) {
    complain(at, 'needs an IPv4 address in addresses, from which the gateway is asked for');
  }
}

function checkAddresses(port: PortConfig, index: number, complain: Complain): void {
  for (const [n, address] of port.addresses.entries()) {
    if (address === '0.0.0.0' || /^[0:]+$/.test(address)) {
      complain(
        ['ports', index, 'addresses', n],
        `must be an address that peers can send to, not ${address}`,
      );
    }
  }
  if (port.advertise.length === 0) return;
  const pairs =
    port.advertise.length === port.addresses.length &&
    port.advertise.every((address, n) => isIP(address) === isIP(port.addresses[n] ?? ''));
  if (!pairs) {
    complain(
      ['ports', index, 'advertise'],
      'must have one address of the same family for each of addresses, in their order',
    );
  }
}

function checkUnique(config: Config, complain: Complain): void {
  const seen = new Map<string, string>();
  const once = (what: string, keys: readonly PropertyKey[], owner: string, hint: string): void => {
    const first = seen.get(what);
    if (first === undefined) seen.set(what, owner);
    else complain(keys, `${hint} ${first}`);
  };
  for (const [index, port] of config.ports.entries()) {
    const owner = `ports[${index}]`;
    once(`name ${port.name}`, ['ports', index, 'name'], owner, 'is already the name of');
    if (keyApplies('device', port)) {
      once(`device ${port.device}`, ['ports', index, 'device'], owner, 'is already the device of');
    }
    if (port.role !== 'access') continue;
    for (const [n, address] of port.addresses.entries()) {
      const keys = ['ports', index, 'addresses', n];
      // GTP-U lookup knows a tunnel by address and TEID, whatever the UDP port.
      once(`address ${address}`, keys, owner, 'is already an address of');
    }
  }
}

function checkPools(ports: readonly PortConfig[], complain: Complain): void {
  const earlier: { readonly port: PortConfig; readonly text: string; readonly place: string }[] =
    [];
  for (const [index, port] of ports.entries()) {
    for (const [n, text] of port.uePools.entries()) {
      const prefix = parsePrefix(text);
      const clash = earlier.find((other) => {
        const otherPrefix = parsePrefix(other.text);
        return (
          prefix !== undefined &&
          otherPrefix !== undefined &&
          overlap(prefix, otherPrefix) &&
          shareInstance(port, other.port)
        );
      });
      if (clash !== undefined) {
        complain(
          ['ports', index, 'uePools', n],
          `${text} overlaps ${clash.text} of ${clash.place} in the same network instance`,
        );
      }
      earlier.push({ port, text, place: `ports[${index}]` });
    }
  }
}

function shareInstance(a: PortConfig, b: PortConfig): boolean {
  const any = a.networkInstances.includes('*') || b.networkInstances.includes('*');
  return any || a.networkInstances.some((instance) => b.networkInstances.includes(instance));
}

function checkTls(config: Config, complain: Complain): void {
  for (const [key, file] of Object.entries(config.api.tls ?? {})) {
    if (file === undefined) continue;
    try {
      accessSync(file, constants.R_OK);
      if (!statSync(file).isFile()) complain(['api', 'tls', key], `${file} is not a file`);
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      complain(
        ['api', 'tls', key],
        `cannot read ${file}: ${missing ? 'no such file' : 'permission denied'}`,
      );
    }
  }
}

function checkListen(config: Config, complain: Complain): void {
  const api = parseListen(config.api.listen);
  const http = parseListen(config.http.listen);
  if (api === undefined || http === undefined) return;
  const fixed = api.kind === 'unix' || api.port !== 0;
  if (fixed && listenText(api) === listenText(http)) {
    complain(['http', 'listen'], `is the same as api.listen: ${config.http.listen}`);
  }
}

function checkN4({ n4 }: Config, complain: Complain): void {
  const seen = new Set<string>();
  for (const [index, text] of n4.listen.entries()) {
    if (seen.has(text) && !text.endsWith(':0')) {
      complain(['n4', 'listen', index], `${text} is listed twice`);
    }
    seen.add(text);
    const listen = parseListen(text);
    const wildcard = listen?.kind === 'tcp' && /^[0.:]+$/.test(listen.host);
    if (wildcard && n4.nodeId === undefined) {
      complain(
        ['n4', 'listen', index],
        `${text} is every address of the machine; name the one that peers know in n4.nodeId`,
      );
    }
  }
  for (const [index, peer] of n4.peers.entries()) {
    if (peer.nodeId === undefined && peer.addresses.length === 0) {
      complain(['n4', 'peers', index], 'needs nodeId, addresses or both');
    }
  }
}
