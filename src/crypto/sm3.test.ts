import { createHash, createHmac } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterAll, expect, it } from 'vitest';
import { nativeCrypto } from './native.js';
import { closePool } from './pool/pool.js';
import { hmacSm3, sm3 } from './sm3.js';
import { absorbSm3, finishSm3, startSm3 } from './sm3-state.js';

afterAll(closePool);

const CHUNK = 256 * 1024;
const message = Buffer.alloc(3 * CHUNK + 77, 0);
for (let i = 0; i < message.length; i++) message[i] = (i * 7 + (i >> 9)) & 0xff;
const key = Buffer.from('a key of some length');
const sizes = [0, 1, 55, 64, 16_384, 16_385, CHUNK - 1, CHUNK, CHUNK + 1, message.length];

async function* parts(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

it('is what OpenSSL says, of bytes and of streams', async () => {
  for (const size of sizes) {
    const bytes = message.subarray(0, size);
    const digest = createHash('sm3').update(bytes).digest();
    const code = createHmac('sm3', key).update(bytes).digest();
    expect(await sm3(bytes)).toEqual(digest);
    expect(await hmacSm3(key, bytes)).toEqual(code);
    expect(await sm3(parts(bytes, 65_521))).toEqual(digest);
    expect(await hmacSm3(key, Readable.from(parts(bytes, 1 + (size >> 2))))).toEqual(code);
  }
  expect(await sm3(new Uint8Array(new SharedArrayBuffer(CHUNK * 2)))).toEqual(
    createHash('sm3')
      .update(Buffer.alloc(CHUNK * 2))
      .digest(),
  );
});

it('is the same in every tier', () => {
  const whole = message.subarray(0, 64 * 40);
  for (const tier of nativeCrypto().tiers()) {
    const digest = finishSm3(absorbSm3(startSm3(key), whole, tier), Buffer.from('abc'), tier);
    expect(digest).toEqual(createHmac('sm3', key).update(whole).update('abc').digest());
  }
});

it('leaves the memory of the caller alone', async () => {
  const before = Buffer.from(message);
  await Promise.all([sm3(message), sm3(message), hmacSm3(key, message)]);
  expect(message.equals(before)).toBe(true);
});

it('reads a stream no further than two chunks ahead', async () => {
  let read = 0;
  const reason = new Error('enough');
  const stop = new AbortController();
  const source = (async function* () {
    for (;;) {
      read += 1;
      if (read === 5) stop.abort(reason);
      yield Buffer.alloc(CHUNK);
    }
  })();
  await expect(sm3(source, { signal: stop.signal })).rejects.toBe(reason);
  expect(read).toBeLessThanOrEqual(7);
});

it('ends with the reason of its signal, also while a stream hangs', async () => {
  const stop = new AbortController();
  const reason = new Error('no longer wanted');
  const hanging = new Readable({ read() {} });
  const digest = sm3(hanging, { signal: stop.signal });
  stop.abort(reason);
  await expect(digest).rejects.toBe(reason);
  await expect(sm3(message, { signal: stop.signal })).rejects.toBe(reason);
});

it('fails as its stream does, and refuses what is no bytes', async () => {
  const broken = (async function* () {
    yield Buffer.alloc(CHUNK * 2);
    throw new Error('the disk is gone');
  })();
  await expect(sm3(broken)).rejects.toThrow('the disk is gone');
  const text = Readable.from(['text'], { encoding: 'utf8' });
  await expect(sm3(text)).rejects.toThrow(/has to bring bytes, but brought text/);
  await expect(hmacSm3(Buffer.alloc(0), message)).rejects.toMatchObject({ field: 'key' });
});
