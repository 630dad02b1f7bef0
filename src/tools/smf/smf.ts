/**
 * A CP function that loads a UPF over N4: one association, many sessions. A native thread
 * sends and receives (native/smf); this side makes the requests and waits. Start at Smf.open().
 */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../tool-error.js';
import {
  associationRelease,
  associationSetup,
  deletion,
  establishment,
  type LoadSessions,
  modification,
} from './load-requests.js';
import {
  type NativeSmf,
  type NativeSmfLoad,
  type RequestTemplate,
  type SmfLoadOutcome,
  smfAddon,
} from './smf-addon.js';

export const N4_PORT = 8805;
/** Seconds from 1900, where NTP begins, to 1970. */
const NTP_EPOCH_S = 2_208_988_800;
const POLL_MS = 5;
const ACCEPTED = 1;
/** What a load of 2^24 sessions takes: their SEIDs. */
export const LOAD_SESSIONS_MAX = 2 ** 24;

export interface SmfOptions extends Omit<LoadSessions, 'startedAt'> {
  readonly target: string;
  readonly targetPort: number;
  readonly ownPort: number;
  readonly sessionsMax: number;
}

/** How requests are sent. */
export interface Pace {
  /** A second; 0: as fast as the window lets. */
  readonly rate: number;
  readonly window: number;
  readonly t1Seconds: number;
  /** Times that a request is sent at most; 1: no retransmission. */
  readonly tries: number;
  readonly secondsMax: number;
}

export type SessionOperation = 'establish' | 'modify' | 'delete';

export class Smf {
  private readonly templates: Readonly<Record<SessionOperation, RequestTemplate>>;

  private constructor(
    private readonly native: NativeSmf,
    private readonly sessions: LoadSessions,
  ) {
    this.templates = {
      establish: establishment(sessions),
      modify: modification(sessions),
      delete: deletion(),
    };
  }

  /** Binds the socket; nothing is sent yet. */
  static open(options: SmfOptions): Smf {
    const { target, targetPort, own, ownPort, sessionsMax } = options;
    const startedAt = Math.floor(Date.now() / 1000);
    const { Smf: Native } = smfAddon();
    try {
      const native = new Native({
        target,
        targetPort,
        bind: own,
        bindPort: ownPort,
        // Other sessions than those of a load before, whatever is left of it.
        cpSeidHigh: randomInt(1, 2 ** 32),
        sessionsMax,
        recoveryTimeStamp: (startedAt + NTP_EPOCH_S) % 2 ** 32,
      });
      return new Smf(native, { ...options, startedAt });
    } catch (error) {
      throw new ToolError(`cannot bind ${own} port ${ownPort}: ${(error as Error).message}`);
    }
  }

  /** Throws a {@link ToolError} when the UPF does not answer or refuses. */
  async associate(pace: Pace): Promise<void> {
    await this.node(associationSetup(this.sessions), 'the association', pace);
  }
  async release(pace: Pace): Promise<void> {
    await this.node(associationRelease(this.sessions), 'its release', pace);
  }

  /** One request to each of these sessions; ends early when `signal` aborts. */
  async run(
    operation: SessionOperation,
    first: number,
    count: number,
    pace: Pace,
    signal?: AbortSignal,
  ): Promise<SmfLoadOutcome> {
    return this.load({ ...this.templates[operation], ...pace, first, count }, signal);
  }

  /** Requests of the UPF that were answered. */
  answered(): { readonly heartbeats: number; readonly reports: number } {
    const { heartbeats, reports } = this.native.status();
    return { heartbeats, reports };
  }

  stop(): void {
    this.native.stop();
  }

  private async node(template: RequestTemplate, what: string, pace: Pace): Promise<void> {
    const outcome = await this.load({ ...template, ...pace, rate: 0, first: 0, count: 1 });
    if (outcome.causes[ACCEPTED] === 1) return;
    const [cause] = Object.keys(outcome.causes);
    throw new ToolError(
      cause === undefined
        ? `the UPF does not answer to ${what} (${pace.tries} requests)`
        : `the UPF refuses ${what}: cause ${cause}`,
    );
  }

  private async load(load: NativeSmfLoad, signal?: AbortSignal): Promise<SmfLoadOutcome> {
    this.native.startLoad(load);
    while (this.native.status().running) {
      if (signal?.aborted === true) this.native.stopLoad();
      await sleep(POLL_MS);
    }
    return this.native.outcome();
  }
}
