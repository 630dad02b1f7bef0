import {
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import type { Counter, Gauge, Histogram } from 'prom-client';
import type { Log } from '../base/log.js';
import type { Metrics } from '../base/metrics.js';
import { openSendWindow } from './send-window.js';
import { codeName } from './status.js';

/** Calls under way at one time; what comes beyond is answered RESOURCE_EXHAUSTED. */
export interface CallLimits {
  readonly unary: number;
  readonly streams: number;
}
export const CALL_LIMITS: CallLimits = { unary: 4096, streams: 1024 };
const SLOW_CALL_MS = 500;

interface Refusal {
  readonly code: number;
  readonly details: string;
}
const SHUTTING_DOWN: Refusal = {
  code: status.UNAVAILABLE,
  details: 'the node is shutting down',
};

type Kind = 'unary' | 'stream';
interface MethodDefinition {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

/**
 * What every call passes, whatever its service: admission, metrics by method and code, a log
 * line when it was slow.
 */
export class CallGuard {
  /** Set while the server drains: new calls are told to go elsewhere. */
  draining = false;
  readonly #requests: Counter<'method' | 'code'>;
  readonly #duration: Histogram<'method'>;
  readonly #inFlightGauge: Gauge<'kind'>;
  readonly #inFlight: Record<Kind, number> = { unary: 0, stream: 0 };
  /** Calls that a shutdown waits for. */
  #working = 0;
  /** Health watches and reflection: calls of clients that merely look on. */
  readonly #lookers = new Set<ServerInterceptingCallInterface>();
  #whenIdle: (() => void) | undefined;

  constructor(
    metrics: Metrics,
    private readonly log: Log,
    private readonly limits: CallLimits = CALL_LIMITS,
  ) {
    this.#requests = metrics.counter('sluice_grpc_requests_total', 'Calls that ended', [
      'method',
      'code',
    ]);
    this.#duration = metrics.latency(
      'sluice_grpc_request_duration_seconds',
      'Time from a unary call to its answer',
      ['method'],
    );
    this.#inFlightGauge = metrics.gauge('sluice_grpc_calls', 'Calls under way', ['kind']);
    metrics.onScrape(() => {
      for (const kind of ['unary', 'stream'] as const) {
        this.#inFlightGauge.set({ kind }, this.#inFlight[kind]);
      }
    });
  }

  /** Ends the calls that nothing waits for. */
  endLookers(): void {
    for (const call of this.#lookers) call.sendStatus({ ...SHUTTING_DOWN, metadata: null });
  }

  /** Resolves when no call but health watches and reflection is under way. */
  idle(): Promise<void> {
    if (this.#working === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenIdle = resolve;
    });
  }

  readonly interceptor: ServerInterceptor = (definition, call) => {
    const method = definition as unknown as MethodDefinition;
    const kind: Kind = method.requestStream || method.responseStream ? 'stream' : 'unary';
    const refusal = this.#refusal(kind);
    if (refusal !== undefined) {
      this.#requests.inc({ method: method.path, code: codeName(refusal.code) });
      return refuse(call, refusal);
    }
    this.#inFlight[kind]++;
    return this.#watch(method.path, kind, call);
  };

  #refusal(kind: Kind): Refusal | undefined {
    if (this.draining) return SHUTTING_DOWN;
    const limit = kind === 'unary' ? this.limits.unary : this.limits.streams;
    if (this.#inFlight[kind] < limit) return undefined;
    const what = kind === 'unary' ? 'calls' : 'streams';
    return {
      code: status.RESOURCE_EXHAUSTED,
      details: `${limit} ${what} are under way, which is the limit; try again`,
    };
  }

  /**
   * Watches the innermost call in place, not through a ServerInterceptingCall: deadlines and
   * oversized messages are answered by that call itself, past every wrapper around it.
   */
  #watch(path: string, kind: Kind, call: ServerInterceptingCallInterface): ServerInterceptingCall {
    const started = performance.now();
    const looksOn = path.startsWith('/grpc.');
    if (looksOn) this.#lookers.add(call);
    else this.#working++;
    let ended = false;
    const end = (code: number): void => {
      if (ended) return;
      ended = true;
      this.#inFlight[kind]--;
      if (looksOn) this.#lookers.delete(call);
      else if (--this.#working === 0) this.#whenIdle?.();
      this.#record(path, kind, code, performance.now() - started, call);
    };
    if (kind === 'stream') openSendWindow(call);
    const sendStatus = call.sendStatus.bind(call);
    call.sendStatus = (answer) => {
      end(answer.code ?? status.UNKNOWN);
      sendStatus(answer);
    };
    const start = call.start.bind(call);
    call.start = (listener) => {
      let begun = false;
      start({
        onReceiveMetadata: (metadata) => {
          begun = true;
          listener.onReceiveMetadata(metadata);
        },
        onReceiveMessage: (message) => listener.onReceiveMessage(message),
        onReceiveHalfClose: () => listener.onReceiveHalfClose(),
        onCancel: () => {
          end(status.CANCELLED);
          listener.onCancel();
        },
      });
      // A call whose client is gone already says nothing more.
      if (!begun) end(status.CANCELLED);
    };
    // grpc-js asks for its own class but uses what the interface has.
    return call as ServerInterceptingCall;
  }

  #record(
    path: string,
    kind: Kind,
    code: number,
    elapsedMs: number,
    call: ServerInterceptingCallInterface,
  ): void {
    this.#requests.inc({ method: path, code: codeName(code) });
    if (kind === 'stream') return;
    this.#duration.observe({ method: path }, elapsedMs / 1000);
    if (elapsedMs < SLOW_CALL_MS) return;
    const peer = call.getPeer();
    this.log.warn(
      { method: path, code: codeName(code), elapsedMs: Math.round(elapsedMs), peer },
      'slow call',
    );
  }
}

function refuse(call: ServerInterceptingCallInterface, refusal: Refusal): ServerInterceptingCall {
  return new ServerInterceptingCall(call, {
    start: (next) => {
      next({
        onReceiveMetadata: () => {
          call.sendStatus({ ...refusal, metadata: null });
        },
      });
    },
  });
}
