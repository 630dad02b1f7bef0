/** What a packet path without traffic says of itself. Constant; any thread. */
import type { DatapathStatus } from './datapath.js';
import type { Statistics, WorkerStatistics } from './statistics.js';

export const IDLE_STATUS: DatapathStatus = {
  ports: [],
  workers: [],
  warnings: [],
  plan: '',
  placement: { controlCores: [], memoryPages: '4K', memoryBytes: 0, packetPages: [] },
  regionBytesUsed: 0,
  peers: [],
  peersTotal: 0,
};

export const IDLE_STATISTICS: Statistics = {
  ports: [],
  workers: [],
  dropped: {},
  created: 0,
  held: 0,
  gtpu: {
    endMarkersSent: 0,
    errorIndicationsSent: 0,
    extensionNotificationsSent: 0,
    answersSuppressed: 0,
  },
  captures: { running: 0, packets: 0, lost: 0 },
  cryptoLanes: { serving: 0, cores: [], capacity: 0, lanes: [], threads: [] },
  driver: { flows: 0, forwardedPackets: 0 },
};

export const IDLE_WORKER: WorkerStatistics = {
  id: 0,
  cyclesPerPacket: 0,
  burstFill: 0,
  longestStallNs: 0,
  busy: 0,
  buckets: 256,
  bucketsTaken: 0,
  commandsWaiting: 0,
  eventsWaiting: 0,
  packetsWaiting: 0,
  eventsFull: 0,
};
