/** Trace and Capture of N4Service: one call from its request to its last message. */
import { Metadata, type ServerWritableStream, type UntypedHandleCall } from '@grpc/grpc-js';
import type { Log } from '../../base/log.js';
import { MALFORMED, malformed, type Request } from '../object-service.js';
import { timeOf } from '../sight/capture-stream.js';
import { caughtToServiceError } from '../status.js';
import type { N4Datagram, N4Source, N4Watch } from './service.js';

interface WatchRequest {
  readonly peer: string;
  readonly heartbeats: boolean;
  readonly maxMessages: string;
  readonly maxTime: { readonly seconds: string; readonly nanos: number } | null;
}
type WatchCall = ServerWritableStream<Request<WatchRequest>, object>;

/** What a stream makes of datagrams. */
export interface WatchOutput {
  /** Datagrams at a time: what the control thread can spare. */
  readonly most: number;
  /** One message; undefined: there is nothing to say. */
  chunk(datagrams: readonly N4Datagram[], lost: number): object | undefined;
}

/** How often what was seen goes out. */
const PUMP_MS = 20;

export function watched(
  outputOf: (source: N4Source) => WatchOutput,
  served: () => N4Source,
  closing: AbortSignal,
  log: Log,
): UntypedHandleCall {
  return ((call: WatchCall) => {
    try {
      if (call.request === MALFORMED) throw malformed();
      const source = served();
      const timeMs = timeOf(call.request);
      const most = Number(call.request.maxMessages) || Infinity;
      const watch = source.watch(call.request.peer, call.request.heartbeats);
      new WatchStream(call, watch, outputOf(source), most, closing).start(timeMs);
    } catch (error) {
      call.emit('error', caughtToServiceError(error, log));
    }
  }) as UntypedHandleCall;
}

class WatchStream {
  #writable = true;
  #timer: NodeJS.Timeout | undefined;
  #limit: NodeJS.Timeout | undefined;
  readonly #close = (): void => this.#end();

  constructor(
    private readonly call: WatchCall,
    private readonly watch: N4Watch,
    private readonly output: WatchOutput,
    private left: number,
    private readonly closing: AbortSignal,
  ) {}

  start(timeMs: number): void {
    const { call } = this;
    this.#timer = setInterval(() => this.#pump(), PUMP_MS);
    if (timeMs > 0) this.#limit = setTimeout(this.#close, timeMs);
    call.on('drain', () => {
      this.#writable = true;
    });
    call.on('cancelled', () => this.#stop());
    call.on('error', () => this.#stop());
    this.closing.addEventListener('abort', this.#close);
    // So that the caller knows that it sees everything from now on.
    call.sendMetadata(new Metadata());
  }

  #pump(): void {
    if (this.#writable) this.#send();
    if (this.left <= 0) this.#end();
  }

  #send(): void {
    const datagrams = this.watch.take(Math.min(this.left, this.output.most));
    this.left -= datagrams.length;
    const chunk = this.output.chunk(datagrams, this.watch.lost);
    if (chunk !== undefined) this.#writable = this.call.write(chunk);
  }

  #end(): void {
    if (this.#timer === undefined) return;
    if (this.left > 0) this.#send();
    this.#stop();
    this.call.end();
  }

  #stop(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#limit);
    this.#timer = undefined;
    this.watch.close();
    this.closing.removeEventListener('abort', this.#close);
  }
}
