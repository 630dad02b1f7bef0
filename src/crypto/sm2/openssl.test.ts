/** SM2 and SM3 against the openssl command, where there is one with SM2. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { closePool } from '../pool/pool.js';
import { sm3 } from '../sm3.js';
import { pointOf, scalarOf } from './key-bytes.js';
import { sm2 } from './sm2.js';

const folder = mkdtempSync(join(tmpdir(), 'sluice-sm2-'));
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await closePool();
});

const found = spawnSync('openssl', ['ecparam', '-name', 'SM2', '-noout']).status === 0;
const at = (name: string): string => join(folder, name);
const openssl = (...args: string[]): Buffer =>
  execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });

const ID = 'upf-1@example.org';
const SIGNED = ['-rawin', '-digest', 'sm3', '-pkeyopt', `distid:${ID}`];
const message = Buffer.from('what both have to agree on');
writeFileSync(at('message'), message);

describe.runIf(found)('the openssl command', () => {
  it('and we verify and decrypt each other', async () => {
    openssl('ecparam', '-name', 'SM2', '-genkey', '-noout', '-out', 'key.pem');
    openssl('pkey', '-in', 'key.pem', '-pubout', '-out', 'public.pem');
    const privateKey = sm2.importPrivateKey(readFileSync(at('key.pem')));
    const publicKey = sm2.importPublicKey(readFileSync(at('public.pem')));

    openssl('pkeyutl', '-sign', '-in', 'message', '-inkey', 'key.pem', '-out', 'their', ...SIGNED);
    const their = readFileSync(at('their'));
    expect(await sm2.verify(publicKey, message, their, { id: ID })).toBe(true);
    writeFileSync(at('our'), await sm2.sign(privateKey, message, { id: ID }));
    const verify = ['-verify', '-in', 'message', '-pubin', '-inkey', 'public.pem'];
    const verified = openssl('pkeyutl', ...verify, '-sigfile', 'our', ...SIGNED);
    expect(verified.toString()).toContain('Verified Successfully');

    const encrypt = ['-encrypt', '-in', 'message', '-pubin', '-inkey', 'public.pem'];
    openssl('pkeyutl', ...encrypt, '-out', 'sealed');
    expect(await sm2.decrypt(privateKey, readFileSync(at('sealed')))).toEqual(message);
    writeFileSync(at('sealed'), await sm2.encrypt(publicKey, message));
    expect(openssl('pkeyutl', '-decrypt', '-in', 'sealed', '-inkey', 'key.pem')).toEqual(message);

    const text = openssl('dgst', '-sm3', '-r', 'message').toString();
    expect(text.split(' ')[0]).toBe((await sm3(message)).toString('hex'));
  });

  it('writes keys in several forms, which are all the same ones', async () => {
    openssl('ecparam', '-name', 'SM2', '-genkey', '-noout', '-out', 'plain.pem');
    const plain = sm2.importPrivateKey(readFileSync(at('plain.pem')));
    const signature = await sm2.sign(plain, message);
    const forms = [
      ['-conv_form', 'compressed'],
      ['-conv_form', 'hybrid'],
      ['-param_enc', 'explicit'],
      ['-param_enc', 'explicit', '-conv_form', 'compressed'],
      ['-no_public'],
    ];
    for (const form of forms) {
      const ec = ['ec', '-in', 'plain.pem', ...form];
      openssl(...ec, '-out', 'form.pem');
      openssl('pkcs8', '-topk8', '-nocrypt', '-in', 'form.pem', '-out', 'form.p8');
      for (const file of ['form.pem', 'form.p8']) {
        const privateKey = sm2.importPrivateKey(readFileSync(at(file)));
        expect(scalarOf(privateKey)).toEqual(scalarOf(plain));
        expect(pointOf(privateKey)).toEqual(pointOf(plain));
        const own = await sm2.sign(privateKey, message);
        expect(await sm2.verify(plain, message, own), form.join(' ')).toBe(true);
      }
      if (form[0] === '-no_public') continue;
      openssl(...ec, '-pubout', '-out', 'form.pub');
      const publicKey = sm2.importPublicKey(readFileSync(at('form.pub')));
      expect(await sm2.verify(publicKey, message, signature), form.join(' ')).toBe(true);
      const sealed = await sm2.encrypt(publicKey, message);
      expect(await sm2.decrypt(plain, sealed)).toEqual(message);
    }
  });

  it('writes parameters of other curves, which are refused', () => {
    const other = ['-name', 'P-256', '-genkey', '-noout', '-param_enc', 'explicit'];
    openssl('ecparam', ...other, '-out', 'other.pem');
    openssl('ec', '-in', 'other.pem', '-pubout', '-out', 'other.pub');
    const wrong = 'is no key on the curve SM2';
    expect(() => sm2.importPrivateKey(readFileSync(at('other.pem')))).toThrow(wrong);
    expect(() => sm2.importPublicKey(readFileSync(at('other.pub')))).toThrow(wrong);
  });

  it('makes certificates that we read and check', async () => {
    const { privateKey, publicKey } = await sm2.generateKeys();
    writeFileSync(at('ca.key'), sm2.exportKey(privateKey));
    const request = ['-x509', '-new', '-sm3', '-key', 'ca.key', '-subj', '/CN=Test CA'];
    const sigopt = ['-sigopt', 'distid:1234567812345678'];
    openssl('req', ...request, '-days', '2', '-out', 'ca.pem', ...sigopt);
    const certificate = sm2.readCertificate(readFileSync(at('ca.pem')));
    expect(certificate.subject).toBe('CN=Test CA');
    // The command asks the clock for each of the two.
    const days = (certificate.validTo.getTime() - certificate.validFrom.getTime()) / 86_400_000;
    expect(days).toBeCloseTo(2, 3);
    expect(certificate.isSignedBy(publicKey)).toBe(true);
    expect(certificate.isSignedBy(publicKey, 'another')).toBe(false);
    expect(certificate.isSignedBy((await sm2.generateKeys()).publicKey)).toBe(false);
    const own = sm2.importPublicKey(readFileSync(at('ca.pem')));
    expect(sm2.exportKey(own)).toBe(sm2.exportKey(publicKey));
    expect(() => sm2.readCertificate('nothing')).toThrow('is no certificate');
    const other = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    openssl('req', ...other, '-keyout', 'p256.key', '-subj', '/CN=P', '-out', 'p256.pem');
    expect(() => sm2.readCertificate(readFileSync(at('p256.pem')))).toThrow('curve SM2');
  });
});
