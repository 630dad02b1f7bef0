import type { ServerWritableStream } from '@grpc/grpc-js';
import { SluiceError } from '../../base/errors.js';
import { CaptureEnd, type CaptureOptions } from '../../datapath/packet-sight.js';
import { HEADER_SESSION_INDEX } from '../../model/record-layout.js';
import { caughtToServiceError } from '../status.js';
import { fromPacketPath, portIndex, type SightParts } from './service.js';

export interface CaptureRequest {
  readonly sessionName: string;
  readonly seid: string;
  readonly port: string;
  readonly snapLength: number;
  readonly maxPackets: string;
  readonly maxTime: { readonly seconds: string; readonly nanos: number } | null;
  readonly drops: boolean;
}
export type CaptureCall = ServerWritableStream<CaptureRequest, object>;

/** How often what was captured goes out. */
const PUMP_MS = 20;
/** A message that any client takes; most refuse more than 4 MB. */
const CHUNK_BYTES = 1 << 20;
const SNAP_MIN = 64;
const TIME_MAX_MS = 24 * 3600 * 1000;

/**
 * One capture from the request to its last byte. A slow client makes the packet path keep what
 * it has room for, and count the rest as lost. However the call ends, the capture is stopped and
 * read to its end, so that the packet path has everything back.
 */
export class CaptureStream {
  #capture = -1;
  #timer: NodeJS.Timeout | undefined;
  #limit: NodeJS.Timeout | undefined;
  #writable = true;
  /** Nobody listens any more. */
  #gone = false;
  #told = -1;
  readonly #close = (): void => this.#stop();

  constructor(
    private readonly call: CaptureCall,
    private readonly parts: SightParts,
  ) {}

  /** @throws SluiceError that names the field; nothing is begun then. */
  start(): void {
    const { call, parts } = this;
    const malformed = parts.malformed(call.request);
    if (malformed !== undefined) throw malformed;
    const timeMs = timeOf(call.request);
    const options = optionsOf(parts, call);
    this.#capture = fromPacketPath(() => parts.sight.startCapture(options));
    this.#timer = setInterval(() => this.#pump(), PUMP_MS);
    if (timeMs > 0) this.#limit = setTimeout(() => this.#stop(), timeMs);
    call.on('drain', () => {
      this.#writable = true;
    });
    call.on('cancelled', () => this.#leave());
    call.on('error', () => this.#leave());
    parts.closing.addEventListener('abort', this.#close);
    this.#pump();
  }

  #pump(): void {
    if (!this.#writable && !this.#gone) return;
    try {
      const { pcapng, trailer, packets, lost, end } = this.parts.sight.readCapture(this.#capture);
      const news = pcapng.length > 0 || lost !== this.#told || end !== CaptureEnd.Running;
      this.#told = lost;
      if (!this.#gone && news) this.#write(pcapng, trailer, { packets, lost });
      if (end === CaptureEnd.Running) return;
      this.#finish();
      if (!this.#gone) this.call.end();
    } catch (error) {
      this.#finish();
      if (!this.#gone) this.call.emit('error', caughtToServiceError(error, this.parts.log));
    }
  }

  #write(pcapng: Uint8Array, trailer: Uint8Array, counts: { packets: number; lost: number }) {
    let at = 0;
    do {
      const part = pcapng.subarray(at, at + CHUNK_BYTES);
      at += part.length;
      const last = at >= pcapng.length;
      // Only behind a whole block does the file end well.
      this.#writable = this.call.write({
        pcapng: part,
        ...counts,
        ...(last && trailer.length > 0 && { trailer }),
      });
    } while (at < pcapng.length);
  }

  #stop(): void {
    this.parts.sight.stopCapture(this.#capture);
    this.#pump();
  }

  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    if (this.#timer !== undefined) this.#stop();
  }

  #finish(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#limit);
    this.#timer = undefined;
    this.parts.closing.removeEventListener('abort', this.#close);
  }
}

function invalid(field: string, message: string): SluiceError {
  return new SluiceError('invalid_argument', message, { field });
}

/** Milliseconds, 0 for no limit. @throws SluiceError that names the field. */
export function timeOf({ maxTime }: Pick<CaptureRequest, 'maxTime'>): number {
  if (maxTime === null) return 0;
  const ms = Number(maxTime.seconds) * 1000 + maxTime.nanos / 1e6;
  if (ms > 0 && ms <= TIME_MAX_MS) return ms;
  throw invalid('max_time', 'must be above 0 and at most 24 h');
}

function optionsOf(parts: SightParts, call: CaptureCall): CaptureOptions {
  const { sessionName, seid, port, snapLength, maxPackets, drops } = call.request;
  const ofSession = sessionName !== '' || BigInt(seid) !== 0n;
  if (ofSession === (port !== '')) {
    throw invalid(
      port === '' ? 'session_name' : 'port',
      'a capture is of one session (session_name or seid) or of one port',
    );
  }
  if (snapLength !== 0 && snapLength < SNAP_MIN) {
    throw invalid('snap_length', `must be 0, which is all of a packet, or at least ${SNAP_MIN}`);
  }
  const common = { drops, snapLength, maxPackets: Number(maxPackets) };
  if (!ofSession) return { session: -1, ports: 1 << portIndex(parts, port), ...common };
  const key = BigInt(seid) === 0n ? { name: sessionName } : { seid: BigInt(seid) };
  const named = sessionName !== '' && { name: sessionName };
  const record = parts.engine.get(parts.ownerOf(call), { ...key, ...named } as typeof key);
  if (record === undefined) throw new SluiceError('not_found');
  return { session: record[HEADER_SESSION_INDEX]!, ports: 0, ...common };
}
