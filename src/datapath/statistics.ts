/** What the packet path has counted, as one reading of it; rows of ports and workers. */
import type { CryptoLaneStatistics } from './lanes/lane-path.js';
import type { CaptureStatistics } from './packet-sight.js';

export interface PortStatistics {
  readonly name: string;
  readonly rxPackets: number;
  readonly rxBytes: number;
  readonly txPackets: number;
  readonly txBytes: number;
  readonly txFull: number;
  /** Packets that the kernel or device had no room to keep for the port. */
  readonly rxMissed: number;
  /** Times that nothing was received because the packet pool was empty. */
  readonly rxNoBuffer: number;
  /** Frames of a device that are no IP packet for the node; in no other count. */
  readonly rxIgnored: number;
}
export interface WorkerStatistics {
  readonly id: number;
  readonly cyclesPerPacket: number;
  readonly burstFill: number;
  readonly longestStallNs: number;
  readonly busy: number;
  readonly buckets: number;
  readonly bucketsTaken: number;
  /** What waits in its rings: session operations, events, packets handed over by other workers. */
  readonly commandsWaiting: number;
  readonly eventsWaiting: number;
  readonly packetsWaiting: number;
  /** Times that an event found no room and was offered again later. */
  readonly eventsFull: number;
}
/** GTP-U messages beside G-PDUs and Echo. */
export interface GtpuStatistics {
  readonly endMarkersSent: number;
  readonly errorIndicationsSent: number;
  readonly extensionNotificationsSent: number;
  /** not sent, because of the limit or the time after the start */
  readonly answersSuppressed: number;
}
/** What drivers forward by themselves (forwardInDriver); it is in the ports' counts, too. */
export interface DriverStatistics {
  /** Flows, one a direction of a session, that the driver forwards or is about to. */
  readonly flows: number;
  readonly forwardedPackets: number;
}
/** rx + created = tx + held + dropped, always. */
export interface Statistics {
  readonly ports: readonly PortStatistics[];
  readonly workers: readonly WorkerStatistics[];
  readonly dropped: Readonly<Record<string, number>>;
  readonly created: number;
  readonly held: number;
  readonly gtpu: GtpuStatistics;
  readonly captures: CaptureStatistics;
  readonly cryptoLanes: CryptoLaneStatistics;
  readonly driver: DriverStatistics;
}
