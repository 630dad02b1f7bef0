/**
 * What FARs hold: by session and direction an episode, from the first packet until everything
 * is released, dropped or expired. The control plane hears of it once, after the BAR's delay.
 */
import type { Effect, ModelPacket } from './packet.js';
import { type Bar, type Direction, nanosecondsOf, type Session } from './rules.js';
import { ceilTick } from './usage.js';

/** Held packets of a session and direction when no BAR says else. */
const LIMIT = 1_024;
/** Expiry is exact to about a millisecond; nothing is asked of the packet path so near to it. */
const EXPIRY_BLUR_NS = 4_000_000;

export interface Held {
  readonly packet: ModelPacket;
  readonly cameNs: number;
}
export interface Place {
  readonly session: string;
  readonly direction: Direction;
}
export interface Episode extends Place {
  /** When the first of the packets came that are to be told of; undefined: none came yet. */
  startedNs: number | undefined;
  packets: Held[];
  /** While it drains: asked, and held by the new rules too. */
  kept: Held[];
  drains: boolean;
  /** What the first packet that a notifying FAR held says; told at that time. */
  notice?: { readonly pdr: number; readonly qfi: number; readonly atNs: number };
  told: boolean;
  /** Packets that were there when it was told, and still are. */
  toldOf: number;
}

export interface Notice {
  readonly session: string;
  readonly pdr: number;
  readonly qfi: number;
}

export class Holds {
  readonly #episodes = new Map<string, Episode>();
  notices: Notice[] = [];

  constructor(
    private readonly packetsMax: number,
    private readonly heldNs: number,
  ) {}

  get count(): number {
    let count = 0;
    for (const { packets, kept } of this.#episodes.values()) count += packets.length + kept.length;
    return count;
  }

  has(place: Place): boolean {
    return this.#episodes.has(nameOf(place));
  }

  /** False: there is no place for it. `limit` bounds the episode, unless it is let go just now. */
  hold(place: Place, packet: ModelPacket, nowNs: number, limit: number): boolean {
    const name = nameOf(place);
    const episode = this.#episodes.get(name);
    if (this.count >= this.packetsMax) return false;
    if (episode !== undefined && !episode.drains && episode.packets.length >= limit) return false;
    const entry = { packet, cameNs: nowNs };
    if (episode !== undefined) episode.packets.push(entry);
    else {
      const { session, direction } = place;
      const fresh = { packets: [entry], kept: [], drains: false, told: false, toldOf: 0 };
      this.#episodes.set(name, { session, direction, startedNs: nowNs, ...fresh });
    }
    return true;
  }

  /** The FAR that holds a packet wants it told; the first one that does says what. */
  want(
    place: Place,
    { pdr, qfi }: { readonly pdr: number; readonly qfi: number },
    bar: Bar | undefined,
    nowNs: number,
  ): void {
    const episode = this.#episodes.get(nameOf(place))!;
    const delay = nanosecondsOf(bar?.notification_delay ?? '0s');
    episode.startedNs ??= nowNs;
    episode.notice ??= { pdr, qfi, atNs: episode.startedNs + delay };
    tell(episode, nowNs, this.notices);
  }

  /** New rules: everything that the session holds is to be asked again. */
  drain(session: string): Episode[] {
    const episodes = [...this.#episodes.values()].filter((one) => one.session === session);
    for (const episode of episodes) {
      episode.drains = true;
      // What is to be told is found out anew, from what the new rules hold.
      if (!episode.told) delete episode.notice;
    }
    // Uplink first.
    return episodes.sort((a, b) => (a.direction > b.direction ? -1 : 1));
  }

  isDraining(place: Place): boolean {
    return this.#episodes.get(nameOf(place))?.drains === true;
  }

  /** Everything was asked: what the new rules hold stays, or the episode is over. */
  endDrain(episode: Episode, nowNs: number): void {
    episode.packets = episode.kept;
    episode.kept = [];
    episode.drains = false;
    if (episode.packets.length === 0) this.#episodes.delete(nameOf(episode));
    else tell(episode, nowNs, this.notices);
  }

  drop(session: string): Effect[] {
    const dropped: Effect[] = [];
    for (const [name, episode] of this.#episodes) {
      if (episode.session !== session) continue;
      this.#episodes.delete(name);
      for (const _ of episode.packets) dropped.push({ dropped: 'hold_dropped' });
    }
    return dropped;
  }

  /** Time goes on: what is too old expires, what is to be told is told if it is still there then. */
  advance(nowNs: number): Effect[] {
    const expired: Effect[] = [];
    for (const [name, episode] of this.#episodes) {
      const { notice } = episode;
      if (notice !== undefined && ceilTick(notice.atNs) <= nowNs) {
        expired.push(...this.#expire(episode, ceilTick(notice.atNs)));
        if (episode.packets.length > 0) tell(episode, nowNs, this.notices);
      }
      expired.push(...this.#expire(episode, nowNs));
      if (episode.packets.length === 0) this.#episodes.delete(name);
    }
    return expired;
  }

  #expire(episode: Episode, nowNs: number): Effect[] {
    const { packets } = episode;
    episode.packets = packets.filter(({ cameNs }) => cameNs + this.heldNs > nowNs);
    const gone = packets.length - episode.packets.length;
    forget(episode, gone);
    return Array.from({ length: gone }, () => ({ dropped: 'hold_expired' }));
  }

  /** A moment at which nobody can say yet whether a packet has expired. */
  isUnclear(nowNs: number): boolean {
    for (const { packets } of this.#episodes.values()) {
      for (const { cameNs } of packets) {
        if (Math.abs(cameNs + this.heldNs - nowNs) < EXPIRY_BLUR_NS) return true;
      }
    }
    return false;
  }

  clear(): void {
    this.#episodes.clear();
  }
}

/** Once an episode, when it is time and nothing is being let go. */
function tell(episode: Episode, nowNs: number, notices: Notice[]): void {
  const { session, notice, told, drains } = episode;
  if (notice === undefined || told || drains || notice.atNs > nowNs) return;
  episode.told = true;
  episode.toldOf = episode.packets.length + episode.kept.length;
  notices.push({ session, pdr: notice.pdr, qfi: notice.qfi });
}

/** Packets have expired: when none of those told of is left, what comes next is told of anew. */
function forget(episode: Episode, gone: number): void {
  if (gone === 0 || !episode.told) return;
  episode.toldOf -= Math.min(episode.toldOf, gone);
  if (episode.toldOf > 0) return;
  episode.told = false;
  episode.startedNs = undefined;
  delete episode.notice;
}

function nameOf({ session, direction }: Place): string {
  return `${session} ${direction}`;
}

export function limitOf(bar: Bar | undefined): number {
  return bar?.packet_limit || LIMIT;
}

export function barOf(session: Session, id: number | undefined): Bar | undefined {
  return session.bars.find((bar) => bar.id === id);
}
