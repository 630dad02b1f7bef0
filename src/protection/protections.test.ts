import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryStore } from '../store/memory.js';
import { type AssociationMessage, askedProtection, type ProtectionMessage } from './protection.js';
import { association, message, PORTS, ProtectingNode, WORKERS } from './protections.fixture.js';

const BLOCK = 2n ** 24n;

let node: ProtectingNode;

beforeEach(() => {
  node = new ProtectingNode();
});
afterEach(() => node.end());

describe('a protection', () => {
  it('comes into the packet path with its keys, and is shown without', async () => {
    const { kept } = await node.create();
    expect(node.path.keys.get(1001)).toEqual(new Uint8Array(16).fill(1001 & 255));
    expect(node.path.keys.get(2002)).toEqual(new Uint8Array(16).fill(2002 & 255));
    expect(node.outbound().map(({ used, allowed }) => [used.number, allowed.number])).toEqual([
      [0n, BLOCK],
      [0n, BLOCK],
    ]);
    expect(kept.terms.window).toBe(1024);
    const texts = [...node.contents.meta.values()].map((value) => Buffer.from(value));
    const key = Buffer.alloc(16, 1001 & 255);
    for (const text of texts) {
      expect(text.includes(key)).toBe(false);
      expect(text.includes(key.toString('base64').slice(0, 16))).toBe(false);
    }
    expect(statSync(join(node.folder, 'node.key')).mode & 0o777).toBe(0o600);
  });

  it('is made once: the same again is no error, another content is', async () => {
    await node.create();
    expect((await node.create()).kept.revision).toBe(1);
    await expect(
      node.create({ outbound: [association(1001, 7), association(1002)] }),
    ).rejects.toThrow('another protection has this ID');
    await expect(node.create({ peerAddress: '10.0.0.3' })).rejects.toMatchObject({
      code: 'already_exists',
      field: 'protection.id',
    });
  });

  it.each<[string, Partial<ProtectionMessage>, string, string]>([
    ['an ID beyond all', { id: 16_385 }, 'id', 'from 1 to 16384'],
    ['no ID', { id: 0 }, 'id', 'from 1 to 16384'],
    ['an unknown suite', { suite: 'AES' }, 'suite', 'must be one of PROTECTION_SUITE_SM4_GCM_16'],
    ['a missing peer', { peerAddress: '' }, 'peer_address', 'an IPv4 or IPv6 address'],
    ['a zone', { localAddress: 'fe80::1%lo' }, 'local_address', 'without a zone'],
    ['any local address', { localAddress: '0.0.0.0' }, 'local_address', 'of one host'],
    ['any peer', { peerAddress: '0.0.0.0' }, 'peer_address', 'of one host'],
    ['a group', { peerAddress: '224.0.0.1' }, 'peer_address', 'of one host'],
    ['all hosts', { peerAddress: '255.255.255.255' }, 'peer_address', 'of one host'],
    ['no IPv6 host', { localAddress: '0::0' }, 'local_address', 'of one host'],
    ['an IPv6 group', { localAddress: 'ff02::1' }, 'local_address', 'of one host'],
    ['itself as peer', { peerAddress: '10.0.0.1' }, 'peer_address', 'another one'],
    [
      'itself otherwise written',
      { localAddress: 'fd00::a', peerAddress: 'FD00:0::000A' },
      'peer_address',
      'another one',
    ],
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

  it('tells the packet path by which ports it leaves, after a restart too', async () => {
    await node.create();
    expect(node.path.protections.get(1)?.ports).toBe(PORTS);
    await node.restarted();
    expect(node.path.protections.get(1)?.ports).toBe(PORTS);
  });

  it('refuses what no port carries', async () => {
    await expect(node.create({ localAddress: '10.9.9.9' })).rejects.toMatchObject({
      code: 'failed_precondition',
      field: 'protection.local_address',
    });
    expect(node.path.protections.size).toBe(0);
  });

  it('refuses a key that would seal two sequences of packets', async () => {
    const twice = { outbound: [association(1001), association(1002, 1001)] };
    await expect(node.create(twice)).rejects.toMatchObject({ field: 'protection.outbound[1].key' });
    const same = { inbound: [association(2001, 1001)] };
    await expect(node.create(same)).rejects.toMatchObject({ field: 'protection.inbound[0].key' });
    await node.create();
    const other = { id: 2, inbound: [association(3001)] };
    await expect(node.create(other)).rejects.toMatchObject({ field: 'protection.outbound[0].key' });
    const shared = {
      id: 2,
      outbound: [association(11), association(12)].map((a, i) => ({ ...a, spi: 5001 + i })),
    };
    await expect(node.create(shared)).rejects.toMatchObject({
      code: 'already_exists',
      field: 'protection.inbound[0].spi',
    });
    await node.protections.delete(1);
    await expect(node.create()).rejects.toThrow('has sealed packets before: give a fresh key');
    expect(node.path.protections.size).toBe(0);
    await expect(node.create({}, await node.restarted())).rejects.toThrow(
      'has sealed packets before',
    );
  });

  it('refuses a key whose packets came before: they would be taken again', async () => {
    await node.create();
    await node.update({ inbound: [association(2001)] });
    const again = { inbound: [association(2001), association(2002)] };
    const refusal = {
      field: 'protection.inbound[1].key',
      message: 'has sealed packets before: give a fresh key',
    };
    await expect(node.update(again)).rejects.toMatchObject(refusal);
    node.protections = await node.restarted();
    await expect(node.update(again)).rejects.toMatchObject(refusal);
    await node.protections.delete(1);
    const outbound = [association(1011), association(1012)];
    await expect(node.create({ ...again, outbound })).rejects.toMatchObject({
      ...refusal,
      field: 'protection.inbound[0].key',
    });
    await node.create({ outbound, inbound: [association(2011)] });
  });

  it('refuses a key that another association has, whichever way', async () => {
    await node.create();
    const fresh = { id: 2, outbound: [association(3001), association(3002)], inbound: [] };
    const inbound = [association(4001, 2001)];
    await expect(node.create({ ...fresh, inbound })).rejects.toMatchObject({
      field: 'protection.inbound[0].key',
    });
    const outbound = [association(3001, 2001), association(3002)];
    await expect(node.create({ ...fresh, outbound })).rejects.toMatchObject({
      field: 'protection.outbound[0].key',
    });
  });

  it.each(['salt', 'authenticationKey'] as const)('knows a key under another %s', async (part) => {
    const suite = part === 'salt' ? undefined : 'PROTECTION_SUITE_SM4_CBC_HMAC_SM3_256';
    const keyed = (spi: number, key: number, other: number): AssociationMessage => ({
      ...association(spi, key),
      salt: Buffer.alloc(0),
      [part]: Buffer.alloc(part === 'salt' ? 4 : 32, other),
    });
    const asked = (id: number, other: number) => ({
      ...{ id, ...(suite && { suite }), inbound: [] },
      outbound: [keyed(1001, 1, other), keyed(1002, 2, other)],
    });
    await node.create(asked(1, 7));
    const refused = { field: 'protection.outbound[0].key' };
    await expect(node.create(asked(2, 8))).rejects.toMatchObject(refused);
    await expect(node.create(asked(1, 8))).rejects.toMatchObject({ code: 'already_exists' });
    await node.protections.delete(1);
    await expect(node.create(asked(1, 8))).rejects.toMatchObject(refused);
  });

  it('knows keys that were stored without a digest of their own', async () => {
    await node.create();
    const stored = Buffer.from(node.contents.meta.get('protection.1')!).toString();
    const former = stored.replaceAll(/,"keyDigest":"[^"]*"/g, '');
    expect(former).not.toBe(stored);
    node.contents.meta.set('protection.1', Buffer.from(former));
    node.protections = await node.restarted();
    const other = { ...association(3001, 1001), salt: Buffer.alloc(4) };
    const asked = { id: 2, outbound: [other, association(3002)], inbound: [] };
    await expect(node.create(asked)).rejects.toMatchObject({ field: 'protection.outbound[0].key' });
    // A list of what was retired then has hashes of whole secrets.
    const digest = /"digest":"([^"]*)"/.exec(former)![1];
    const list = JSON.stringify({ ids: [], retired: [digest] });
    node.contents.meta.set('protections', Buffer.from(list));
    node.protections = await node.restarted();
    await expect(node.create()).rejects.toThrow('has sealed packets before: give a fresh key');
  });

  it('is not there when the store fails', async () => {
    const store = new MemoryStore(node.contents);
    store.failCommits = 1;
    node.protections = node.open(store);
    await expect(node.create()).rejects.toThrow();
    expect(node.protections.count).toBe(0);
    expect(node.path.protections.size).toBe(0);
    await node.create();
  });

  it('is not in the store when the packet path has no room for it', async () => {
    const refusal = { message: 'at most 32768 inbound associations in all', field: 'inbound' };
    node.path.refuseNext = refusal;
    await expect(node.create()).rejects.toMatchObject({
      code: 'resource_exhausted',
      field: 'protection.inbound',
    });
    expect((await node.restarted()).count).toBe(0);
    node.protections = node.open();
    await node.create();
    node.path.refuseNext = refusal;
    const more = [association(2001), association(2002), association(2003)];
    await expect(node.update({ inbound: more })).rejects.toThrow('at most 32768');
    expect(node.protections.get(1).kept.revision).toBe(1);
    node.protections = await node.restarted();
    expect(node.path.protections.get(1)!.inbound.map(({ spi }) => spi)).toEqual([2001, 2002]);
    await node.update({ inbound: more });
  });

  it('stays while rules refer to it', async () => {
    await node.create();
    node.path.uses.set(1, 3);
    await expect(node.protections.delete(1)).rejects.toThrow('3 FARs and PDRs refer to it');
    node.path.uses.clear();
    await node.protections.delete(1);
    await expect(node.protections.delete(1)).rejects.toMatchObject({ code: 'not_found' });
    expect((await node.restarted()).count).toBe(0);
  });
});

describe('new keys', () => {
  it('come beside the old ones, then in their place', async () => {
    await node.create();
    const bare = (spi: number) => ({
      ...association(spi),
      key: Buffer.alloc(0),
      salt: Buffer.alloc(0),
    });
    const stays = { outbound: [bare(1001), bare(1002)] };
    await node.update({ ...stays, inbound: [bare(2001), bare(2002), association(2003)] });
    expect(node.path.protections.get(1)!.inbound.map(({ spi }) => spi)).toEqual([2001, 2002, 2003]);
    node.path.figures.set('1002 out', { number: 500n });
    const fresh = { outbound: [association(1003), bare(1002)] };
    const { kept } = await node.update({ ...fresh, inbound: [bare(2003)] });
    expect(kept.revision).toBe(3);
    expect(node.outbound().map(({ spi, used }) => [spi, used.number])).toEqual([
      [1003, 0n],
      [1002, BLOCK],
    ]);
    await expect(node.update({ outbound: [association(1004, 1001), bare(1002)] })).rejects.toThrow(
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
    await node.create();
    const before = node.path.protections.get(1);
    await expect(node.update(change)).rejects.toMatchObject({ field: `protection.${field}` });
    expect(node.path.protections.get(1)).toBe(before);
  });

  it('are refused when somebody was faster', async () => {
    await node.create();
    await expect(node.update({}, 2n)).rejects.toMatchObject({ code: 'aborted' });
    await node.update({}, 1n);
  });
});
