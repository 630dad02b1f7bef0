/**
 * The model of a UPF: sessions, what changes of them bring, and time, which is nanoseconds and
 * given. What becomes of packets is in pipeline.ts.
 */
import type { IpPolicy } from '../../src/datapath/datapath.js';
import { nextDueNs, reportAll, reportDue, usageOf } from './account.js';
import { Forwarder } from './forward.js';
import { Holds, type Notice } from './hold.js';
import type { Effect, ModelPacket, ModelPort } from './packet.js';
import { Pipeline } from './pipeline.js';
import { bucketsOf } from './police.js';
import { Reassembly, type ReassemblyWords } from './reassembly.js';
import { farsInUse, type Session, tunnelName, tunnelsOf } from './rules.js';
import { type Chosen, type LiveSession, livePdrs, SessionIndex } from './session.js';
import { type LostTunnel, type SignalLimits, Signals } from './signals.js';
import { ceilTick, type UsageReport } from './usage.js';

export interface ModelOptions {
  readonly ports: readonly ModelPort[];
  readonly policy: IpPolicy;
  readonly heldPacketsMax: number;
  readonly heldNs: number;
  readonly reassembly: ReassemblyWords;
  readonly signals: SignalLimits;
  readonly startNs: number;
}
/** What comes with the answer to a change, and what leaves because of it. */
export interface Changed {
  readonly usage: UsageReport[];
  readonly effects: Effect[];
}
export interface UpdateWords {
  readonly queried: readonly number[];
  readonly sendEndMarkers: boolean;
  readonly dropBuffered: boolean;
}
export interface Inactivity {
  readonly session: string;
  readonly urr: number;
}

export class UpfModel {
  readonly sessions = new Map<string, LiveSession>();
  /** What was reported since it was taken. */
  reports: UsageReport[] = [];
  inactivities: Inactivity[] = [];
  readonly corePorts: readonly number[];
  readonly #index = new SessionIndex();
  readonly #holds: Holds;
  readonly #forwarder: Forwarder;
  readonly #reassembly: Reassembly;
  readonly #pipeline: Pipeline;
  readonly #signals: Signals;
  /** Bytes that passed by session and URR, counted beside the URRs. */
  readonly #passed = new Map<string, number>();
  /** Nothing is due by time before this. */
  #nextDueNs = 0;

  constructor(readonly options: ModelOptions) {
    const { ports, policy, heldPacketsMax, heldNs } = options;
    this.corePorts = [...ports.keys()].filter((i) => ports[i]!.role === 'core');
    this.#holds = new Holds(heldPacketsMax, heldNs);
    this.#forwarder = new Forwarder(ports, policy.icmpErrorsPerSecond);
    this.#reassembly = new Reassembly(options.reassembly);
    this.#signals = new Signals(options.signals, options.startNs);
    this.#pipeline = new Pipeline({
      ports,
      policy,
      sessions: this.sessions,
      index: this.#index,
      holds: this.#holds,
      forwarder: this.#forwarder,
      reassembly: this.#reassembly,
      signals: this.#signals,
      reports: () => this.reports,
      counted: (live, urrs, bytes) => {
        for (const urr of urrs) {
          const key = `${live.session.name} ${urr}`;
          this.#passed.set(key, (this.#passed.get(key) ?? 0) + bytes);
        }
        // A first packet may have started a clock.
        this.#nextDueNs = Math.min(this.#nextDueNs, nextDueNs(live));
      },
    });
  }

  takeNotices(): Notice[] {
    const { notices } = this.#holds;
    this.#holds.notices = [];
    return notices;
  }

  takeLost(): LostTunnel[] {
    const { lost } = this.#signals;
    this.#signals.lost = [];
    return lost;
  }

  /** Packets that are held, and pieces that wait. */
  get held(): number {
    return this.#holds.count + this.#reassembly.count;
  }

  create(session: Session, chosen: Chosen, nowNs: number): void {
    this.#install(session, chosen, undefined, nowNs);
  }

  update(session: Session, chosen: Chosen, words: UpdateWords, nowNs: number): Changed {
    const old = this.#live(session.name);
    const effects = words.dropBuffered ? this.#holds.drop(session.name) : [];
    if (words.sendEndMarkers) effects.push(...this.#endedTunnels(old.session, session));
    const usage: UsageReport[] = [];
    const ids = new Set(session.urrs.map((urr) => urr.id));
    const gone = [...old.usage.values()].filter(({ urr }) => !ids.has(urr.id));
    reportAll(old, gone, 'termination', nowNs, usage);
    this.#index.remove(old);
    const fresh = this.#install(session, chosen, old, nowNs);
    const asked = [...fresh.usage.values()].filter(
      ({ urr }) => old.usage.has(urr.id) && words.queried.includes(urr.id),
    );
    reportAll(fresh, asked, 'immediate', nowNs, usage);
    this.#due(fresh, nowNs);
    this.#signals.update(session);
    effects.push(...this.#pipeline.release(fresh, nowNs));
    return { usage, effects };
  }

  delete(name: string, nowNs: number): Changed {
    const live = this.#live(name);
    this.#index.remove(live);
    this.sessions.delete(name);
    this.#signals.delete(name);
    const usage: UsageReport[] = [];
    reportAll(live, [...live.usage.values()], 'termination', nowNs, usage);
    return { usage, effects: this.#holds.drop(name) };
  }

  /** All usage that there is, as an orderly end brings it out. */
  flush(nowNs: number): UsageReport[] {
    const usage: UsageReport[] = [];
    for (const live of this.sessions.values()) {
      const used = [...live.usage.values()].filter((one) => one.isAny(nowNs));
      reportAll(live, used, 'immediate', nowNs, usage);
      // As with an update that asks: what is due at this very moment is found, too.
      this.#due(live, nowNs);
    }
    return usage;
  }

  /** An end and a new start: rules and usage stay, buckets are full, what was held is gone. */
  restart(nowNs: number): void {
    this.#holds.clear();
    this.#forwarder.restart();
    this.#reassembly.clear();
    this.#signals.restart(nowNs);
    for (const live of this.sessions.values()) {
      live.buckets.clear();
      for (const [name, bucket] of bucketsOf(live.session, live.pdrs, undefined, nowNs)) {
        live.buckets.set(name, bucket);
      }
    }
  }

  /** Time goes on, without packets: what is due by then happens at its own moment. */
  advance(nowNs: number): Effect[] {
    if (nowNs >= this.#nextDueNs) {
      this.#nextDueNs = Infinity;
      for (const live of this.sessions.values()) {
        for (let at = nextDueNs(live); at <= nowNs; at = nextDueNs(live)) this.#due(live, at);
        this.#nextDueNs = Math.min(this.#nextDueNs, nextDueNs(live));
      }
    }
    return this.#holds.advance(nowNs);
  }

  /** A moment at which nobody can say whether something is over already: nothing is asked then. */
  isUnclear(nowNs: number): boolean {
    if (this.#holds.isUnclear(nowNs)) return true;
    if (this.#nextDueNs > ceilTick(nowNs)) return false;
    for (const { usage } of this.sessions.values()) {
      for (const urr of usage.values()) {
        const ends = urr.timeQuotaEndsNs();
        if (ends <= nowNs && ceilTick(ends) >= nowNs) return true;
      }
    }
    return false;
  }

  /**
   * Packets of one port that come together.
   * @returns by packet; before them what time brought, behind them what turned round.
   */
  turn(packets: readonly ModelPacket[], nowNs: number): Effect[][] {
    const before = this.advance(nowNs);
    return [before, ...this.#pipeline.burst(packets, nowNs)];
  }

  /** The session whose rules a packet meets. */
  sessionOf(packet: ModelPacket): string | undefined {
    const found = this.#pipeline.find(packet);
    return typeof found === 'string' ? undefined : found.session.name;
  }

  #endedTunnels(before: Session, after: Session): Effect[] {
    const still = new Set(tunnelsOf(farsInUse(after)).map(tunnelName));
    return tunnelsOf(farsInUse(before))
      .filter((outer) => !still.has(tunnelName(outer)))
      .map((outer) => this.#forwarder.endMarker(outer));
  }

  #due(live: LiveSession, nowNs: number): void {
    reportDue(live, nowNs, this.reports, ({ urr }) => {
      this.inactivities.push({ session: live.session.name, urr: urr.id });
    });
  }

  /** Bytes that passed for a URR since the last call for it. */
  takePassed(session: string, urr: number): number {
    const passed = this.#passed.get(`${session} ${urr}`) ?? 0;
    this.#passed.delete(`${session} ${urr}`);
    return passed;
  }

  #live(name: string): LiveSession {
    const live = this.sessions.get(name);
    if (live === undefined) throw new Error(`the model has no session ${name}`);
    return live;
  }

  #install(
    session: Session,
    chosen: Chosen,
    old: LiveSession | undefined,
    nowNs: number,
  ): LiveSession {
    const pdrs = livePdrs(session, chosen, this.options.ports);
    const live: LiveSession = {
      session,
      chosen,
      pdrs,
      buckets: bucketsOf(session, pdrs, old?.buckets, nowNs),
      usage: usageOf(session, old?.usage, nowNs),
    };
    this.sessions.set(session.name, live);
    this.#index.add(live);
    this.#nextDueNs = 0;
    return live;
  }
}
