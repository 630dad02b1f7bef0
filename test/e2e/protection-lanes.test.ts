import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Node } from '../../src/cli/api/messages.js';
import type { PacketCounts } from '../../src/tools/packet-counts.js';
import { addresses } from './lab.js';
import { protectedN9 } from './protected-n9.contract.js';
import { answersOf, pingFor } from './upf.js';

const UE = `ue-${process.pid}`;
const endThreads = join(import.meta.dirname, 'end-threads.mjs');

function unaccounted({ rx, created, tx, held, dropped }: PacketCounts): number {
  const sum = (counts: Readonly<Record<string, number>>) =>
    Object.values(counts).reduce((total, n) => total + n, 0);
  return rx + created - sum(tx) - held - sum(dropped);
}

protectedN9(
  'lanes',
  (n9) => {
    it('says that lanes do it', async () => {
      const { intermediate } = n9();
      const node = await intermediate.client.call<Node>('NodeService', 'GetNode', {});
      expect(node.crypto_lanes?.lanes).toBeGreaterThanOrEqual(1);
      expect(node.crypto_lanes?.threads).toBeGreaterThanOrEqual(1);
      expect((await intermediate.sluice(['node', '--plan'])).stdout).toMatch(
        /1 of \d+ lane threads/,
      );
    });

    it('goes on when the threads of lanes are ended under traffic', async () => {
      const { lab, intermediate, anchor } = n9();
      await intermediate.gnb(UE);
      const ping = lab.run(
        `ue:${UE}`,
        ['ping', '-c', '400', '-i', '0.005', addresses.server],
        false,
      );
      for (const upf of [intermediate, anchor]) {
        upf.signal('SIGUSR2');
        await upf.logged('crypto lanes died; another takes over');
      }
      const result = await ping;
      expect(answersOf(result), result.stdout).toBeGreaterThan(0);
      const after = await lab.run(`ue:${UE}`, pingFor(5, addresses.server), false);
      expect(answersOf(after)).toBeGreaterThanOrEqual(5);
      for (const upf of [intermediate, anchor]) {
        // Counters are read one by one, while a packet may pass.
        await expect.poll(async () => unaccounted(await upf.counts())).toBe(0);
      }
      await intermediate.endGnbs();
    });
  },
  { NODE_OPTIONS: `--import ${endThreads}` },
);
