/**
 * The packet path's part for crypto lanes, as native/worker/protect/crypto_lanes.h has it. Owner: the
 * control thread.
 */

export interface LaneStatistics {
  readonly id: number;
  readonly packets: number;
  readonly bursts: number;
  /** packets that wait */
  readonly depth: number;
  /** number of the thread that serves it; -1: none */
  readonly thread: number;
}

export interface LaneThreadStatistics {
  /** nanoseconds spent on bursts since the start */
  readonly busyNs: number;
  /** sleeps since the start */
  readonly waits: number;
}

export interface CryptoLaneStatistics {
  /** Threads that serve. */
  readonly serving: number;
  /** That threads are pinned to, in turn; none: the system puts them anywhere. */
  readonly cores: readonly number[];
  /** Packets of one worker that a lane's ring has room for. */
  readonly capacity: number;
  /** None: workers do SM4 themselves. */
  readonly lanes: readonly LaneStatistics[];
  /** By number, also of those that do not serve now. */
  readonly threads: readonly LaneThreadStatistics[];
}

export interface LanePath {
  /** By what a thread finds the lanes; 0: there are none. */
  lanes(): number;
  /** Threads numbered below this one serve; others are let go between two bursts. */
  limitLaneThreads(threads: number): void;
  /** A thread has ended by itself: what it had in hand is lost, and counted. */
  buryLaneThread(thread: number): void;
}
