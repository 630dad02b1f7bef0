/** The part of the addon that a load over N4 needs (native/addon/smf.cc), with its types. */
import { loadAddon } from '../../base/addon.js';
import { ToolError } from '../tool-error.js';

/** What of a request depends on the session or the message. */
export interface Patch {
  /**
   * cpSeid: 8 octets, the session's CP SEID; session and sequence: 4 octets, what stands there
   * plus the session's number or the message's.
   */
  readonly kind: 'cpSeid' | 'session' | 'sequence';
  readonly offset: number;
}

/** A whole message, whose sequence number and SEID are filled in. */
export interface RequestTemplate {
  readonly request: Uint8Array;
  readonly patches: readonly Patch[];
}

/** One request to each of `count` sessions from `first` on. */
export interface NativeSmfLoad extends RequestTemplate {
  readonly first: number;
  readonly count: number;
  /** A second; 0: as fast as the window lets. */
  readonly rate: number;
  /** Requests under way at most. */
  readonly window: number;
  readonly t1Seconds: number;
  /** Times that a request is sent at most. */
  readonly tries: number;
  readonly secondsMax: number;
}

export interface SmfLoadOutcome {
  /** Requests, without those that were sent again. */
  readonly sent: number;
  /** Sessions that the UPF does not have. */
  readonly skipped: number;
  readonly retransmitted: number;
  readonly lost: number;
  /** Answers that nobody waited for, duplicates among them. */
  readonly stray: number;
  readonly refusedBySystem: number;
  /** From the first request to the last answer. */
  readonly seconds: number;
  readonly timedOut: boolean;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly mostMs: number;
  /** Answers by their cause; 0: they had none. */
  readonly causes: Readonly<Record<string, number>>;
}

export interface NativeSmf {
  startLoad(load: NativeSmfLoad): void;
  /** Ends a load before its time. */
  stopLoad(): void;
  status(): {
    readonly running: boolean;
    readonly answered: number;
    readonly heartbeats: number;
    readonly reports: number;
    readonly port: number;
  };
  /** Of the load that has ended. */
  outcome(): SmfLoadOutcome;
  stop(): void;
}

interface SmfAddon {
  readonly Smf: new (config: {
    readonly target: string;
    readonly targetPort: number;
    readonly bind: string;
    readonly bindPort: number;
    /** Upper 32 bits of all CP SEIDs; the lower ones are the sessions' numbers. */
    readonly cpSeidHigh: number;
    readonly sessionsMax: number;
    /** NTP seconds. */
    readonly recoveryTimeStamp: number;
  }) => NativeSmf;
}

/** A {@link ToolError} says how to build the addon when it is not there. */
export function smfAddon(): SmfAddon {
  try {
    return loadAddon() as SmfAddon;
  } catch (error) {
    throw new ToolError(error instanceof Error ? error.message : String(error));
  }
}
