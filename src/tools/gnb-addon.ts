/** The part of the addon that the gNB needs, with its types; loaded on first use. */

import { loadAddon } from '../base/addon.js';
import { ToolError } from './tool-error.js';

/** One tunnel as native/addon/gnb.cc reads it. */
export interface NativeUe {
  /** descriptor of a TUN device that the Gnb takes over, or -1 */
  readonly tunFd: number;
  readonly gnbTeid: number;
  readonly upfTeid: number;
  readonly upfAddress: string;
  readonly qfi: number;
  readonly ipv4: string;
  readonly ipv6: string;
}
export interface NativeLoad {
  readonly packetsPerSecond: number;
  readonly innerBytes: number;
  readonly seconds: number;
  readonly flows: number;
  readonly to: string;
  readonly toPort: number;
}
export interface GnbCounters {
  readonly uplinkPackets: number;
  readonly uplinkBytes: number;
  readonly downlinkPackets: number;
  readonly downlinkBytes: number;
  readonly echoRequests: number;
  readonly echoResponses: number;
  readonly endMarkers: number;
  readonly errorIndications: number;
  readonly unknownTeid: number;
  readonly malformed: number;
  readonly wrongContainer: number;
  readonly sendFailed: number;
  readonly uplinkRefused: number;
  readonly loadRunning: boolean;
  readonly loadSeconds: number;
}
export interface NativeGnb {
  /** Sends an Echo Request to each UPF. */
  echo(): void;
  counters(): GnbCounters;
  load(load: NativeLoad): void;
  /** Ends a load before its time; the counters then say how long it took. */
  stopLoad(): void;
  stop(): void;
}
interface GnbAddon {
  readonly Gnb: new (config: {
    readonly bind: string;
    readonly port: number;
    readonly ues: readonly NativeUe[];
  }) => NativeGnb;
  openTun(name: string): number;
}

let loaded: GnbAddon | undefined;

/** The addon; a {@link ToolError} says how to build it when it is not there. */
export function gnbAddon(): GnbAddon {
  if (loaded !== undefined) return loaded;
  try {
    loaded = loadAddon() as GnbAddon;
  } catch (error) {
    throw new ToolError(error instanceof Error ? error.message : String(error));
  }
  return loaded;
}
