/** Real threads on the lanes of a real packet path: they come, are replaced, and end. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Piscina } from 'piscina';
import { expect, it } from 'vitest';
import type { Log } from '../../base/log.js';
import type { Datapath } from '../datapath.js';
import { createNativeDatapath } from '../native.js';
import { LanePool, laneThreads } from './lane-pool.js';

function open(): Datapath {
  const port = {
    driver: 'memory',
    addresses: [],
    networkInstances: ['*'],
    udpPort: 2152,
    sourcePorts: 1,
    device: '',
    mtu: 0,
    uePools: [],
    masquerade: false,
    file: '',
    outputFile: '',
  } as const;
  return createNativeDatapath({
    sessionsMax: 256,
    packetsMax: 2048,
    hugepages: 'off',
    workers: { count: 1, cores: 'auto', poll: 'adaptive' },
    lanes: 2,
    teidKey: [1, 2, 3, 4, 5],
    slotBits: 13,
    slotsPerBucket: 64,
    ports: [{ ...port, name: 'n3', role: 'access', addresses: ['10.0.0.1'] }],
  });
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(5);
}

it('serve, are replaced when they are ended by force, and end with the packet path', async () => {
  const datapath = open();
  const bounds = { threadsMin: 2, threadsMax: 2 };
  const threads = laneThreads(bounds) as Piscina;
  const errors: unknown[] = [];
  const log = { info: () => undefined, error: (what: unknown) => errors.push(what) };
  const statistics = () => datapath.statistics().cryptoLanes;
  const parts = { path: datapath, statistics, bounds, log: log as unknown as Log, threads };
  const pool = LanePool.start(parts);
  datapath.start();
  await until(() => statistics().serving === 2);
  await until(() => statistics().threads.every(({ waits }) => waits > 0));
  const before = new Set(threads.threads);
  await threads.threads[0]?.terminate();
  await until(() => errors.length === 1);
  // Another has its number, and looks at its lane again.
  await until(() => threads.threads.some((thread) => !before.has(thread)));
  const waits = statistics().threads.map((thread) => thread.waits);
  await until(() => statistics().threads.every((thread, i) => thread.waits > waits[i]!));
  datapath.stop();
  await pool.stop();
  expect(threads.threads).toHaveLength(0);
});
