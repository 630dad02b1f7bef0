import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../base/log.js';
import { MemoryProtections } from '../datapath/memory/protections.js';
import { MemoryStore, MemoryStoreContents } from '../store/memory.js';
import { NodeKeyFile } from './node-key.js';
import { type AssociationMessage, askedProtection, type ProtectionMessage } from './protection.js';
import type { ProtectionEvent } from './protection-watch.js';
import { Protections } from './protections.js';

const BLOCK = 2n ** 24n;
const WORKERS = 2;

let folder: string;
let contents: MemoryStoreContents;
let path: MemoryProtections;
let protections: Protections;
let unknownSpis = 0;

function open(store = new MemoryStore(contents)): Protections {
  return new Protections({
    path,
    store,
    wrap: new NodeKeyFile(join(folder, 'node.key')),
    obstacle: ({ local }) => (local === '10.9.9.9' ? 'no port carries it' : undefined),
    unknownSpis: () => unknownSpis,
    alarmPacketsPerSecond: 10,
    log: silentLog(),
    now: () => 1_700_000_000_000,
  });
}
/** A process after this one, whose packet path is empty. */
async function restarted(): Promise<Protections> {
  path = new MemoryProtections();
  const next = open();
  await next.restore();
  return next;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-protection-'));
  contents = new MemoryStoreContents();
  path = new MemoryProtections();
  protections = open();
  unknownSpis = 0;
});
afterEach(() => rmSync(folder, { recursive: true }));

function association(spi: number, key = spi): AssociationMessage {
  const none = new Uint8Array(0);
  return { spi, key: Buffer.alloc(16, key), salt: Buffer.alloc(4, key), authenticationKey: none };
}
function message(change: Partial<ProtectionMessage> = {}): ProtectionMessage {
  return {
    id: 1,
    description: 'to the anchor',
    suite: 'PROTECTION_SUITE_SM4_GCM_16',
    localAddress: '10.0.0.1',
    peerAddress: '10.0.0.2',
    udpEncapsulation: true,
    shortSequence: false,
    replayWindow: 0,
    lifetime: null,
    outbound: [association(1001), association(1002)],
    inbound: [association(2001), association(2002)],
    ...change,
  };
}
const create = (change?: Partial<ProtectionMessage>, of = protections) =>
  of.create(askedProtection(message(change), WORKERS));
const update = (change?: Partial<ProtectionMessage>, revision = 0n) =>
  protections.update(askedProtection(message(change), WORKERS), revision);
const outbound = () => path.protections.get(1)!.outbound;

describe('a protection', () => {
  it('comes into the packet path with its keys, and is shown without', async () => {
    const { kept } = await create();
    expect(path.keys.get(1001)).toEqual(new Uint8Array(16).fill(1001 & 255));
    expect(path.keys.get(2002)).toEqual(new Uint8Array(16).fill(2002 & 255));
    expect(outbound().map(({ used, allowed }) => [used.number, allowed.number])).toEqual([
      [0n, BLOCK],
      [0n, BLOCK],
    ]);
    expect(kept.terms.window).toBe(1024);
    const texts = [...contents.meta.values()].map((value) => Buffer.from(value));
    const key = Buffer.alloc(16, 1001 & 255);
    for (const text of texts) {
      expect(text.includes(key)).toBe(false);
      expect(text.includes(key.toString('base64').slice(0, 16))).toBe(false);
    }
    expect(statSync(join(folder, 'node.key')).mode & 0o777).toBe(0o600);
  });

  it('is made once: the same again is no error, another content is', async () => {
    await create();
    expect((await create()).kept.revision).toBe(1);
    await expect(create({ outbound: [association(1001, 7), association(1002)] })).rejects.toThrow(
      'another protection has this ID',
    );
    await expect(create({ peerAddress: '10.0.0.3' })).rejects.toMatchObject({
      code: 'already_exists',
      field: 'protection.id',
    });
  });

  it.each<[string, Partial<ProtectionMessage>, string, string]>([
    ['an ID beyond all', { id: 16_385 }, 'id', 'from 1 to 16384'],
    ['no ID', { id: 0 }, 'id', 'from 1 to 16384'],
    ['an unknown suite', { suite: 'AES' }, 'suite', 'must be one of PROTECTION_SUITE_SM4_GCM_16'],
    ['a missing peer', { peerAddress: '' }, 'peer_address', 'an IPv4 or IPv6 address'],
    ['two families', { peerAddress: 'fd00::2' }, 'peer_address', 'of the same family'],
    ['an odd window', { replayWindow: 100 }, 'replay_window', 'a power of two from 64 to 4096'],
    ['a reserved SPI', { inbound: [association(255)] }, 'inbound[0].spi', 'from 256 on'],
    ['an SPI twice', { inbound: [association(999), association(999)] }, 'inbound[1].spi', 'twice'],
    ['too few associations', { outbound: [association(1)] }, 'outbound', 'must have 2 assoc'],
    ['none at all', { outbound: [], inbound: [] }, 'outbound', 'must have an association'],
    [
      'a short key',
      { inbound: [{ ...association(999), key: Buffer.alloc(15) }] },
      'inbound[0].key',
      'must have 16 bytes; it has 15',
    ],
    [
      'a key of another suite',
      { inbound: [{ ...association(999), authenticationKey: Buffer.alloc(32) }] },
      'inbound[0].authentication_key',
      'is none of this suite',
    ],
    [
      'a soft lifetime beyond the hard one',
      { lifetime: { softPackets: '9', hardPackets: '8', softBytes: '0', hardBytes: '0' } },
      'lifetime.soft_packets',
      'must not be beyond',
    ],
  ])('refuses %s, and installs nothing', (_, change, field, text) => {
    expect(() => askedProtection(message(change), WORKERS)).toThrow(
      expect.objectContaining({
        code: 'invalid_argument',
        field: `protection.${field}`,
        message: expect.stringContaining(text),
      }),
    );
  });

  it('refuses what no port carries', async () => {
    await expect(create({ localAddress: '10.9.9.9' })).rejects.toMatchObject({
      code: 'failed_precondition',
      field: 'protection.udp_encapsulation',
    });
    expect(path.protections.size).toBe(0);
  });

  it('refuses a key that would seal two sequences of packets', async () => {
    const twice = { outbound: [association(1001), association(1002, 1001)] };
    await expect(create(twice)).rejects.toMatchObject({ field: 'protection.outbound[1].key' });
    const same = { inbound: [association(2001, 1001)] };
    await expect(create(same)).rejects.toMatchObject({ field: 'protection.inbound[0].key' });
    await create();
    const other = { id: 2, inbound: [association(3001)] };
    await expect(create(other)).rejects.toMatchObject({ field: 'protection.outbound[0].key' });
    const shared = {
      id: 2,
      outbound: [association(11), association(12)].map((a, i) => ({ ...a, spi: 5001 + i })),
    };
    await expect(create(shared)).rejects.toMatchObject({
      code: 'already_exists',
      field: 'protection.inbound[0].spi',
    });
    await protections.delete(1);
    await expect(create()).rejects.toThrow('has sealed packets before: give a fresh key');
    expect(path.protections.size).toBe(0);
    await expect(create({}, await restarted())).rejects.toThrow('has sealed packets before');
  });

  it('is not there when the store fails', async () => {
    const store = new MemoryStore(contents);
    store.failCommits = 1;
    protections = open(store);
    await expect(create()).rejects.toThrow();
    expect(protections.count).toBe(0);
    expect(path.protections.size).toBe(0);
    await create();
  });

  it('is not in the store when the packet path has no room for it', async () => {
    const refusal = { message: 'at most 32768 inbound associations in all', field: 'inbound' };
    path.refuseNext = refusal;
    await expect(create()).rejects.toMatchObject({
      code: 'resource_exhausted',
      field: 'protection.inbound',
    });
    expect((await restarted()).count).toBe(0);
    protections = open();
    await create({ outbound: [association(1011), association(1012)] });
    path.refuseNext = refusal;
    const more = [association(2001), association(2002), association(2003)];
    const asked = { outbound: [association(1011), association(1012)], inbound: more };
    await expect(update(asked)).rejects.toThrow('at most 32768');
    expect(protections.get(1).kept.revision).toBe(1);
    await restarted();
    expect(path.protections.get(1)!.inbound.map(({ spi }) => spi)).toEqual([2001, 2002]);
  });

  it('stays while rules refer to it', async () => {
    await create();
    path.uses.set(1, 3);
    await expect(protections.delete(1)).rejects.toThrow('3 FARs and PDRs refer to it');
    path.uses.clear();
    await protections.delete(1);
    await expect(protections.delete(1)).rejects.toMatchObject({ code: 'not_found' });
    expect((await restarted()).count).toBe(0);
  });
});

describe('new keys', () => {
  it('come beside the old ones, then in their place', async () => {
    await create();
    const bare = (spi: number) => ({
      ...association(spi),
      key: Buffer.alloc(0),
      salt: Buffer.alloc(0),
    });
    const stays = { outbound: [bare(1001), bare(1002)] };
    await update({ ...stays, inbound: [bare(2001), bare(2002), association(2003)] });
    expect(path.protections.get(1)!.inbound.map(({ spi }) => spi)).toEqual([2001, 2002, 2003]);
    path.figures.set('1002 out', { number: 500n });
    const fresh = { outbound: [association(1003), bare(1002)] };
    const { kept } = await update({ ...fresh, inbound: [bare(2003)] });
    expect(kept.revision).toBe(3);
    expect(outbound().map(({ spi, used }) => [spi, used.number])).toEqual([
      [1003, 0n],
      [1002, BLOCK],
    ]);
    await expect(update({ outbound: [association(1004, 1001), bare(1002)] })).rejects.toThrow(
      'has sealed packets before',
    );
  });

  it.each<[string, Partial<ProtectionMessage>, string]>([
    [
      'another key for an SPI',
      { outbound: [association(1001, 9), association(1002)] },
      'outbound[0].spi',
    ],
    ['places changed', { outbound: [association(1002), association(1001)] }, 'outbound[0].spi'],
    [
      'a new SPI without a key',
      { inbound: [{ ...association(2009), key: Buffer.alloc(0), salt: Buffer.alloc(0) }] },
      'inbound[0].key',
    ],
    ['another peer', { peerAddress: '10.0.0.3' }, 'id'],
  ])('refuse %s', async (_, change, field) => {
    await create();
    const before = path.protections.get(1);
    await expect(update(change)).rejects.toMatchObject({ field: `protection.${field}` });
    expect(path.protections.get(1)).toBe(before);
  });

  it('are refused when somebody was faster', async () => {
    await create();
    await expect(update({}, 2n)).rejects.toMatchObject({ code: 'aborted' });
    await update({}, 1n);
  });
});

describe('over the end of a process', () => {
  it('goes on behind all numbers that may have been used', async () => {
    await create();
    path.figures.set('1001 out', { number: 77n });
    protections = await restarted();
    expect(outbound().map(({ used, allowed }) => [used.number, allowed.number])).toEqual([
      [BLOCK, 2n * BLOCK],
      [BLOCK, 2n * BLOCK],
    ]);
    expect(path.keys.get(1001)).toEqual(new Uint8Array(16).fill(1001 & 255));
  });

  it('goes on exactly after an orderly end', async () => {
    await create();
    path.figures.set('1001 out', { number: 77n });
    path.figures.set('2001 in', { number: 88n });
    await protections.close();
    protections = await restarted();
    expect(outbound().map(({ used }) => used.number)).toEqual([77n, 0n]);
    expect(path.protections.get(1)!.inbound.map(({ used }) => used.number)).toEqual([88n, 0n]);
  });

  it('begins no lifetime anew', async () => {
    const lifetime = { softPackets: '10', hardPackets: '12', softBytes: '0', hardBytes: '5000' };
    await create({ lifetime });
    path.figures.set('1001 out', { number: 10n, bytes: 4000n });
    await protections.close();
    protections = await restarted();
    expect(outbound()[0]!.used).toEqual({ number: 10n, bytes: 4000n });
    await restarted();
    const { number, bytes } = outbound()[0]!.used;
    expect(number, 'a crash may have come behind all that was allowed').toBeGreaterThan(12n);
    expect(bytes).toBeGreaterThan(5000n);
  });

  it('loses an eighth of a long lifetime to a crash, and no more', async () => {
    const hard = 2n ** 26n;
    const hardBytes = 2n ** 34n;
    const lifetime = { softPackets: '0', softBytes: '0' };
    await create({ lifetime: { ...lifetime, hardPackets: `${hard}`, hardBytes: `${hardBytes}` } });
    await restarted();
    expect(outbound()[0]!.used).toEqual({ number: hard / 8n, bytes: hardBytes / 8n });
  });

  it('gets further bytes before they run out', async () => {
    await create();
    const { allowed } = outbound()[0]!;
    path.figures.set('1001 out', { number: 1n, bytes: allowed.bytes / 2n + 1n });
    await protections.tick();
    expect(outbound()[0]!.allowed.bytes).toBeGreaterThan(allowed.bytes);
    expect(outbound()[1]!.allowed).toEqual(allowed);
  });

  it('gets further numbers before they run out, and the store knows first', async () => {
    await create();
    path.figures.set('1001 out', { number: BLOCK / 2n + 1n });
    await protections.tick();
    expect(outbound().map(({ allowed }) => allowed.number)).toEqual([2n * BLOCK, BLOCK]);
    await restarted();
    expect(outbound().map(({ used }) => used.number)).toEqual([2n * BLOCK, BLOCK]);
  });

  it('remembers what had come some seconds before', async () => {
    await create();
    path.figures.set('2001 in', { number: 300n });
    for (let second = 0; second < 5; second++) await protections.tick();
    await restarted();
    expect(path.protections.get(1)!.inbound.map(({ used }) => used.number)).toEqual([300n, 0n]);
  });

  it.each<[string, () => void, string]>([
    ['that others may read', () => chmodSync(join(folder, 'node.key'), 0o644), 'chmod 600'],
    ['that is gone', () => rmSync(join(folder, 'node.key')), 'is missing'],
    [
      'of another node',
      () => writeFileSync(join(folder, 'node.key'), Buffer.alloc(16)),
      'is not the key',
    ],
    ['that is none', () => writeFileSync(join(folder, 'node.key'), 'x'), 'has 1 bytes'],
  ])('stops the start with a node key %s', async (_, spoil, text) => {
    await create();
    spoil();
    await expect(restarted()).rejects.toMatchObject({
      code: 'failed_precondition',
      field: 'crypto.nodeKey',
      message: expect.stringContaining(text),
    });
  });
});

describe('events', () => {
  it('tell of lifetimes once, and of rates each second that they last', async () => {
    const lifetime = { softPackets: '5', hardPackets: '10', softBytes: '0', hardBytes: '0' };
    await create({ lifetime });
    const events: ProtectionEvent[] = [];
    const end = protections.watch((event) => events.push(event));
    const kinds = async () => {
      events.length = 0;
      await protections.tick();
      return events.map(({ kind, spi, packets }) => [kind, spi, packets]);
    };
    expect(await kinds()).toEqual([]);
    path.figures.set('1001 out', { packets: 6n, wantsRekeying: true });
    path.figures.set('2001 in', { notGenuine: 10n, replayed: 11n });
    expect(await kinds()).toEqual([
      ['rekeying_wanted', 1001, 0],
      ['replayed', 2001, 11],
    ]);
    path.figures.set('1001 out', { packets: 10n, wantsRekeying: true });
    path.figures.set('2001 in', { notGenuine: 21n, replayed: 12n });
    unknownSpis = 11;
    expect(await kinds()).toEqual([
      ['expired', 1001, 0],
      ['not_genuine', 2001, 11],
      ['unknown_spi', 0, 11],
    ]);
    expect(await kinds()).toEqual([]);
    end();
    unknownSpis = 100;
    expect(await kinds()).toEqual([]);
  });
});
