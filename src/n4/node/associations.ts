/**
 * Associations: set up, updated, released; kept over restarts of this node; ended when the
 * peer has lost its state. What a forged message could do is bounded by three rules: a Node ID
 * whose peer is alive is not taken over from another address; sessions are given up only on a
 * set-up from the peer's own address or on a response to a heartbeat of ours; and a stamp that
 * is older than the known one changes nothing. Thread: the control thread.
 */
import type { Log } from '../../base/log.js';
import * as Cause from '../codec/cause.js';
import type { PeerProfile } from '../peer.js';
import { addressOf, type PeerAddress, sameAddress } from '../peers/peer-address.js';
import type { PeerProfiles } from '../peers/peer-profiles.js';
import type { PeerState, Purging } from '../peers/peer-state.js';
import type { PeerStore } from '../peers/peer-store.js';
import type { PeerTable } from '../peers/peer-table.js';
import type { SessionHandlers } from '../session-handlers.js';
import type { N4Counters } from '../statistics.js';
import type { RequestKey } from '../transactions/request-key.js';

const LINES_PER_SECOND = 20;
/** Node IDs that one address may have: those of SMFs on one host, or behind one NAT. */
const PEERS_OF_ADDRESS_MAX = 64;

export interface AssociationsParts {
  readonly peers: PeerTable;
  readonly profiles: PeerProfiles;
  readonly store: PeerStore;
  readonly sessions: SessionHandlers;
  readonly counters: N4Counters;
  readonly log: Log;
  /** Begins or ends heartbeats to the peer; sooner: now. */
  readonly scheduleHeartbeat: (peer: PeerState, when: 'now' | 'soon' | 'later' | 'never') => void;
  /** The peer is gone: its requests of ours, its PFDs. */
  readonly ended: (peer: PeerState) => void;
  /** Addresses of associated peers have changed. */
  readonly changed: () => void;
  readonly wallMs: () => number;
  readonly sessionCountOf: (owner: string) => number;
  readonly key: Pick<RequestKey, 'setUp' | 'released'>;
}

/** What an Association Setup Request says. */
export interface SetupRequest {
  readonly nodeId: string;
  /** NTP seconds. */
  readonly recoveryTimeStamp: number;
  readonly cpFeatures: number;
  /** What readRetention() found. */
  readonly retained: readonly PeerAddress[] | undefined;
  readonly from: PeerAddress;
  readonly port: number;
  readonly local: number;
}

export class Associations {
  readonly #reports = new Map<PeerState, { stop(): void }>();
  #second = 0;
  #lines = 0;

  constructor(private readonly parts: AssociationsParts) {}

  /** The peer that a set-up is of, made if it is new; a Cause when it is refused. */
  admit(request: SetupRequest): PeerState | number {
    const { peers, profiles, counters, log } = this.parts;
    const { nodeId, from } = request;
    const place = profiles.placeOf(nodeId, from);
    const known = peers.find(nodeId);
    const moved = known?.associated === true && !known.hasAddress(from.family, from.words, 0);
    const mayMove = place === 'here' || known?.reachable === false || isOwnAddress(nodeId, from);
    if (place === 'elsewhere' || (moved && !mayMove)) {
      counters.takeoversRefused++;
      const fields = { peer: nodeId, from: from.text, known: known?.address ?? '' };
      this.#say(() => {
        log.warn(fields, 'an association was refused: its Node ID is that of another address');
      });
      // If the peer has moved, this shows that its old address is dead.
      if (known !== undefined) this.parts.scheduleHeartbeat(known, 'now');
      return Cause.Rejected;
    }
    const profile = profiles.of(nodeId, from);
    const peer = known ?? this.#make(nodeId, profile, from);
    if (peer === undefined) return Cause.NoResources;
    if (moved && place !== 'here') peers.clearAddresses(peer);
    return peer;
  }

  /**
   * Nobody fills the table by making peers up: where there are as many as may be, one goes that has
   * no sessions. Of one address that may be any, since whoever is there now answers heartbeats for
   * all its Node IDs; of the table one that does not answer.
   */
  #make(nodeId: string, profile: PeerProfile, from: PeerAddress): PeerState | undefined {
    const { peers, sessionCountOf } = this.parts;
    const there = peers.from(from.family, from.words, 0);
    const ofAddress = there.length >= PEERS_OF_ADDRESS_MAX;
    if (!ofAddress) {
      const peer = peers.add(nodeId, profile);
      if (peer !== undefined) return peer;
    }
    for (const peer of ofAddress ? there : peers) {
      const { reachable, purging, owner } = peer;
      const mayGo = (ofAddress || !reachable) && purging === undefined;
      if (!mayGo || sessionCountOf(owner) > 0) continue;
      this.#end(peer);
      peers.remove(peer);
      return peers.add(nodeId, profile);
    }
    return undefined;
  }

  /**
   * Takes the association in; resolves when it outlives this process. True: there are sessions of
   * those that the request asks to be retained, whatever its stamp is, and they stay.
   */
  async setUp(peer: PeerState, request: SetupRequest): Promise<boolean> {
    const { peers, profiles, counters, log, wallMs } = this.parts;
    const before = peer.recoveryTimeStamp;
    const again = peer.associated;
    const restarted = before !== 0 && isNewer(request.recoveryTimeStamp, before);
    const same = before !== 0 && request.recoveryTimeStamp === before;
    const retained = again ? request.retained : undefined;
    this.parts.key.setUp(request.from.words);
    peers.enterAddress(peer, request.from);
    peer.port = request.port;
    peer.local = request.local;
    peer.forgetPort();
    peer.cpFeatures = request.cpFeatures;
    peer.profile = profiles.of(peer.nodeId, request.from);
    peer.reachable = true;
    peer.associatedAtMs = wallMs();
    peer.loadSequence = 0;
    peer.overloadSequence = 0;
    if (before === 0 || restarted) peer.recoveryTimeStamp = request.recoveryTimeStamp;
    if (restarted) counters.peerRestarts++;
    const keepsAll =
      retained === undefined ? same && peer.profile.retainSessions : retained.length === 0;
    // An older stamp changes nothing.
    const isLate = before !== 0 && !restarted && !same;
    const stay = retained !== undefined && (await this.#hasSessions(peer));
    // The peer waits for its answer, not for that: what it establishes meanwhile is of the new time.
    if (!keepsAll && !isLate) await this.#giveUp(peer, retained);
    this.#begin(peer);
    await this.parts.store.save(peers);
    const fields = { peer: peer.nodeId, from: request.from.text, profile: peer.profile.name };
    this.#say(() => log.info({ ...fields, again, restarted }, 'associated'));
    return stay;
  }

  /**
   * Of what has been given up the peer may have heard nothing yet: when the answer that said so is
   * lost, its next set-up finds an association and no sessions.
   */
  async #hasSessions(peer: PeerState): Promise<boolean> {
    await peer.purging?.divided;
    return this.parts.sessions.hasSessions(peer);
  }

  /** The peer says what it can. */
  async update(peer: PeerState, cpFeatures: number): Promise<void> {
    peer.cpFeatures = cpFeatures;
    await this.parts.store.save(this.parts.peers);
  }

  /** Ends the association and gives up its sessions; resolves when they are gone. */
  async release(peer: PeerState): Promise<void> {
    const { peers, store, log, key } = this.parts;
    this.#end(peer);
    for (const { words } of peer.addresses) key.released(words);
    const { divided, deleted } = this.#purge(peer);
    await divided;
    // Should the process end now, the next one goes on with it.
    await store.save(peers);
    const sessions = await deleted;
    await this.#gaveUp(peer);
    log.info({ peer: peer.nodeId, sessions }, 'the association was released');
  }

  /** The stamp of a response to a heartbeat of ours, NTP seconds. */
  async judge(peer: PeerState, stamp: number): Promise<void> {
    const { counters, log, peers, store } = this.parts;
    const known = peer.recoveryTimeStamp;
    if (!peer.reachable) {
      peer.reachable = true;
      log.info({ peer: peer.nodeId }, 'the peer answers again');
    }
    if (stamp === known || (known !== 0 && !isNewer(stamp, known))) return;
    if (known === 0) {
      peer.recoveryTimeStamp = stamp;
      await store.save(peers);
      return;
    }
    counters.peerRestarts++;
    log.warn({ peer: peer.nodeId }, 'the peer has restarted');
    // What it sent before may still be under way: it is refused until the peer associates anew.
    await this.release(peer);
  }

  /** A heartbeat of ours was given up. */
  lost(peer: PeerState): void {
    if (!peer.reachable) return;
    peer.reachable = false;
    this.parts.counters.pathFailures++;
    this.parts.log.warn({ peer: peer.nodeId }, 'the peer does not answer heartbeats');
  }

  /** Peers of the last run, as they were. */
  restore(): void {
    const { peers, profiles, store, scheduleHeartbeat } = this.parts;
    for (const stored of store.load()) {
      const addresses = stored.addresses.flatMap((text) => addressOf(text) ?? []);
      const main = addresses[0];
      if (main === undefined) continue;
      const peer = peers.add(stored.nodeId, profiles.of(stored.nodeId, main));
      if (peer === undefined) continue;
      for (const address of addresses.reverse()) peers.enterAddress(peer, address);
      peer.port = stored.port;
      peer.local = stored.local;
      peer.recoveryTimeStamp = stored.recoveryTimeStamp;
      peer.cpFeatures = stored.cpFeatures;
      peer.associatedAtMs = stored.associatedAtMs;
      if (stored.associated) {
        this.#begin(peer);
        scheduleHeartbeat(peer, 'soon');
      }
      const retained = stored.purgingRetained?.flatMap((text) => addressOf(text) ?? []);
      if (stored.purging) void this.#giveUp(peer, retained, stored.purgingBefore);
    }
  }

  /** Gives up the peer's sessions while it is served; resolves when it is settled which ones. */
  #giveUp(peer: PeerState, retained?: readonly PeerAddress[], before?: number): Promise<unknown> {
    const { divided, deleted } = this.#purge(peer, retained, before);
    const done = deleted.then(() => this.#gaveUp(peer));
    done.catch((error: unknown) => {
      const { log } = this.parts;
      log.error({ err: error, peer: peer.nodeId }, 'sessions of a peer could not be given up');
    });
    return divided;
  }

  /** A peer goes with its sessions, unless a set-up has taken it up again, or more are to go. */
  #gaveUp(peer: PeerState): Promise<void> {
    const { peers, store } = this.parts;
    if (!peer.associated && peer.purging === undefined) peers.remove(peer);
    return store.save(peers);
  }

  /**
   * Begins to give up the peer's sessions that were made before that time, or all that it has
   * asked for so far, but those with a CP F-SEID of the addresses `retained`; one such call after
   * the other. `divided` resolves when it is known which.
   */
  #purge(
    peer: PeerState,
    retained: readonly PeerAddress[] = [],
    before?: number,
  ): { divided: Promise<number>; deleted: Promise<number> } {
    const { sessions } = this.parts;
    const earlier = peer.purging;
    const divided = before === undefined ? sessions.divide(peer) : Promise.resolve(before);
    const purge = async (): Promise<number> => {
      purging.before = await divided;
      purging.isSettled = true;
      await earlier?.done;
      const count = await sessions.deleteAll(peer, purging.before, retained);
      // Where sessions are left, the next run tries again.
      if (peer.purging === purging) peer.purging = undefined;
      return count;
    };
    const purging: Purging = {
      before: before ?? earlier?.before ?? 0,
      isSettled: before !== undefined,
      divided,
      retained,
      done: Promise.resolve(),
    };
    peer.purging = purging;
    const deleted = purge();
    purging.done = deleted.catch(() => undefined);
    return { divided, deleted };
  }

  /** Stops reports; associations stay for the next run. */
  stop(): void {
    for (const reports of this.#reports.values()) reports.stop();
    this.#reports.clear();
  }

  /** A bounded number of lines a second: a flood of set-ups is not to be one of the log. */
  #say(line: () => void): void {
    const second = Math.floor(this.parts.wallMs() / 1000);
    if (second !== this.#second) this.#lines = 0;
    this.#second = second;
    if (++this.#lines <= LINES_PER_SECOND) line();
  }

  #begin(peer: PeerState): void {
    peer.associated = true;
    if (!this.#reports.has(peer)) this.#reports.set(peer, this.parts.sessions.startReports(peer));
    this.parts.scheduleHeartbeat(peer, 'later');
    this.parts.changed();
  }

  #end(peer: PeerState): void {
    peer.associated = false;
    this.#reports.get(peer)?.stop();
    this.#reports.delete(peer);
    this.parts.scheduleHeartbeat(peer, 'never');
    this.parts.ended(peer);
    this.parts.changed();
  }
}

/** Of NTP seconds, which go round in 2036. */
export function isNewer(stamp: number, known: number): boolean {
  return ((stamp - known) | 0) > 0;
}

/** A peer that is named by the address that it comes from: nobody else has a better claim. */
function isOwnAddress(nodeId: string, from: PeerAddress): boolean {
  const own = addressOf(nodeId);
  return own !== undefined && sameAddress(own, from.family, from.words, 0);
}
