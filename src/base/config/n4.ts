/** Keys of `n4`: where CP functions (SMFs) reach the node, which of them may, and how they differ. */
import { isIP } from 'node:net';
import type { z } from 'zod';
import { isSocketAddress } from './listen.js';
import { hasHostBits, parsePrefix } from './prefix.js';
import { flag, list, oneOf, section, text, whole } from './shape.js';

/** Sets of defaults for a peer, by the SMF that they fit; `auto`: by what the peer sends. */
export const PROFILES = ['auto', 'open5gs', 'free5gc', 'oai', 'sd-core'] as const;
/** Of the ring that keeps replies; what it needs is rate × 15 s × some 150 bytes. */
const REPLY_CACHE_BYTES_MIN = 65_536;
const REPLY_CACHE_BYTES_MAX = 4 * 1024 ** 3 - 1024;

const source = text(
  'an IP address, or a prefix such as 10.1.0.0/16 with no bits set behind its length',
  (value) => {
    const prefix = parsePrefix(value);
    return isIP(value) !== 0 || (prefix !== undefined && !hasHostBits(prefix));
  },
);
const nodeId = text('an IP address or a name of letters, digits and . _ -', isNodeId);

function isNodeId(value: string): boolean {
  return isIP(value) !== 0 || (/^[A-Za-z0-9._-]{1,253}$/.test(value) && !/^[\d.]+$/.test(value));
}

const peer = section({
  nodeId: nodeId.optional(),
  addresses: list(source, 'IP addresses and prefixes').default([]),
  profile: oneOf(PROFILES).default('auto'),
  featureOctets: whole(0, 16).optional(),
  sharedFTeid: flag().optional(),
  retainSessions: flag().optional(),
});

/** What packets of a network instance are protected by, PFCP having no word for it. */
const protection = section({
  networkInstance: text('a network instance of 1 to 100 characters', (value) =>
    /^[\x21-\x7e]{1,100}$/.test(value),
  ),
  protectionId: whole(1, 16_384),
});

export const n4 = section({
  listen: list(
    text('address:port or [v6]:port', isSocketAddress),
    'UDP addresses such as 127.0.0.1:8805',
  ).default(['127.0.0.1:8805']),
  transport: oneOf(['native', 'dgram']).default('native'),
  nodeId: nodeId.optional(),
  allow: list(source, 'IP addresses and prefixes').default([]),
  t1Ms: whole(100, 60_000).default(1000),
  n1: whole(1, 20).default(4),
  heartbeatSeconds: whole(0, 3600).default(20),
  replyCacheBytes: whole(REPLY_CACHE_BYTES_MIN, REPLY_CACHE_BYTES_MAX).default(64 * 1024 ** 2),
  retainSessions: flag().default(true),
  releaseSeconds: whole(0, 3600).default(0),
  slowMs: whole(1, 60_000).default(500),
  peers: list(peer, 'peers').default([]),
  protections: list(protection, 'protections').default([]),
});

export type N4Config = z.output<typeof n4>;
export type N4PeerConfig = N4Config['peers'][number];
