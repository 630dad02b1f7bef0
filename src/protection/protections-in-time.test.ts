import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryStore } from '../store/memory.js';
import type { AssociationMessage } from './protection.js';
import type { ProtectionEvent } from './protection-watch.js';
import { association, ProtectingNode } from './protections.fixture.js';

const BLOCK = 2n ** 24n;
/** Associations of another protection than the first. */
const other = { outbound: [association(3001), association(3002)], inbound: [association(4001)] };

let node: ProtectingNode;

beforeEach(() => {
  node = new ProtectingNode();
});
afterEach(() => node.end());

function folderInPlaceOf(file: string): void {
  rmSync(file);
  mkdirSync(file);
}

describe('over the end of a process', () => {
  it('goes on behind all numbers that may have been used', async () => {
    await node.create();
    node.path.figures.set('1001 out', { number: 77n });
    node.protections = await node.restarted();
    expect(node.outbound().map(({ used, allowed }) => [used.number, allowed.number])).toEqual([
      [BLOCK, 2n * BLOCK],
      [BLOCK, 2n * BLOCK],
    ]);
    expect(node.path.keys.get(1001)).toEqual(new Uint8Array(16).fill(1001 & 255));
  });

  it('takes nothing from an association in reserve, which no worker has', async () => {
    const outbound = [association(1001), association(1002), association(1003)];
    await node.create({ outbound });
    await node.restarted();
    expect(node.outbound().map(({ used }) => used.number)).toEqual([BLOCK, BLOCK, 0n]);
  });

  it('goes on exactly after an orderly end', async () => {
    await node.create();
    node.path.figures.set('1001 out', { number: 77n });
    node.path.figures.set('2001 in', { number: 88n });
    await node.protections.close();
    node.protections = await node.restarted();
    expect(node.outbound().map(({ used }) => used.number)).toEqual([77n, 0n]);
    expect(node.path.protections.get(1)!.inbound.map(({ used }) => used.number)).toEqual([88n, 0n]);
  });

  it('begins no lifetime anew', async () => {
    const lifetime = { softPackets: '10', hardPackets: '12', softBytes: '0', hardBytes: '5000' };
    await node.create({ lifetime });
    node.path.figures.set('1001 out', { number: 10n, bytes: 4000n });
    await node.protections.close();
    node.protections = await node.restarted();
    expect(node.outbound()[0]!.used).toEqual({ number: 10n, bytes: 4000n });
    await node.restarted();
    const { number, bytes } = node.outbound()[0]!.used;
    expect(number, 'a crash may have come behind all that was allowed').toBeGreaterThan(12n);
    expect(bytes).toBeGreaterThan(5000n);
  });

  it('loses an eighth of a long lifetime to a crash, and no more', async () => {
    const hard = 2n ** 26n;
    const hardBytes = 2n ** 34n;
    const lifetime = { softPackets: '0', softBytes: '0' };
    await node.create({
      lifetime: { ...lifetime, hardPackets: `${hard}`, hardBytes: `${hardBytes}` },
    });
    await node.restarted();
    expect(node.outbound()[0]!.used).toEqual({ number: hard / 8n, bytes: hardBytes / 8n });
  });

  it('gets further bytes before they run out', async () => {
    await node.create();
    const { allowed } = node.outbound()[0]!;
    node.path.figures.set('1001 out', { number: 1n, bytes: allowed.bytes / 2n + 1n });
    await node.protections.tick();
    expect(node.outbound()[0]!.allowed.bytes).toBeGreaterThan(allowed.bytes);
    expect(node.outbound()[1]!.allowed).toEqual(allowed);
  });

  it('gets further numbers before they run out, and the store knows first', async () => {
    await node.create();
    node.path.figures.set('1001 out', { number: BLOCK / 2n + 1n });
    await node.protections.tick();
    const allowed = [BLOCK / 2n + 1n + BLOCK, BLOCK];
    expect(node.outbound().map((one) => one.allowed.number)).toEqual(allowed);
    await node.restarted();
    expect(node.outbound().map(({ used }) => used.number)).toEqual(allowed);
  });

  it('asks again for what the store refused', async () => {
    const store = new MemoryStore(node.contents);
    node.protections = node.open(store);
    await node.create();
    node.path.figures.set('1001 out', { number: BLOCK - 1n });
    node.path.figures.set('2001 in', { number: 300n });
    for (let second = 0; second < 5; second++) {
      store.failCommits = 1;
      await expect(node.protections.tick()).rejects.toThrow();
      expect(node.outbound()[0]!.allowed.number).toBe(BLOCK);
    }
    await node.protections.tick();
    expect(node.outbound()[0]!.allowed.number).toBe(2n * BLOCK - 1n);
    for (let second = 0; second < 4; second++) await node.protections.tick();
    await node.restarted();
    expect(node.outbound()[0]!.used.number).toBe(2n * BLOCK - 1n);
    expect(node.path.protections.get(1)!.inbound[0]!.used.number).toBe(300n);
  });

  it('has short numbers by blocks that outlast a second at any rate', async () => {
    await node.create({ shortSequence: true });
    expect(node.outbound()[0]!.allowed.number).toBe(BLOCK);
  });

  it('remembers what had come some seconds before', async () => {
    await node.create();
    node.path.figures.set('2001 in', { number: 300n });
    for (let second = 0; second < 5; second++) await node.protections.tick();
    await node.restarted();
    expect(node.path.protections.get(1)!.inbound.map(({ used }) => used.number)).toEqual([
      300n,
      0n,
    ]);
  });

  it.each<[string, () => void, string]>([
    ['that others may read', () => chmodSync(join(node.folder, 'node.key'), 0o644), 'chmod 600'],
    ['that is gone', () => rmSync(join(node.folder, 'node.key')), 'is missing'],
    [
      'of another node',
      () => writeFileSync(join(node.folder, 'node.key'), Buffer.alloc(16)),
      'is not the key',
    ],
    ['that is none', () => writeFileSync(join(node.folder, 'node.key'), 'x'), 'has 1 bytes'],
    ['that is a folder', () => folderInPlaceOf(join(node.folder, 'node.key')), 'is no file'],
  ])('stops the start with a node key %s', async (_, spoil, text) => {
    await node.create();
    spoil();
    await expect(node.restarted()).rejects.toMatchObject({
      code: 'failed_precondition',
      field: 'crypto.nodeKey',
      message: expect.stringContaining(text),
    });
  });
});

describe('a hard lifetime by itself', () => {
  it('wants new keys when nine tenths are gone', async () => {
    const soft = { softPackets: '0', softBytes: '0' };
    await node.create({ lifetime: { ...soft, hardPackets: '1', hardBytes: '2000' } });
    expect(node.path.protections.get(1)).toMatchObject({ packetsSoft: 1n, bytesSoft: 1800n });
    const { terms } = node.protections.get(1).kept;
    expect(terms.lifetime, 'shown as it was asked for').toMatchObject({ softBytes: 0n });
    await node.create({ id: 2, ...other, lifetime: { ...soft, hardPackets: '0', hardBytes: '0' } });
    expect(node.path.protections.get(2)).toMatchObject({ packetsSoft: 0n, bytesSoft: 0n });
  });
});

describe('a round over many protections', () => {
  it('lets others have their turn, and ends with the node', async () => {
    for (let n = 2; n <= 600; n++) {
      const [outbound, inbound] = [[key(n), key(n + 1000)], [key(n + 2000)]];
      await node.create({ id: n, outbound, inbound });
    }
    let turns = 0;
    let looks = 0;
    const look = node.path.protectionStatus.bind(node.path);
    const seen: number[] = [];
    node.path.protectionStatus = (id) => {
      looks++;
      seen[turns] = (seen[turns] ?? 0) + 1;
      return look(id);
    };
    const count = (): void => {
      turns++;
      if (looks < 599) setImmediate(count);
    };
    setImmediate(count);
    await node.protections.tick();
    expect(looks).toBe(599);
    expect(Math.max(...seen.filter((n) => n > 0))).toBeLessThanOrEqual(86);
    looks = 0;
    const round = node.protections.tick();
    await node.protections.close();
    const atEnd = looks;
    await round;
    expect(looks).toBe(atEnd);
  });
});

/** An association of its own key, however many there are. */
function key(n: number): AssociationMessage {
  const own = Buffer.alloc(16);
  own.writeUInt32BE(n);
  return { ...association(1000 + n), key: own };
}

describe('events', () => {
  it('tell of lifetimes once, and of rates each second that they last', async () => {
    const lifetime = { softPackets: '5', hardPackets: '10', softBytes: '0', hardBytes: '0' };
    await node.create({ lifetime });
    const events: ProtectionEvent[] = [];
    const end = node.protections.watch((event) => events.push(event));
    const kinds = async () => {
      events.length = 0;
      await node.protections.tick();
      return events.map(({ kind, spi, packets }) => [kind, spi, packets]);
    };
    expect(await kinds()).toEqual([]);
    node.path.figures.set('1001 out', { packets: 6n, wantsRekeying: true });
    node.path.figures.set('2001 in', { notGenuine: 10n, replayed: 11n });
    expect(await kinds()).toEqual([
      ['rekeying_wanted', 1001, 0],
      ['replayed', 2001, 11],
    ]);
    node.path.figures.set('1001 out', { wantsRekeying: true, hasExpired: true });
    node.path.figures.set('2001 in', { notGenuine: 21n, replayed: 12n });
    node.unknownSpis = 11;
    expect(await kinds()).toEqual([
      ['expired', 1001, 0],
      ['not_genuine', 2001, 11],
      ['unknown_spi', 0, 11],
    ]);
    expect(await kinds()).toEqual([]);
    end();
    node.unknownSpis = 100;
    expect(await kinds()).toEqual([]);
  });
});
