import type { handleServerStreamingCall, UntypedServiceImplementation } from '@grpc/grpc-js';
import { SluiceError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { DatapathStatus } from '../datapath/datapath.js';
import type { PacketSight } from '../datapath/packet-sight.js';
import type { Statistics } from '../datapath/statistics.js';
import type { SessionTraffic, TrafficReader } from '../session/engine.js';
import { MALFORMED, malformed, type Request, timestamp, unary } from './object-service.js';
import { type SightParts, sightMethods } from './sight/service.js';
import { caughtToServiceError } from './status.js';

const INTERVAL_DEFAULT_MS = 1000;
const INTERVAL_MIN_MS = 100;
const INTERVAL_MAX_MS = 3_600_000;
const BUSIEST_MAX = 100;
/** At the shortest interval so many take some percent of the event loop. */
const WATCHERS_MAX = 64;

/** What the node says of itself; read anew for each call. */
export interface NodeSource {
  readonly id: string;
  readonly version: string;
  /** Kernels of cryptography that are in use. */
  readonly cryptoTier: string;
  /** Of the packet path: for which processors it is compiled. */
  readonly pathTier: string;
  /** Milliseconds since 1970. */
  readonly startTimeMs: number;
  warnings(): readonly string[];
  sessions(): number;
  status(): DatapathStatus;
  statistics(): Statistics;
  watchTraffic(): TrafficReader;
  readonly sight: PacketSight;
}

interface WatchStatsRequest {
  readonly interval: { readonly seconds: string; readonly nanos: number } | null;
  readonly busiestSessions: number;
}

/** @param closing aborts when the server drains: streams end then. */
export function nodeService(
  source: NodeSource,
  sessions: Pick<SightParts, 'engine' | 'ownerOf'>,
  closing: AbortSignal,
  log: Log,
): UntypedServiceImplementation {
  return {
    GetNode: unary(() => nodeMessage(source), log),
    GetStats: unary(() => statsMessage(source), log),
    WatchStats: watchStats(source, closing, log),
    ...sightMethods({
      sight: source.sight,
      status: () => source.status(),
      malformed: (request) => (request === MALFORMED ? malformed() : undefined),
      closing,
      log,
      ...sessions,
    }),
  };
}

function watchStats(
  source: NodeSource,
  closing: AbortSignal,
  log: Log,
): handleServerStreamingCall<Request<WatchStatsRequest>, unknown> {
  let watchers = 0;
  return (call) => {
    const fail = (error: unknown): void => {
      call.emit('error', caughtToServiceError(error, log));
    };
    let intervalMs: number;
    let busiest: BusiestSessions | undefined;
    try {
      if (call.request === MALFORMED) throw malformed();
      intervalMs = intervalOf(call.request);
      if (watchers >= WATCHERS_MAX) {
        throw new SluiceError(
          'resource_exhausted',
          `${WATCHERS_MAX} streams watch statistics, which is the limit; end one first`,
        );
      }
      busiest = busiestOf(source, call.request);
    } catch (error) {
      fail(error);
      return;
    }
    watchers++;
    let watching = true;
    let writable = true;
    const send = (): void => {
      // A slow reader misses samples; it doesn't make the node keep them.
      if (!writable) return;
      try {
        writable = call.write({ ...statsMessage(source), busiest: busiest?.take() });
      } catch (error) {
        stop();
        fail(error);
      }
    };
    const timer = setInterval(send, intervalMs);
    const close = (): void => {
      stop();
      fail(new SluiceError('unavailable', 'the node is shutting down'));
    };
    const stop = (): void => {
      if (!watching) return;
      watching = false;
      watchers--;
      clearInterval(timer);
      busiest?.close();
      closing.removeEventListener('abort', close);
    };
    call.on('drain', () => {
      writable = true;
    });
    call.on('cancelled', stop);
    closing.addEventListener('abort', close);
    send();
  };
}

function intervalOf({ interval }: WatchStatsRequest): number {
  if (interval === null) return INTERVAL_DEFAULT_MS;
  const ms = Number(interval.seconds) * 1000 + interval.nanos / 1e6;
  if (ms >= INTERVAL_MIN_MS && ms <= INTERVAL_MAX_MS) return ms;
  throw new SluiceError('invalid_argument', 'must be from 100 ms to 1 hour', {
    field: 'interval',
  });
}

/** Rates of the busiest sessions between two messages of one stream. */
class BusiestSessions {
  #sinceMs = performance.now();

  constructor(
    private readonly reader: TrafficReader,
    private readonly count: number,
  ) {}

  take(): object[] {
    const nowMs = performance.now();
    // The first message comes at once, when nothing has been sampled yet.
    const seconds = Math.max(0.001, (nowMs - this.#sinceMs) / 1000);
    this.#sinceMs = nowMs;
    return this.reader.take(this.count).map((session) => trafficMessage(session, seconds));
  }

  close(): void {
    this.reader.close();
  }
}

function busiestOf(
  source: NodeSource,
  { busiestSessions }: WatchStatsRequest,
): BusiestSessions | undefined {
  if (busiestSessions === 0) return undefined;
  if (busiestSessions > BUSIEST_MAX) {
    throw new SluiceError('invalid_argument', `must be at most ${BUSIEST_MAX}`, {
      field: 'busiest_sessions',
    });
  }
  return new BusiestSessions(source.watchTraffic(), busiestSessions);
}

function trafficMessage(session: SessionTraffic, seconds: number): object {
  return {
    name: session.name,
    seid: session.seid.toString(),
    owner: session.owner,
    uplinkPackets: session.uplinkPackets / seconds,
    downlinkPackets: session.downlinkPackets / seconds,
    uplinkBytes: session.uplinkBytes / seconds,
    downlinkBytes: session.downlinkBytes / seconds,
    droppedPackets: session.droppedPackets / seconds,
  };
}

function nodeMessage(source: NodeSource): object {
  const { lanes, serving, cores } = source.statistics().cryptoLanes;
  const { ports, workers, warnings, peers, peersTotal, placement } = source.status();
  return {
    id: source.id,
    version: source.version,
    cryptoTier: source.cryptoTier,
    pathTier: source.pathTier,
    startTime: timestamp(source.startTimeMs),
    ports,
    workers,
    peers,
    peersTotal,
    placement,
    cryptoLanes: { lanes: lanes.length, threads: serving, cores },
    warnings: [...source.warnings(), ...warnings],
    sessions: source.sessions(),
  };
}

function statsMessage(source: NodeSource): object {
  const statistics = source.statistics();
  return { time: timestamp(Date.now()), sessions: source.sessions(), ...statistics };
}
