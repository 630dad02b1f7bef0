/**
 * Heartbeats of ours, one timer of the wheel a peer. Only their responses say whether a peer
 * lives and whether it has restarted. Thread: the control thread.
 */
import type { Log } from '../../base/log.js';
import * as Ie from '../codec/ie.js';
import * as Message from '../codec/message-type.js';
import { MessageWriter } from '../codec/message-writer.js';
import type { PeerState } from '../peers/peer-state.js';
import type { Scheduler } from '../scheduler.js';
import type { WheelAlarm } from '../transactions/wheel-alarm.js';
import type { Associations } from './associations.js';
import type { NodeIdentity } from './node-identity.js';

/** A peer is asked out of turn this often at most. */
const ASK_MS = 5_000;
/** Peers of the last run are asked after this long, and over so long, so that not all answer at once. */
const SOON_MS = 3_000;
const SPREAD_MS = 1_000;

export interface HeartbeatsParts {
  readonly scheduler: Scheduler;
  readonly wheel: WheelAlarm;
  readonly associations: Associations;
  readonly identity: NodeIdentity;
  readonly log: Log;
  /** Of the wheel's ids: of peer n it is n × step + first. */
  readonly timer: { readonly first: number; readonly step: number };
  /** 0: none but what is asked for. */
  readonly intervalMs: number;
}

export class Heartbeats {
  readonly #writer = new MessageWriter();
  /** Peers that have one under way. */
  readonly #waiting = new Set<PeerState>();
  readonly #askedAtMs = new Map<PeerState, number>();

  constructor(private readonly parts: HeartbeatsParts) {}

  schedule(peer: PeerState, when: 'now' | 'soon' | 'later' | 'never'): void {
    const { wheel, scheduler, intervalMs } = this.parts;
    const timer = this.#timer(peer);
    if (when === 'never') {
      wheel.cancel(timer);
      this.#askedAtMs.delete(peer);
    } else if (when === 'now') {
      wheel.set(timer, scheduler.now());
    } else if (when === 'soon') {
      wheel.set(timer, scheduler.now() + SOON_MS + ((peer.index * 7) % SPREAD_MS));
    } else if (intervalMs > 0) {
      wheel.set(timer, scheduler.now() + intervalMs);
    }
  }

  /** The peer may have restarted: asks it soon, unless it was asked just now. */
  ask(peer: PeerState): void {
    const now = this.parts.scheduler.now();
    if (now - (this.#askedAtMs.get(peer) ?? Number.NEGATIVE_INFINITY) < ASK_MS) return;
    this.schedule(peer, 'now');
  }

  /** The peer's timer went off. */
  due(peer: PeerState): void {
    if (!peer.associated || this.#waiting.has(peer)) return;
    const { identity, scheduler } = this.parts;
    const writer = this.#writer;
    this.#askedAtMs.set(peer, scheduler.now());
    this.#waiting.add(peer);
    writer.begin(Message.HeartbeatRequest, false);
    writer.recoveryTimeStamp(identity.recoveryTimeStamp);
    peer.request(writer, (response) => {
      this.#waiting.delete(peer);
      if (!peer.associated) return;
      const stamp = response === undefined ? -1 : response.find(-1, Ie.RecoveryTimeStamp);
      if (response === undefined) this.parts.associations.lost(peer);
      else this.#judge(peer, response.u32(stamp));
      this.schedule(peer, 'later');
    });
  }

  #judge(peer: PeerState, stamp: number): void {
    this.parts.associations.judge(peer, stamp).catch((error: unknown) => {
      this.parts.log.error({ err: error, peer: peer.nodeId }, 'a restart could not be followed');
    });
  }

  #timer(peer: PeerState): number {
    return peer.index * this.parts.timer.step + this.parts.timer.first;
  }
}
