/**
 * N4: CP functions (SMFs) drive sessions over PFCP. A datagram comes from the transport
 * (transport/), becomes a request of a peer (inbound.ts, peers/), is served by the handlers of
 * nodes (node/) or sessions (session/), and answered once (replies.ts, transactions/); requests
 * of ours go the other way (own-requests.ts). codec/ is the bytes. Threads: the control thread,
 * and the transport's own. Start at Endpoint.
 */
import { randomInt } from 'node:crypto';
import type { N4Config } from '../base/config/n4.js';
import type { Log } from '../base/log.js';
import type { Store } from '../store/store.js';
import * as Ie from './codec/ie.js';
import { MessageReader } from './codec/message-reader.js';
import * as Message from './codec/message-type.js';
import { MessageWriter } from './codec/message-writer.js';
import { Inbound, type InboundParts } from './inbound.js';
import { Associations } from './node/associations.js';
import { Heartbeats } from './node/heartbeats.js';
import { LoadControl } from './node/load-control.js';
import type { NodeIdentity } from './node/node-identity.js';
import { type PathEvent, writeNodeReport } from './node/node-report.js';
import { NodeRequests } from './node/node-requests.js';
import { PfdTable } from './node/pfd-table.js';
import { OwnRequests } from './own-requests.js';
import { PeerProfiles } from './peers/peer-profiles.js';
import type { PeerState } from './peers/peer-state.js';
import { PeerStore } from './peers/peer-store.js';
import { PeerTable } from './peers/peer-table.js';
import { RefusalLog } from './refusal-log.js';
import { Replies } from './replies.js';
import type { Scheduler } from './scheduler.js';
import type { SessionHandlers } from './session-handlers.js';
import { N4Counters, type N4PeerView, type N4Statistics } from './statistics.js';
import { REQUESTS_MAX } from './transactions/open-requests.js';
import { OPEN_MAX } from './transactions/open-transactions.js';
import { RequestKey } from './transactions/request-key.js';
import { WheelAlarm } from './transactions/wheel-alarm.js';
import { BATCH_DATAGRAMS, type DatagramTransport, RECEIVED_WORDS } from './transport/transport.js';

/** Ids of the wheel: even ones are requests of ours, odd ones peers; one is the second's. */
const REQUEST_TIMER = { first: 0, step: 2 };
const PEER_TIMER = { first: 1, step: 2 };
const SECOND_TIMER = REQUESTS_MAX * REQUEST_TIMER.step;
const SECOND_MS = 1000;
/** Batches that are served before others have their turn on the thread. */
const BATCHES_PER_TURN = 8;
/** Requests being served: above, there may be no room for a batch; below, for some. */
const PAUSE_ABOVE = OPEN_MAX - BATCH_DATAGRAMS;
const RESUME_BELOW = OPEN_MAX / 2;
const NTP_EPOCH_S = 2_208_988_800;

export interface EndpointOptions {
  readonly config: N4Config;
  readonly transport: DatagramTransport;
  readonly scheduler: Scheduler;
  readonly store: Pick<Store, 'getMeta' | 'putMeta' | 'commit'>;
  readonly sessions: SessionHandlers;
  readonly log: Log;
  readonly identity: NodeIdentity;
  readonly sessionsMax: number;
  readonly sessionCount: () => number;
  readonly sessionCountOf: (owner: string) => number;
  /** Owner of the session with that SEID; '': there is none. */
  readonly ownerOf: (seidLow: number, seidHigh: number) => string;
  readonly cpFSeidOf: InboundParts['cpFSeidOf'];
  /** Time that a request took, in milliseconds. */
  readonly measure?: (messageType: number, ms: number) => void;
  /** Milliseconds since 1970. */
  readonly wallMs?: () => number;
  /** Sequence number of the first request of ours. */
  readonly firstSequence?: number;
}

export class Endpoint {
  readonly counters = new N4Counters();
  readonly #peers: PeerTable;
  readonly #wheel: WheelAlarm;
  readonly #replies: Replies;
  readonly #requests: OwnRequests;
  readonly #load: LoadControl;
  readonly #pfds: PfdTable;
  readonly #associations: Associations;
  readonly #heartbeats: Heartbeats;
  readonly #inbound: Inbound;
  readonly #writer = new MessageWriter();
  readonly #drain = () => this.#receive();
  #paused = false;
  #closed = false;

  constructor(private readonly options: EndpointOptions) {
    const { config, transport, scheduler, store, sessions, log, identity } = options;
    const { counters } = this;
    const reader = new MessageReader();
    const wheel = new WheelAlarm(scheduler, (id) => this.#expired(id));
    this.#wheel = wheel;
    const load = {
      load: () => options.sessionCount() / options.sessionsMax,
      requests: () => this.#requestsSeen(),
    };
    const { wallMs = Date.now } = options;
    this.#load = new LoadControl(load, Math.floor(wallMs() / 1000));
    const { slowMs, replyCacheBytes } = config;
    this.#replies = new Replies({
      ...{ transport, scheduler, counters, log, slowMs, replyCacheBytes },
      load: this.#load,
      measure: options.measure ?? (() => {}),
      answered: () => this.#resume(),
    });
    const key = new RequestKey();
    const flushSoon = () => this.#replies.flushSoon();
    this.#requests = new OwnRequests({
      ...{ transport, scheduler, counters, wheel, reader, flushSoon },
      times: config,
      allow: config.allow,
      timer: REQUEST_TIMER,
      firstSequence: options.firstSequence ?? randomInt(2 ** 24),
    });
    this.#peers = new PeerTable(this.#requests);
    this.#pfds = new PfdTable(store);
    const peers = this.#peers;
    const associations = this.#makeAssociations(key);
    this.#associations = associations;
    this.#heartbeats = new Heartbeats({
      ...{ scheduler, wheel, associations, identity, log },
      timer: PEER_TIMER,
      intervalMs: config.heartbeatSeconds * SECOND_MS,
    });
    const refusals = new RefusalLog(log, scheduler.now);
    const nodeRequests = new NodeRequests({
      ...{ associations, sessions, identity, refusals, log },
      pfds: this.#pfds,
      ask: (peer) => this.#heartbeats.ask(peer),
    });
    this.#inbound = new Inbound({
      ...{ transport, scheduler, reader, peers, sessions, counters, identity, nodeRequests, key },
      writer: new MessageWriter(),
      refusals,
      replies: this.#replies,
      requests: this.#requests,
      ownerOf: options.ownerOf,
      cpFSeidOf: options.cpFSeidOf,
    });
  }

  /** Takes up the associations of the last run, and begins to serve. */
  start(): void {
    const { transport, config, scheduler, identity } = this.options;
    transport.setAllowed(config.allow);
    transport.setHeartbeat((identity.recoveryTimeStamp + NTP_EPOCH_S) >>> 0);
    this.#pfds.load();
    this.#associations.restore();
    for (const peer of this.#peers) peer.applications = this.#pfds.of(peer.nodeId);
    this.#peersChanged();
    this.#wheel.set(SECOND_TIMER, scheduler.now() + SECOND_MS);
    transport.onReadable(this.#drain);
  }

  /** A tunnel peer stopped answering, or answers again: told to every peer. */
  pathChanged(event: PathEvent): void {
    for (const peer of this.#peers) {
      if (!peer.associated) continue;
      writeNodeReport(this.#writer, this.options.identity.nodeId, event);
      // Many SMFs never answer it: then it is given up, and that is all.
      peer.request(this.#writer, () => {});
    }
  }

  /** Peers with an association, and those that are being given one. */
  peers(): N4PeerView[] {
    return [...this.#peers].map((peer) => this.#view(peer));
  }

  statistics(): N4Statistics {
    const { cache, open } = this.#replies;
    return {
      counters: this.counters,
      requestsServed: open.count,
      requestsWaiting: this.#requests.count,
      replyCacheEntries: cache.count,
      replyCacheBytes: cache.bytesUsed,
      replyCacheEvicted: cache.evicted,
      load: this.#load.load,
      reduction: this.#load.reduction,
    };
  }

  /**
   * No more requests are taken; those under way are answered. With `releaseSeconds` peers are
   * asked to release their associations, and have that long.
   */
  async drain(): Promise<void> {
    const { releaseSeconds, t1Ms } = this.options.config;
    if (releaseSeconds > 0) await this.#askForRelease(releaseSeconds);
    this.#inbound.draining = true;
    await this.#until(t1Ms, () => this.#replies.open.count === 0);
  }

  /** Waits a little for answers to requests of ours, then closes. After SessionEngine.shutdown(). */
  async close(): Promise<void> {
    if (this.#closed) return;
    const { transport, config } = this.options;
    await this.#until(config.t1Ms, () => this.#requests.count === 0);
    this.#closed = true;
    this.#associations.stop();
    this.#wheel.stop();
    transport.flush();
    await transport.close();
  }

  async #askForRelease(seconds: number): Promise<void> {
    for (const peer of this.#peers) {
      if (!peer.associated || !peer.reachable) continue;
      this.#writer.begin(Message.AssociationUpdateRequest, false);
      this.#writer.nodeId(this.options.identity.nodeId);
      this.#writer.flags(Ie.PfcpAssociationReleaseRequest, 1, 1);
      this.#writer.u8(Ie.GracefulReleasePeriod, timerValue(seconds));
      peer.request(this.#writer, () => {});
    }
    const associated = () => [...this.#peers].some((peer) => peer.associated && peer.reachable);
    await this.#until(seconds * SECOND_MS, () => !associated());
  }

  async #until(ms: number, done: () => boolean): Promise<void> {
    const { scheduler } = this.options;
    const end = scheduler.now() + ms;
    while (!done() && scheduler.now() < end) {
      await new Promise<void>((resolve) => scheduler.after(20, resolve));
    }
  }

  #receive(): void {
    const { transport, scheduler } = this.options;
    for (let batch = 0; !this.#closed; batch++) {
      if (this.#replies.open.count > PAUSE_ABOVE) {
        this.#paused = true;
        return;
      }
      if (batch === BATCHES_PER_TURN) {
        scheduler.defer(this.#drain);
        break;
      }
      const count = transport.receive();
      if (count === 0) break;
      for (let i = 0; i < count; i++) this.#inbound.take(i * RECEIVED_WORDS);
      transport.release();
    }
    transport.progress();
    transport.flush();
  }

  #resume(): void {
    if (!this.#paused || this.#replies.open.count > RESUME_BELOW) return;
    this.#paused = false;
    this.options.scheduler.defer(this.#drain);
  }

  #expired(id: number): void {
    const { scheduler, transport } = this.options;
    if (id === SECOND_TIMER) {
      const now = scheduler.now();
      this.#wheel.set(SECOND_TIMER, now + SECOND_MS);
      this.#replies.tick();
      this.#load.tick(now);
      transport.progress();
    } else if (id % 2 === REQUEST_TIMER.first) {
      this.#requests.expired(id);
    } else {
      const peer = this.#peers.at((id - PEER_TIMER.first) / PEER_TIMER.step);
      if (peer !== undefined) this.#heartbeats.due(peer);
    }
  }

  #ended(peer: PeerState): void {
    this.#requests.abandon(peer);
    peer.applications = null;
    if (this.#pfds.forget(peer.nodeId)) {
      this.#pfds.save().catch((error: unknown) => {
        this.options.log.error({ err: error }, 'PFDs of a peer that is gone stay in the store');
      });
    }
  }

  #peersChanged(): void {
    const addresses = new Set<string>();
    for (const peer of this.#peers) {
      if (peer.associated) for (const { text } of peer.addresses) addresses.add(text);
    }
    this.options.transport.setPeers([...addresses]);
  }

  #makeAssociations(key: RequestKey): Associations {
    const { sessions, log, store, wallMs = Date.now, sessionCountOf } = this.options;
    const { counters } = this;
    const peers = this.#peers;
    return new Associations({
      ...{ peers, sessions, counters, log },
      profiles: new PeerProfiles(this.options.config),
      store: new PeerStore(store),
      scheduleHeartbeat: (peer, when) => this.#heartbeats.schedule(peer, when),
      ended: (peer) => this.#ended(peer),
      changed: () => this.#peersChanged(),
      ...{ wallMs, sessionCountOf, key },
    });
  }

  #requestsSeen() {
    const { received, shed } = this.options.transport.statistics();
    return { received, shed: shed.reduce((sum, count) => sum + count, 0) };
  }

  #view(peer: PeerState): N4PeerView {
    const { nodeId, owner, associated, reachable, associatedAtMs, cpFeatures, counts } = peer;
    const { scheduler, sessionCountOf } = this.options;
    const stamp = peer.recoveryTimeStamp;
    return {
      ...{ nodeId, owner, associated, reachable, associatedAtMs, cpFeatures, counts },
      addresses: peer.addresses.map(({ text }) => text),
      profile: peer.profile.name,
      sessions: sessionCountOf(owner),
      recoveryTimeStamp: stamp === 0 ? 0 : unixOf(stamp),
      heardMsAgo: peer.heardAtMs === 0 ? -1 : Math.round(scheduler.now() - peer.heardAtMs),
      applications: this.#pfds.count(nodeId),
    };
  }
}

/** NTP seconds of the era that now is in, or the next one from 2036 on. */
function unixOf(ntp: number): number {
  const unix = ntp - NTP_EPOCH_S;
  return unix >= 0 ? unix : unix + 2 ** 32;
}

/** Graceful Release Period: units of two seconds up to a minute, of a minute above. */
function timerValue(seconds: number): number {
  const short = Math.ceil(seconds / 2);
  return short < 32 ? short : (1 << 5) | Math.min(31, Math.ceil(seconds / 60));
}
