/** The part of the addon that works on captures (native/addon/capture.cc), with its types. */
import { loadAddon } from '../../base/addon.js';
import { ToolError } from '../tool-error.js';
import type { UeSession } from '../ue-session.js';

/** Each frame is counted once: gtpu, uplink, downlink, other or skipped. */
export interface SplitCounts {
  readonly frames: number;
  /** GTP-U, to the access port as it was */
  readonly gtpu: number;
  /** wrapped into a session's tunnel */
  readonly uplink: number;
  /** to a UE, as plain IP to the core port */
  readonly downlink: number;
  /** neither from nor to a session, to the core port */
  readonly other: number;
  /** of uplink and downlink: with an address replaced (--wrap) */
  readonly adopted: number;
  /** frames of which no packet could be made, by reason */
  readonly skipped: Readonly<Record<string, number>>;
  /** where the last record begins, if the file ends inside it: it is no frame */
  readonly cut_at_byte?: number;
}

interface CaptureAddon {
  splitCapture(request: {
    readonly input: string;
    readonly accessOutput: string;
    readonly coreOutput: string;
    readonly n3: readonly string[];
    readonly sessions: readonly UeSession[];
    readonly adopt: boolean;
  }): SplitCounts;
  busiestGtpuDestination(path: string): string | undefined;
  /** The IP packet of a frame, counted from 1. */
  readCapturedPacket(path: string, frame: number): Uint8Array;
  mergeCaptures(inputs: readonly string[], names: readonly string[], output: string): void;
}

/** Native errors name the file and the byte; people get that sentence. */
function forPeople<K extends keyof CaptureAddon>(name: K): CaptureAddon[K] {
  const call = (...args: unknown[]): unknown => {
    try {
      const addon = loadAddon() as Record<K, (...args: unknown[]) => unknown>;
      return addon[name](...args);
    } catch (error) {
      throw new ToolError((error as Error).message);
    }
  };
  return call as CaptureAddon[K];
}

export const splitCapture = forPeople('splitCapture');
export const busiestGtpuDestination = forPeople('busiestGtpuDestination');
export const readCapturedPacket = forPeople('readCapturedPacket');
export const mergeCaptures = forPeople('mergeCaptures');
