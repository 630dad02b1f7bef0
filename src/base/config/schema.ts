import { isIP } from 'node:net';
import { z } from 'zod';
import { PORTS_MAX } from '../limits.js';
import { LISTEN_FORMS, parseListen } from './listen.js';
import { n4 } from './n4.js';
import { hasHostBits, parsePrefix } from './prefix.js';
import { flag, list, oneOf, section, text, whole } from './shape.js';

/** 24 bits name a session in commands and TEIDs. */
export const SESSIONS_MAX = 2 ** 24;
/** What one record's 8-bit counts hold. */
export const RULES_PER_SESSION_MAX = 255;
export const WORKERS_MAX = 64;
/** A chunk of packet memory each: 8 GB of it. */
export const HELD_PACKETS_MAX = 4_000_000;
/** As native/worker/protect/crypto_lanes.h. */
const CRYPTO_LANES_MAX = 16;
/** IFNAMSIZ without its terminator. */
const DEVICE_NAME_MAX = 15;

const listen = text(LISTEN_FORMS, (value) => parseListen(value) !== undefined);
const fileName = text('the path of a file', (value) => value !== '' && !value.includes('\0'));
const address = text('an IPv4 or IPv6 address', (value) => isIP(value) !== 0);
const pool = text(
  'an IPv4 or IPv6 prefix such as 10.60.0.0/16, with no bits set behind its length',
  (value) => {
    const prefix = parsePrefix(value);
    return prefix !== undefined && !hasHostBits(prefix);
  },
);
const portName = text('1 to 32 of letters, digits and . _ -', (value) =>
  /^[A-Za-z0-9._-]{1,32}$/.test(value),
);
const instance = text("a network instance of 1 to 100 characters, or '*' for any", (value) =>
  /^[\x21-\x7e]{1,100}$/.test(value),
);
/** DPDK's: a PCI address such as 0000:01:00.0, or the name of a virtual one, and arguments. */
const DPDK_DEVICE =
  /^(?:(?:[0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]|net_[a-z0-9_]{1,40})(?:,[^\s\0]{1,400})?$/;
const INTERFACE = new RegExp(`^(?!\\.{1,2}$)[^\\s/:\\0]{1,${DEVICE_NAME_MAX}}$`);
const device = text(
  `1 to ${DEVICE_NAME_MAX} characters without space or /`,
  (value) => INTERFACE.test(value) || DPDK_DEVICE.test(value),
);
export const isInterface = (device: string): boolean => INTERFACE.test(device);
export const isDpdkDevice = (device: string): boolean => DPDK_DEVICE.test(device);

/** Whether a driver takes a device past the kernel's stack. */
const bypassesKernel = (driver: string): boolean => driver === 'afxdp' || driver === 'dpdk';
const coreList = z.union([z.literal('auto'), list(whole(0, 4095), 'core numbers').min(1)], {
  error: 'must be auto or a list of core numbers such as [2, 3]',
});
const CRYPTO_MODES = ['inline', 'lanes', 'auto'] as const;
const cryptoMode = oneOf(CRYPTO_MODES);
/** A plain word stands for the mode. */
function cryptoSection<T extends z.ZodRawShape>(shape: T) {
  return z.preprocess(
    (value) => (cryptoMode.safeParse(value).success ? { mode: value } : value),
    z.strictObject(shape, {
      error: (issue) =>
        issue.code === 'unrecognized_keys'
          ? JSON.stringify(Object.keys(shape))
          : `must be one of ${CRYPTO_MODES.join(', ')}, or a mapping with the keys ${Object.keys(shape).join(', ')}`,
    }),
  );
}
const verdict = oneOf(['drop', 'forward']).default('drop');
const MTU_FORMS = 'must be a whole number from 1280 to 65535, or 0 for no limit (access ports)';
const mtu = z
  .int({ error: MTU_FORMS })
  .refine((value) => value === 0 || (value >= 1280 && value <= 65_535), { error: MTU_FORMS });
/** The largest packet that a buffer of the driver holds, as native/port refuses more when it opens. */
export const MTU_MAX = {
  memory: 65_535,
  pcap: 65_535,
  socket: 65_535,
  tun: 2028,
  afxdp: 1842,
  dpdk: 1968,
} as const;
const clampMss = z.union([flag(), whole(536, 65_495)], {
  error: 'must be true, false or a whole number from 536 to 65495',
});
const sourcePorts = z.literal([1, 2, 4, 8, 16], { error: 'must be a power of two from 1 to 16' });

/**
 * A core port's MTU is that of its link; an access port has none unless told. With afxdp and dpdk
 * both have that of their device, which only the device knows.
 */
const port = section({
  name: portName,
  driver: oneOf(['memory', 'pcap', 'socket', 'tun', 'afxdp', 'dpdk']),
  role: oneOf(['access', 'core']),
  addresses: list(address, 'IP addresses').default([]),
  advertise: list(address, 'IP addresses').default([]),
  networkInstances: list(instance, 'network instances')
    .min(1, {
      error: "must name at least one network instance, or ['*'] for any",
    })
    .default(['*']),
  udpPort: whole(1, 65_535).default(2152),
  sourcePorts: sourcePorts.default(4),
  espInUdp: flag().default(false),
  esp: flag().default(false),
  busyPoll: flag().default(false),
  forwardInDriver: flag().default(false),
  device: device.default('sluice0'),
  mtu: mtu.optional(),
  clampMss: clampMss.default(false),
  decrementTtl: flag().default(false),
  gateway: list(address, 'IP addresses').default([]),
  icmpSource: list(address, 'IP addresses').default([]),
  uePools: list(pool, 'IP prefixes').default([]),
  masquerade: flag().default(false),
  file: fileName.default(''),
  outputFile: fileName.default(''),
}).transform((keys) => ({
  ...keys,
  mtu: keys.mtu ?? (keys.role === 'core' && !bypassesKernel(keys.driver) ? 1500 : 0),
}));

const tls = section({ cert: fileName, key: fileName, clientCa: fileName.optional() });

const DEFAULT_PORTS: z.input<typeof port>[] = [
  { name: 'n3', driver: 'socket', role: 'access', addresses: ['127.0.0.1'] },
  {
    name: 'n6',
    driver: 'tun',
    role: 'core',
    networkInstances: ['internet'],
    uePools: ['10.60.0.0/16', 'fd00:60::/40'],
  },
];

/** Every key with its default; docs/CONFIGURATION.md says what each one is for. */
export const schema = section({
  node: section({
    id: text('1 to 63 of letters, digits and . _ -', (value) =>
      /^[A-Za-z0-9._-]{1,63}$/.test(value),
    ).default('upf-1'),
  }).prefault({}),
  n4: n4.prefault({}),
  api: section({ listen: listen.default('127.0.0.1:50051'), tls: tls.optional() }).prefault({}),
  http: section({ listen: listen.default('127.0.0.1:9090') }).prefault({}),
  store: section({
    kind: oneOf(['embedded']).default('embedded'),
    path: text('the path of a folder', (value) => value !== '' && !value.includes('\0')).default(
      './data',
    ),
    durability: oneOf(['async', 'sync']).default('async'),
  }).prefault({}),
  workers: section({
    count: whole(1, WORKERS_MAX).default(1),
    cores: coreList.default('auto'),
    hugepages: oneOf(['auto', '1G', '2M', 'off']).default('auto'),
    poll: oneOf(['auto', 'busy', 'adaptive']).default('auto'),
    balance: oneOf(['on', 'off']).default('on'),
  }).prefault({}),
  limits: section({
    sessions: whole(1, SESSIONS_MAX).default(1_000_000),
    rulesPerSession: whole(1, RULES_PER_SESSION_MAX).default(64),
    heldPackets: whole(0, HELD_PACKETS_MAX).default(65_536),
    heldSeconds: whole(1, 3600).default(60),
    reassembly: section({
      datagrams: whole(0, 1024).default(64),
      fragments: whole(2, 64).default(16),
      timeoutMs: whole(100, 60_000).default(1000),
    }).prefault({}),
  }).prefault({}),
  gtpu: section({
    echoIntervalSeconds: whole(0, 3600).default(60),
    echoTimeoutSeconds: whole(1, 60).default(3),
    echoTries: whole(1, 10).default(3),
    errorIndicationsPerSecond: whole(0, 1_000_000).default(100),
    errorIndicationsQuietSeconds: whole(0, 3600).default(11),
  }).prefault({}),
  policy: section({
    multicast: verdict,
    martians: verdict,
    ownAddresses: verdict,
    nestedGtpu: verdict,
    hairpin: flag().default(true),
    icmpErrorsPerSecond: whole(0, 1_000_000).default(1000),
  }).prefault({}),
  crypto: cryptoSection({
    nodeKey: text(
      'the path of a file, or empty for node.key in the data folder',
      (value) => !value.includes('\0'),
    ).default(''),
    alarmPacketsPerSecond: whole(0, 1_000_000).default(100),
    mode: cryptoMode.default('inline'),
    lanesMin: whole(1, CRYPTO_LANES_MAX).default(1),
    lanesMax: whole(0, CRYPTO_LANES_MAX).default(0),
  }).prefault({}),
  ports: list(port, 'ports')
    .min(1, { error: 'must have at least one port' })
    .max(PORTS_MAX, { error: `must have at most ${PORTS_MAX} ports` })
    .prefault(DEFAULT_PORTS),
});

export type Config = z.output<typeof schema>;
export type PortConfig = Config['ports'][number];
export type ApiConfig = Config['api'];
