/** Which profile a peer has: the first of `n4.peers` that fits it, over what its SMF needs. */
import type { N4Config, N4PeerConfig } from '../../base/config/n4.js';
import type { PeerProfile } from '../peer.js';
import { AllowList } from '../transport/allow-list.js';
import { addressOf, type PeerAddress } from './peer-address.js';

/**
 * What is known of SMFs: OAI reads two octets of features and no more; SD-Core uses the first
 * F-TEID of a session for all of them. OAI says nothing before its set-up is answered by which
 * it could be told; SD-Core shows in its sessions.
 */
const KNOWN: Readonly<Record<string, Partial<PeerProfile>>> = {
  auto: { sharedFTeid: 'auto' },
  oai: { featureOctets: 2 },
  'sd-core': { sharedFTeid: true },
};

interface Entry {
  readonly config: N4PeerConfig;
  readonly nodeId: string | undefined;
  readonly addresses: AllowList;
}

export class PeerProfiles {
  readonly #entries: readonly Entry[];

  constructor(private readonly config: Pick<N4Config, 'peers' | 'retainSessions'>) {
    this.#entries = config.peers.map((peer) => ({
      config: peer,
      nodeId: peer.nodeId === undefined ? undefined : plainNodeId(peer.nodeId),
      addresses: new AllowList(peer.addresses),
    }));
  }

  /** Of a peer with that Node ID that comes from that address. */
  of(nodeId: string, from: PeerAddress): PeerProfile {
    const found = this.#entries.find(
      (entry) =>
        (entry.nodeId === undefined || entry.nodeId === nodeId) &&
        entry.addresses.has(from.family, from.words, 0),
    );
    const name = found?.config.profile ?? 'auto';
    const { featureOctets, sharedFTeid, retainSessions } = found?.config ?? {};
    return {
      name,
      featureOctets: featureOctets ?? KNOWN[name]?.featureOctets ?? 0,
      sharedFTeid: sharedFTeid ?? KNOWN[name]?.sharedFTeid ?? false,
      retainSessions: retainSessions ?? this.config.retainSessions,
    };
  }

  /** Whether the configuration says that this Node ID comes from that address, or from others. */
  placeOf(nodeId: string, from: PeerAddress): 'unknown' | 'here' | 'elsewhere' {
    const named = this.#entries.filter(
      (entry) => entry.nodeId === nodeId && entry.config.addresses.length > 0,
    );
    if (named.length === 0) return 'unknown';
    const here = named.some(({ addresses }) => addresses.has(from.family, from.words, 0));
    return here ? 'here' : 'elsewhere';
  }
}

/** As Node IDs are read from messages: names in lower case, addresses in their usual form. */
function plainNodeId(text: string): string {
  return addressOf(text)?.text ?? text.toLowerCase();
}
