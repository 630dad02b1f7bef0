/**
 * Captures and traces of a packet path without packets: they say what a test tells them to.
 * Owner: the control thread.
 */

import {
  CaptureEnd,
  type CaptureOptions,
  type CaptureRead,
  type PacketSight,
  type TraceResult,
} from '../packet-sight.js';
import { MemoryProtections } from './protections.js';

const NOTHING = new Uint8Array(0);
/** As the packet path has it. */
const CAPTURES_MAX = 8;

export class MemorySight extends MemoryProtections implements PacketSight {
  /** Captures that were started and not read to their end. */
  readonly captures = new Map<number, { options: CaptureOptions; end: CaptureEnd }>();
  /** What the next read of any capture brings. */
  captured: { pcapng: Uint8Array; packets: number; lost: number } | undefined;
  /** Packets given to traces, by the number of the trace. */
  readonly traced = new Map<number, { packet: Uint8Array; port: number }>();
  /** What traces find; a trace takes a second call to it. */
  traceResult: TraceResult = { steps: [], verdict: 'held', dropReason: '', outputs: [] };
  #next = 0;
  readonly #waited = new Set<number>();

  startCapture(options: CaptureOptions): number {
    if (this.captures.size === CAPTURES_MAX) throw new Error('8 captures run, which is the limit');
    this.captures.set(this.#next, { options, end: CaptureEnd.Running });
    return this.#next++;
  }
  readCapture(capture: number): CaptureRead {
    const end = this.captures.get(capture)?.end ?? CaptureEnd.Stopped;
    if (end !== CaptureEnd.Running) this.captures.delete(capture);
    const { pcapng = NOTHING, packets = 0, lost = 0 } = this.captured ?? {};
    if (this.captured !== undefined) this.captured = { ...this.captured, pcapng: NOTHING };
    const trailer = end === CaptureEnd.Running ? Uint8Array.of(9, 9) : NOTHING;
    return { pcapng, trailer, packets, lost, end, inForce: true };
  }
  stopCapture(capture: number): void {
    this.endCapture(capture, CaptureEnd.Stopped);
  }
  /** As when the session goes, or the count is reached. */
  endCapture(capture: number, end: CaptureEnd): void {
    const known = this.captures.get(capture);
    if (known !== undefined && known.end === CaptureEnd.Running) known.end = end;
  }

  startTrace(packet: Uint8Array, port: number): number {
    if (packet.length === 0) {
      throw Object.assign(new Error('must be 1 to 2092 bytes: one IP packet'), { field: 'packet' });
    }
    this.traced.set(this.#next, { packet: packet.slice(), port });
    return this.#next++;
  }
  takeTrace(trace: number): TraceResult | undefined {
    if (this.#waited.delete(trace)) return this.traceResult;
    this.#waited.add(trace);
    return undefined;
  }
}
