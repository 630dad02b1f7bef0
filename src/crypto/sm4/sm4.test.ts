import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import { closePool } from '../pool/pool.js';
import type { Source } from '../pool/source.js';
import { sm4Gcm } from './gcm.js';

afterAll(closePool);

const CHUNK = 65_536;
const SEALED_CHUNK = CHUNK + 16;
const HEAD = 60;
const key = Buffer.from('0123456789abcdeffedcba9876543210', 'hex');
const message = Buffer.alloc(20 * CHUNK + 5);
for (let i = 0; i < message.length; i++) message[i] = (i ^ (i >> 8) ^ (i >> 16)) & 0xff;

async function gathered(parts: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const part of parts) all.push(part);
  return Buffer.concat(all);
}
const seal = (source: Source, context?: Buffer): Promise<Buffer> =>
  gathered(sm4Gcm.sealStream(key, source, { context }));
const open = (source: Source, context?: Buffer): Promise<Buffer> =>
  gathered(sm4Gcm.openStream(key, source, { context }));
async function* parts(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('messages', () => {
  it.each([0, 1, 1000, 65_536, 65_537, message.length])('of %i bytes', async (length) => {
    const plain = message.subarray(0, length);
    const aad = Buffer.from('the name of it');
    const sealed = await sm4Gcm.seal(key, plain, { aad });
    expect(sealed.length).toBe(length + 28);
    expect((await sm4Gcm.open(key, sealed, { aad })).equals(plain)).toBe(true);
    expect((await sm4Gcm.seal(key, plain, { aad })).equals(sealed)).toBe(false);
    const refused = /is damaged, or sealed with another key/;
    await expect(sm4Gcm.open(key, sealed)).rejects.toThrow(refused);
    await expect(sm4Gcm.open(randomBytes(16), sealed, { aad })).rejects.toThrow(refused);
    await expect(sm4Gcm.open(key, sealed.subarray(1), { aad })).rejects.toThrow(refused);
    sealed[sealed.length - 1]! ^= 1;
    await expect(sm4Gcm.open(key, sealed, { aad })).rejects.toThrow(refused);
  });

  it('refuses keys of other lengths and what is no message', async () => {
    await expect(sm4Gcm.seal(Buffer.alloc(32), message)).rejects.toMatchObject({ field: 'key' });
    await expect(sm4Gcm.open(key, Buffer.alloc(27))).rejects.toMatchObject({ field: 'sealed' });
  });

  it('leaves the key and the message of the caller alone', async () => {
    const own = Buffer.from(key);
    const before = Buffer.from(message);
    await sm4Gcm.open(own, await sm4Gcm.seal(own, message));
    await gathered(sm4Gcm.sealStream(own, message));
    expect([own.equals(key), message.equals(before)]).toEqual([true, true]);
  });
});

describe('streams', () => {
  const lengths = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 16 * CHUNK, message.length];
  it.each(lengths)('of %i bytes come back, however they are cut', async (length) => {
    const plain = message.subarray(0, length);
    const sealed = await seal(parts(plain, 50_021));
    const chunks = Math.max(1, Math.ceil(length / CHUNK));
    expect(sealed.length).toBe(HEAD + length + 16 * chunks);
    expect((await open(sealed)).equals(plain)).toBe(true);
    expect((await open(Readable.from(parts(sealed, 4099)))).equals(plain)).toBe(true);
  });

  it('are as docs/SM4.md says, put together from node:crypto', async () => {
    const plain = message.subarray(0, CHUNK + 100);
    const sealed = await seal(plain, Buffer.from('a context'));
    const head = sealed.subarray(0, HEAD);
    expect(head.subarray(0, 12).toString('latin1')).toBe('SLSEALED\x01\x01\x10\x00');
    const extracted = createHmac('sm3', head.subarray(12, 44)).update(key).digest();
    const info = Buffer.concat([Buffer.from('sluice sealed stream'), head.subarray(0, 12)]);
    const derived = createHmac('sm3', extracted)
      .update(Buffer.concat([info, Buffer.from('a context'), Buffer.from([1])]))
      .digest();
    expect(head.subarray(44)).toEqual(derived.subarray(16));
    const decrypted = [0, 1].map((number) => {
      const counter = Buffer.alloc(16);
      counter.writeUInt32BE(number, 7);
      counter[11] = number === 1 ? 1 : 0;
      counter[15] = 2;
      const start = HEAD + number * SEALED_CHUNK;
      const end = number === 0 ? start + CHUNK : sealed.length - 16;
      return createCipheriv('sm4-ctr', derived.subarray(0, 16), counter).update(
        sealed.subarray(start, end),
      );
    });
    expect(Buffer.concat(decrypted).equals(plain)).toBe(true);
  });

  it('tell what was changed', async () => {
    const sealed = await seal(message.subarray(0, 3 * CHUNK), Buffer.from('name'));
    const changed = (change: (bytes: Buffer) => Buffer): Promise<Buffer> =>
      open(change(Buffer.from(sealed)), Buffer.from('name'));
    const chunk = (i: number): Buffer =>
      sealed.subarray(HEAD + i * SEALED_CHUNK, HEAD + (i + 1) * SEALED_CHUNK);
    const flip = (at: number) => (bytes: Buffer) => {
      bytes[at]! ^= 1;
      return bytes;
    };
    const head = sealed.subarray(0, HEAD);
    const broken = (i: number): string => `in the chunk at byte ${HEAD + i * SEALED_CHUNK}`;
    const cases: [(bytes: Buffer) => Buffer, string][] = [
      [flip(0), 'is not sealed by Sluice'],
      [flip(8), 'is of version 0; this program reads 1'],
      [flip(10), 'has a head that version 1 does not have'],
      [flip(20), 'is sealed with another key, or its head is damaged'],
      [flip(59), 'is sealed with another key, or its head is damaged'],
      [flip(HEAD), broken(0)],
      [flip(HEAD + SEALED_CHUNK + 7), broken(1)],
      [flip(sealed.length - 1), broken(2)],
      [(bytes) => bytes.subarray(0, 30), 'is not sealed by Sluice'],
      [(bytes) => bytes.subarray(0, HEAD), broken(0)],
      [(bytes) => bytes.subarray(0, HEAD + 2 * SEALED_CHUNK), broken(1)],
      [(bytes) => bytes.subarray(0, HEAD + 2 * SEALED_CHUNK + 3), broken(2)],
      [(bytes) => bytes.subarray(0, bytes.length - 1), broken(2)],
      [(bytes) => Buffer.concat([bytes, Buffer.from('x')]), broken(3)],
      [() => Buffer.concat([head, chunk(1), chunk(0), chunk(2)]), broken(0)],
      [() => Buffer.concat([head, chunk(0), chunk(2)]), broken(1)],
      [() => Buffer.concat([head, chunk(0), chunk(1), chunk(1), chunk(2)]), broken(2)],
    ];
    for (const [change, complaint] of cases)
      await expect(changed(change)).rejects.toThrow(complaint);
    await expect(open(sealed, Buffer.from('other'))).rejects.toThrow('another key');
    const other = gathered(sm4Gcm.openStream(randomBytes(16), sealed));
    await expect(other).rejects.toThrow('another key');
  });

  it('are read no faster than they are taken, and end with the reader', async () => {
    let read = 0;
    let ended = false;
    const source = (async function* () {
      try {
        for (;;) {
          read += 1;
          yield Buffer.alloc(16 * CHUNK);
        }
      } finally {
        ended = true;
      }
    })();
    const sealed = sm4Gcm.sealStream(key, source);
    await sealed.next();
    await sealed.next();
    expect(read).toBeLessThanOrEqual(6);
    await sealed.return(undefined);
    expect(ended).toBe(true);
  });

  it('end with the signal, and fail with their source', async () => {
    const stop = new AbortController();
    const reason = new Error('no longer wanted');
    const hanging = new Readable({ read() {} });
    const opened = gathered(sm4Gcm.openStream(key, hanging, { signal: stop.signal }));
    stop.abort(reason);
    await expect(opened).rejects.toBe(reason);
    const broken = (async function* () {
      yield Buffer.alloc(40 * CHUNK);
      throw new Error('the disk is gone');
    })();
    await expect(seal(broken)).rejects.toThrow('the disk is gone');
  });
});
