/** `sluice crypto` as people and programs see it. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catchOutput } from '../cli.fixture.js';
import { run } from '../program.js';

const folder = mkdtempSync(join(tmpdir(), 'sluice-crypto-'));
const at = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));
const written = catchOutput();
const crypto = (...args: string[]): Promise<number> => run(['crypto', ...args]);
const mode = (name: string): number => statSync(at(name)).mode & 0o777;

beforeAll(() => {
  writeFileSync(at('report'), 'some numbers');
  writeFileSync(at('phrase'), 'a passphrase\n', { mode: 0o600 });
});

describe('keys and signatures', () => {
  it('are made, and checked by the public key', async () => {
    expect(await crypto('keygen', 'sm2', '-o', at('a.pem'))).toBe(0);
    expect([mode('a.pem'), mode('a.pem.pub')]).toEqual([0o600, 0o644]);
    expect(await crypto('sign', at('report'), '--key', at('a.pem'), '--id', 'me')).toBe(0);
    expect(readFileSync(at('report.sig'))[0]).toBe(0x30);
    const verify = ['verify', at('report'), '--key', at('a.pem.pub')];
    expect(await crypto(...verify, '--id', 'me')).toBe(0);
    expect(written.out).toMatch(/the signature is good\n$/);
    expect(await crypto(...verify)).toBe(1);
    expect(written.err).toContain('is no signature of');
    written.out = '';
    expect(await crypto(...verify, '--id', 'me', '--json')).toBe(0);
    expect(JSON.parse(written.out)).toEqual({ verified: true });
  });

  it('have keys with a passphrase, too', async () => {
    const phrase = ['--passphrase-file', at('phrase')];
    expect(await crypto('keygen', 'sm2', '-o', at('b.pem'), ...phrase)).toBe(0);
    const sign = ['sign', at('report'), '--key', at('b.pem'), '-o', at('b.sig')];
    expect(await crypto(...sign)).toBe(1);
    expect(written.err).toContain('is encrypted; a passphrase is needed');
    expect(await crypto(...sign, ...phrase)).toBe(0);
    const verify = ['verify', at('report'), '--key', at('b.pem.pub'), '--signature', at('b.sig')];
    expect(await crypto(...verify)).toBe(0);
  });
});

describe('sealed files', () => {
  const seal = (...args: string[]): Promise<number> =>
    crypto('seal', ...args, '--key-file', at('node.key'));
  const open = (...args: string[]): Promise<number> =>
    crypto('open', ...args, '--key-file', at('node.key'));

  it('open again, unless something was changed', async () => {
    expect(await crypto('keygen', 'sm4', '-o', at('node.key'))).toBe(0);
    expect(mode('node.key')).toBe(0o600);
    writeFileSync(at('usage'), Buffer.alloc(200_000, 'usage '));
    expect(await seal(at('usage'))).toBe(0);
    expect(await open(at('usage.sealed'), '-o', at('again'))).toBe(0);
    expect(readFileSync(at('again')).equals(readFileSync(at('usage')))).toBe(true);
    expect(await open(at('usage.sealed'))).toBe(1);
    expect(written.err).toContain('usage is there already');
    const sealed = readFileSync(at('usage.sealed'));
    writeFileSync(at('cut.sealed'), sealed.subarray(0, 60 + 65_552));
    expect(await open(at('cut.sealed'))).toBe(1);
    expect(written.err).toMatch(/cut\.sealed is damaged, cut off .* in the chunk at byte 60\n/);
    expect(await open(at('usage'), '-o', at('other'))).toBe(1);
    expect(written.err).toContain('usage is not sealed by Sluice');
    const left = readdirSync(folder).filter((name) => /cut$|other|part/.test(name));
    expect(left).toEqual([]);
  });

  it('are not said to be whole to a reader that stops before the end', () => {
    // The first chunks of it hold.
    writeFileSync(at('long'), Buffer.alloc(8_000_000));
    const of = (command: string): string =>
      execFileSync('bash', ['-c', `${command}; echo \${PIPESTATUS[0]}`], { encoding: 'latin1' });
    const key = `--key-file ${at('node.key')}`;
    of(`bin/sluice crypto seal ${at('long')} ${key} && truncate -s -1 ${at('long.sealed')}`);
    const open = `bin/sluice crypto open ${at('long.sealed')} ${key} -o -`;
    expect(of(`${open} | head -c 100 > ${at('head')}`)).toBe('1\n');
    expect(statSync(at('head')).size).toBe(100);
    expect(of('bin/sluice crypto selftest | true')).toBe('0\n');
  });

  it('ask for a key of theirs', async () => {
    expect(await crypto('seal', at('report'), '--key-file', at('phrase'))).toBe(1);
    expect(written.err).toContain('is no SM4 key: 32 hexadecimal digits');
    expect(await open(at('report'))).toBe(2);
    expect(written.err).toContain('does not end in .sealed');
  });
});

describe('wrong input', () => {
  const cases: [string, string[], number, RegExp][] = [
    ['a kind', ['keygen', 'rsa', '-o', at('r')], 2, /choices are sm2, sm4/],
    ['no output', ['keygen', 'sm2'], 2, /--out/],
    ['a file that is there', ['keygen', 'sm2', '-o', at('report')], 1, /is not overwritten/],
    ['a missing file', ['sign', at('gone'), '--key', at('a.pem')], 1, /gone is not there/],
    ['a missing folder', ['keygen', 'sm4', '-o', at('gone/k')], 1, /its folder is not there/],
    ['a missing key', ['sign', at('report'), '--key', at('gone')], 1, /gone is not there/],
    [
      'no key',
      ['verify', at('report'), '--key', at('report'), '--signature', at('report')],
      1,
      /report is no PEM of a public key/,
    ],
    ['a folder', ['sign', folder, '--key', at('a.pem'), '-o', at('f.sig')], 1, /is a folder/],
    ['no name for a signature', ['sign', '-', '--key', at('a.pem')], 2, /say where the signature/],
    ['a mode', ['speed', '--mode', 'sm9'], 2, /"sm9" is none of sm4-ecb/],
    ['a tier', ['speed', '--tier', 'mmx'], 2, /"mmx" is none of portable/],
    ['a time', ['speed', '--time', '0s'], 2, /from 1ms to 60s/],
    ['an option', ['selftest', '--fast'], 2, /unknown option/],
  ];
  it.each(cases)('%s', async (_, args, code, message) => {
    expect(await crypto(...args)).toBe(code);
    expect(written.err).toMatch(message);
  });

  it('a secret that others may read', async () => {
    chmodSync(at('a.pem'), 0o640);
    expect(await crypto('sign', at('report'), '--key', at('a.pem'), '-o', at('x'))).toBe(1);
    expect(written.err).toContain(
      `(mode 0640), which has to be a secret; chmod 600 ${at('a.pem')}`,
    );
  });
});

describe('the speed', () => {
  it('is told of us and of others, in the same run', async () => {
    const modes = ['--mode', 'sm3', 'sm4-gcm-batch16', 'sm2-verify'];
    const quick = ['--size', '64', '100', '--time', '1ms', '--tier', 'portable'];
    expect(await crypto('speed', ...modes, ...quick, '--json')).toBe(0);
    const { rows, tsc_hz } = JSON.parse(written.out);
    expect(tsc_hz).toBeGreaterThan(1e6);
    const told = rows.map(({ mode, bytes, nanoseconds }: Record<string, object>) => [
      mode,
      bytes,
      Object.keys(nanoseconds!).join(),
    ]);
    const all = 'portable,sluice (js),node:crypto,sm-crypto-v2';
    expect(told).toEqual([
      ['sm4-gcm-batch16', 64, 'portable'],
      ['sm4-gcm-batch16', 100, 'portable'],
      ['sm3', 64, all],
      ['sm3', 100, all],
      ['sm2-verify', 0, 'sluice,sm-crypto-v2'],
    ]);
    written.out = '';
    expect(await crypto('speed', '--mode', 'sm4-ctr', ...quick, '--unit', 'ns')).toBe(0);
    expect(written.out).toMatch(/^nanoseconds a message.*\n\nMODE +BYTES +PORTABLE +NODE:CRYPTO\n/);
  });
});

describe('the self test', () => {
  it('says what was tried, for people and programs', async () => {
    expect(await crypto('selftest')).toBe(0);
    expect(written.out).toMatch(/^ALGORITHM +MODE +BY +RESULT\nSM3 +stream +portable +ok\n/);
    expect(written.out).toMatch(/^ESP +SM4-GCM-16 +portable +ok$/m);
    written.out = '';
    expect(await crypto('selftest', '--json')).toBe(0);
    const { passed, tier, results } = JSON.parse(written.out);
    expect([passed, typeof tier, results.length > 5]).toEqual([true, 'string', true]);
  });
});
