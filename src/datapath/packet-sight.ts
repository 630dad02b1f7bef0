/**
 * Looking at packets: captures of what passes, traces of single packets. Part of the Datapath
 * interface (datapath.ts); native/addon/sight.cc is its other side. Nothing here blocks; a
 * failure throws an Error, with `field` where one is at fault. Owner: the control thread.
 */

export interface CaptureOptions {
  /** 24-bit session index, -1: none */
  readonly session: number;
  /** bit n: everything on port n */
  readonly ports: number;
  /** packets that are dropped, too */
  readonly drops: boolean;
  /** bytes of each packet at most, 0: all of them */
  readonly snapLength: number;
  /** 0: no limit */
  readonly maxPackets: number;
}
/** Why a capture has no more. */
export const enum CaptureEnd {
  Running = 0,
  Count = 1,
  SessionGone = 2,
  Stopped = 3,
}
export interface CaptureRead {
  /** What came since the last read: whole blocks of a pcapng file. */
  readonly pcapng: Uint8Array;
  /** The blocks that would end the file here; empty once they are in `pcapng`. */
  readonly trailer: Uint8Array;
  readonly packets: number;
  /** Copies that found no room, so far. */
  readonly lost: number;
  readonly end: CaptureEnd;
  /** Every worker copies. */
  readonly inForce: boolean;
}

export interface TraceStep {
  readonly stage: string;
  readonly decision: string;
  /** 0: no session is known yet */
  readonly seid: bigint;
  /** of the PDR, QER, URR or FAR; 0: none */
  readonly ruleId: number;
}
export interface TraceOutput {
  /** index of the port */
  readonly port: number;
  readonly bytes: Uint8Array;
}
export interface TraceResult {
  readonly steps: readonly TraceStep[];
  readonly verdict: string;
  /** '' unless the packet is dropped */
  readonly dropReason: string;
  readonly outputs: readonly TraceOutput[];
}

/** Of all captures since the start. */
export interface CaptureStatistics {
  readonly running: number;
  /** copies delivered, as received and as sent */
  readonly packets: number;
  /** copies that found no room */
  readonly lost: number;
}

export interface PacketSight {
  /** Returns the capture's number. Throws when too many run. */
  startCapture(options: CaptureOptions): number;
  /** After the read that says how it ended, the number is nobody's. */
  readCapture(capture: number): CaptureRead;
  /** Ends it; the rest is read as before. */
  stopCapture(capture: number): void;
  /** @param port  index of the port that would have received the packet; returns a number. */
  startTrace(packet: Uint8Array, port: number): number;
  /** The result, once; undefined while the workers are at it. */
  takeTrace(trace: number): TraceResult | undefined;
}
