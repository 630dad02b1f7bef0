import { execFileSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statfsSync,
} from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { Config } from '../../base/config/config.js';
import { PACKETS_PER_WORKER } from '../../base/limits.js';
import { selfTest } from '../../crypto/self-test.js';
import { packetMemoryBytes } from '../../datapath/native.js';
import { slotsFor } from '../../session/identity.js';
import type { Probe } from './probe.js';

const RUN_TIMEOUT_MS = 5_000;
const OUTPUT_BYTES_MAX = 4 << 20;

function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

/** The machine that this process runs on. Nothing is changed by looking. */
export const machineProbe: Probe = {
  read: (path) => attempt(() => readFileSync(path, 'utf8')),
  list: (path) => attempt(() => readdirSync(path)) ?? [],
  link: (path) => attempt(() => readlinkSync(path)),
  exists: (path) => existsSync(path),
  writable: (path) => attempt(() => accessSync(path, constants.W_OK) ?? true) ?? false,
  freeBytes: (path) =>
    attempt(() => {
      const { bavail, bsize } = statfsSync(path);
      return bavail * bsize;
    }),
  run: (program, ...args) =>
    attempt(() =>
      execFileSync(program, args, {
        encoding: 'utf8',
        timeout: RUN_TIMEOUT_MS,
        maxBuffer: OUTPUT_BYTES_MAX,
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    ),
  addresses: () =>
    Object.entries(networkInterfaces()).flatMap(([device, rows]) =>
      (rows ?? []).map(({ address }) => ({ device, address })),
    ),
  packetMemoryBytes: ({ workers, limits }: Config) =>
    attempt(() =>
      packetMemoryBytes({
        packetsMax: PACKETS_PER_WORKER * workers.count,
        heldPacketsMax: limits.heldPackets,
        workers: workers.count,
        slotsPerBucket: slotsFor(limits.sessions),
      }),
    ),
  cryptoSelfTest: () => {
    try {
      return selfTest();
    } catch (error) {
      return (error as Error).message;
    }
  },
  nodePath: process.execPath,
  nodeVersion: process.versions.node,
};
