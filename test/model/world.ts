/** The networks that a run plays in: which of them, the seed says. */
import type { GtpuConfig, IpPolicy, ReassemblyLimits } from '../../src/datapath/datapath.js';
import type { PortWords } from '../stepped-upf.js';
import { parseAddress } from '../wire/address.js';
import type { ModelPort } from './packet.js';
import type { ModelOptions } from './upf-model.js';

export const START_NS = 1_000_000_000_000;
const ACCESS_MTU = 1_480;
const CORE_MTU = 1_500;
const MSS = 1_200;
/** Of a whole number of the packet path's milliseconds of 2^20 ns, so that expiry is sharp. */
const HELD_MS = 32_768;
/** Few, so that there is sometimes no place left. */
const HELD_PACKETS_MAX = 400;
const ERRORS_PER_SECOND = 20;
/** Peers are asked so often that a batch of packets brings some requests. */
const GTPU = {
  echoIntervalMs: 10_000,
  echoTimeoutMs: 5_000,
  echoTries: 3,
  answersPerSecond: 5,
  answersQuietMs: 11_000,
};
const REASSEMBLY = { datagrams: 4, fragments: 4, timeoutMs: 500 };

export interface World {
  readonly ports: readonly PortWords[];
  readonly policy: IpPolicy;
  readonly reassembly: ReassemblyLimits;
  readonly gtpu: GtpuConfig;
  readonly hold: { readonly packetsMax: number; readonly ms: number };
  readonly model: ModelOptions;
}

/**
 * Odd seeds: no router behind the ports, so that hops and segment sizes are counted here. Every
 * fourth one: an open house, where all goes through to N6.
 */
export function worldOf(seed: number): World {
  const isRouter = seed % 2 === 1;
  const isOpen = seed % 4 === 3;
  const policy: IpPolicy = {
    multicast: isOpen ? 'forward' : 'drop',
    martians: isOpen ? 'forward' : 'drop',
    ownAddresses: isOpen ? 'forward' : 'drop',
    nestedGtpu: isOpen ? 'forward' : 'drop',
    hairpin: !isOpen,
    icmpErrorsPerSecond: ERRORS_PER_SECOND,
  };
  const n3: PortWords = {
    name: 'n3',
    role: 'access',
    addresses: ['10.0.0.1', 'fd00::1'],
    networkInstances: ['*'],
    mtu: ACCESS_MTU,
    ...(isRouter ? { clampMss: MSS } : {}),
  };
  const n6: PortWords = {
    name: 'n6',
    role: 'core',
    networkInstances: ['internet'],
    uePools: ['10.60.0.0/16', 'fd00:60::/40'],
    icmpSource: ['192.0.2.1', '2001:db8::1'],
  };
  const ims: PortWords = {
    name: 'ims',
    role: 'core',
    networkInstances: ['ims'],
    uePools: ['10.60.0.0/16'],
    decrementTtl: isRouter,
  };
  // By default errors come from the first address of the first pool.
  const modelPorts = [
    modelPort(n3, ACCESS_MTU, '192.0.0.8'),
    modelPort(n6, CORE_MTU, '192.0.2.1', '2001:db8::1'),
    modelPort(ims, CORE_MTU, '10.60.0.1'),
  ];
  return {
    ports: [n3, n6, ims],
    policy,
    hold: { packetsMax: HELD_PACKETS_MAX, ms: HELD_MS },
    reassembly: REASSEMBLY,
    gtpu: GTPU,
    model: {
      ports: modelPorts,
      policy,
      heldPacketsMax: HELD_PACKETS_MAX,
      heldNs: HELD_MS * 1e6,
      reassembly: REASSEMBLY,
      signals: GTPU,
      startNs: START_NS,
    },
  };
}

function modelPort(words: PortWords, mtu: number, v4: string, v6?: string): ModelPort {
  const mss = words.clampMss as number | undefined;
  return {
    name: words.name,
    role: words.role,
    addresses: words.addresses ?? [],
    networkInstances: words.networkInstances ?? [],
    mtu,
    ...(mss === undefined ? {} : { mss: { v4: mss, v6: mss } }),
    decrementTtl: words.decrementTtl === true,
    icmpSource: {
      v4: parseAddress(v4),
      ...(v6 === undefined ? {} : { v6: parseAddress(v6) }),
    },
  };
}
