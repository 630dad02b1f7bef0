import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import { closePool } from '../pool/pool.js';
import { readSequence, unsignedOf, writeDer, writeUnsigned } from './der.js';
import { decryptNow, encryptNow } from './encryption.js';
import { pointOf, privateKeyOf, scalarOf } from './key-bytes.js';
import { verifyNow } from './signature.js';
import { sm2 } from './sm2.js';

afterAll(closePool);

const SM2_PRIME = '0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF';
const vectors = (file: string): string =>
  readFileSync(`test/vectors/crypto/${file}`, 'utf8').replace(/^#.*$/gm, '');
const hex = (text = ''): Buffer => Buffer.from(text.replace(/^0x/, ''), 'hex');

type Fields = Record<string, string>;

/** Vectors of Botan's: a field stays for those that follow until it is set again. */
function botanVectors(file: string, last: string): Fields[] {
  const current: Fields = {};
  return vectors(`botan/${file}`)
    .split('\n')
    .flatMap((line) => {
      const [, name, value] = /^(\w+) *= *(.*)$/.exec(line) ?? [];
      if (name === undefined) return [];
      current[name] = value ?? '';
      return name === last ? [{ ...current }] : [];
    });
}

const rs = (signature: Buffer): Buffer =>
  writeDer(
    0x30,
    writeUnsigned(signature.subarray(0, 32)),
    writeUnsigned(signature.subarray(32, 64)),
  );

const message = Buffer.alloc(700_000, 'a message in several parts; ');
async function* parts(): AsyncGenerator<Buffer> {
  for (let at = 0; at < message.length; at += 60_001) yield message.subarray(at, at + 60_001);
}

describe('vectors', () => {
  it("verifies Botan's signatures on the curve, with their IDs", () => {
    const all = botanVectors('sm2_sig.vec', 'Signature');
    // The others are of other curves or digests, which this API does not have.
    const ours = all.filter(({ P, Hash }) => P === SM2_PRIME && Hash === 'SM3');
    expect([all.length, ours.length]).toEqual([7, 1]);
    const encrypted = botanVectors('sm2_enc.vec', 'Ciphertext');
    expect(encrypted.map(({ P }) => P === SM2_PRIME)).toEqual([false, false, false, false, false]);
    for (const { x, Msg, Ident, Signature } of ours) {
      const key = createPublicKey(privateKeyOf(hex(x)));
      expect(verifyNow(key, hex(Msg), rs(hex(Signature)), Ident)).toBe(true);
      expect(verifyNow(key, hex(Msg), rs(hex(Signature)))).toBe(false);
    }
  });

  it("refuses all of Botan's invalid ciphertexts alike", () => {
    const invalid = botanVectors('sm2_invalid.vec', 'Ctext');
    expect(invalid.length).toBe(20);
    for (const { Key, Ctext } of invalid) {
      expect(() => decryptNow(privateKeyOf(hex(Key)), hex(Ctext))).toThrow(
        'cannot be decrypted with this key',
      );
    }
  });

  it("decrypts OpenSSL's", () => {
    const text = vectors('openssl/evppkey_sm2.txt');
    const key = sm2.importPrivateKey(/-----BEGIN[\s\S]+?END PRIVATE KEY-----/.exec(text)![0]);
    const decrypted = [
      ...text.matchAll(
        /^Decrypt = SM2_key1\n(?:Ctrl = digest:SM3\n)?Input = (.*)\nOutput = "(.*)"/gm,
      ),
    ];
    expect(decrypted.length).toBe(4);
    for (const [, input, output] of decrypted) {
      expect(decryptNow(key, hex(input)).toString()).toBe(output);
    }
  });

  it("has the key under which OpenSSL's signatures verify", () => {
    const text = vectors('openssl/evppkey_sm2.txt');
    const key = sm2.importPrivateKey(/-----BEGIN[\s\S]+?END PRIVATE KEY-----/.exec(text)![0]);
    const signed = [
      ...text.matchAll(/^Verify = SM2_key1\nCtrl = digest:SM3\nInput = (.*)\nOutput = (.*)/gm),
    ];
    expect(signed.length).toBe(2);
    // They are of digests, and this API, which always has the identity in front, takes none.
    const { sm2: other } = createRequire(import.meta.url)('sm-crypto-v2');
    for (const [, digest = '', signature = ''] of signed) {
      const verify = (of: string): boolean =>
        other.doVerifySignature(hex(of), signature.toLowerCase(), pointOf(key).toString('hex'), {
          der: true,
        });
      expect(verify(digest)).toBe(true);
      expect(verify(digest.replace(/^../, '00'))).toBe(false);
    }
  });
});

describe('keys', () => {
  it('go out as PEM and come back, encrypted too', async () => {
    const { privateKey, publicKey } = await sm2.generateKeys();
    const pem = sm2.exportKey(privateKey, { passphrase: 'secret' });
    expect(pem).toContain('BEGIN ENCRYPTED PRIVATE KEY');
    const read = sm2.importPrivateKey(pem, { passphrase: 'secret' });
    expect(sm2.exportKey(read)).toBe(sm2.exportKey(privateKey));
    const again = sm2.importPublicKey(sm2.exportKey(publicKey));
    expect(pointOf(again)).toEqual(pointOf(privateKey));
    expect(() => sm2.importPrivateKey(pem)).toThrow('a passphrase is needed');
    expect(() => sm2.importPrivateKey(pem, { passphrase: 'other' })).toThrow(
      'is no PEM of a private key with this passphrase',
    );
  });

  it('of another kind are refused with what is wrong', async () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = other.privateKey.export({ type: 'pkcs8', format: 'pem' });
    const { privateKey, publicKey } = await sm2.generateKeys();
    expect(() => sm2.importPrivateKey(pem)).toThrow('no key on the curve SM2');
    expect(() => sm2.importPrivateKey('hello')).toThrow('is no PEM of a private key');
    expect(() => sm2.importPublicKey(sm2.exportKey(privateKey))).toThrow('is a private key');
    await expect(sm2.sign(publicKey, message)).rejects.toThrow(/private|public/);
    await expect(sm2.sign(other.privateKey, message)).rejects.toThrow('no key on the curve SM2');
  });
});

describe('signatures', () => {
  it('are of the message, the key and the identity, in memory and in streams', async () => {
    const { privateKey, publicKey } = await sm2.generateKeys();
    const id = 'upf-1@example.org';
    const signature = await sm2.sign(privateKey, parts(), { id });
    expect(await sm2.verify(publicKey, message, signature, { id })).toBe(true);
    expect(await sm2.verify(publicKey, Readable.from(parts()), signature, { id })).toBe(true);
    expect(await sm2.verify(publicKey, message, signature)).toBe(false);
    expect(await sm2.verify(publicKey, message.subarray(1), signature, { id })).toBe(false);
    const [r, s] = readSequence(signature, [2, 2])!;
    expect([unsignedOf(r!, 32)?.length, unsignedOf(s!, 32)?.length]).toEqual([32, 32]);
    expect(await sm2.verify(publicKey, message, Buffer.from('no signature'), { id })).toBe(false);
    const other = await sm2.generateKeys();
    expect(await sm2.verify(other.publicKey, message, signature, { id })).toBe(false);
  });

  it('sign by SM2 also with a key that node:crypto has just made', async () => {
    const fresh = generateKeyPairSync('ec', { namedCurve: 'SM2' });
    const signature = await sm2.sign(fresh.privateKey, message);
    const publicKey = sm2.importPublicKey(sm2.exportKey(fresh.publicKey));
    expect(await sm2.verify(publicKey, message, signature)).toBe(true);
    expect(await sm2.verify(fresh.publicKey, message, signature)).toBe(true);
  });

  it('end with the signal, and fail with the stream', async () => {
    const { privateKey } = await sm2.generateKeys();
    const stop = new AbortController();
    const reason = new Error('no longer wanted');
    const signing = sm2.sign(privateKey, new Readable({ read() {} }), { signal: stop.signal });
    stop.abort(reason);
    await expect(signing).rejects.toBe(reason);
    const broken = (async function* () {
      yield* parts();
      throw new Error('the disk is gone');
    })();
    await expect(sm2.sign(privateKey, broken)).rejects.toThrow('the disk is gone');
    await expect(sm2.sign(privateKey, message, { id: 'x'.repeat(8192) })).rejects.toMatchObject({
      field: 'id',
    });
  });
});

describe('encryption', () => {
  const lengths = [1, 1, 1, 2, 31, 32, 33, 1000];

  it('brings back each message, and never shows it', async () => {
    const { privateKey, publicKey } = await sm2.generateKeys();
    for (const length of lengths) {
      const secret = createHash('shake256', { outputLength: length }).update('s').digest();
      const sealed = await sm2.encrypt(publicKey, secret);
      expect(sealed.includes(secret) && length > 2).toBe(false);
      expect(await sm2.decrypt(privateKey, sealed)).toEqual(secret);
    }
  });

  it('is understood by sm-crypto-v2, and understands it', async () => {
    const { sm2: other } = createRequire(import.meta.url)('sm-crypto-v2');
    const { privateKey, publicKey } = await sm2.generateKeys();
    const scalar = scalarOf(privateKey).toString('hex');
    const point = pointOf(publicKey).toString('hex');
    for (let i = 0; i < 8; i++) {
      const secret = Buffer.from([i, 2, 3]);
      const sealed = encryptNow(publicKey, secret).toString('hex');
      const opened = other.doDecrypt(sealed, scalar, 1, { output: 'array', asn1: true });
      expect(Buffer.from(opened)).toEqual(secret);
      const theirs = Buffer.from(other.doEncrypt(secret, point, 1, { asn1: true }), 'hex');
      expect(decryptNow(privateKey, theirs)).toEqual(secret);
    }
  });

  it('refuses what was changed, other keys, and lengths that SM2 is not for', async () => {
    const { privateKey, publicKey } = await sm2.generateKeys();
    const sealed = await sm2.encrypt(publicKey, Buffer.from('a secret'));
    const flipped = Buffer.from(sealed);
    flipped[flipped.length - 1]! ^= 1;
    const other: KeyObject = (await sm2.generateKeys()).privateKey;
    for (const [key, bytes] of [
      [privateKey, flipped],
      [other, sealed],
      [privateKey, sealed.subarray(1)],
    ] as const) {
      await expect(sm2.decrypt(key, bytes)).rejects.toThrow('cannot be decrypted with this key');
    }
    await expect(sm2.encrypt(publicKey, Buffer.alloc(0))).rejects.toMatchObject({
      field: 'message',
    });
    await expect(sm2.encrypt(publicKey, Buffer.alloc(65_537))).rejects.toMatchObject({
      field: 'message',
    });
  });
});
