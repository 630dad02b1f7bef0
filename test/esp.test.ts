/**
 * Packets of ESP that Sluice sealed, opened by others: OpenSSL's SM4-CBC and HMAC-SM3, and the GCM of
 * sm-crypto-v2, put together as the RFCs say. That Sluice seals just these is a native test.
 */
import { createDecipheriv, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { sm4 } from 'sm-crypto-v2';
import { describe, expect, it } from 'vitest';

interface Vector {
  readonly suite: number;
  readonly extended: boolean;
  readonly number: bigint;
  readonly key: Buffer;
  readonly salt: Buffer;
  readonly authKey: Buffer;
  readonly packet: Buffer;
  readonly esp: Buffer;
}

const ICV_BYTES = [16, 12, 16, 32];

function vectors(): Vector[] {
  const file = new URL('vectors/crypto/sluice/esp.txt', import.meta.url);
  const stanzas = readFileSync(file, 'utf8').split('\n\n').slice(1);
  return stanzas
    .filter((stanza) => stanza.trim() !== '')
    .map((stanza) => {
      const fields = new Map(
        stanza.split('\n').map((line) => line.split(' = ') as [string, string]),
      );
      const text = (name: string) => fields.get(name) ?? '';
      const bytes = (name: string) => Buffer.from(text(name), 'hex');
      return {
        suite: Number(text('Suite')),
        extended: text('Extended') === '1',
        number: BigInt(`0x${text('Number')}`),
        key: bytes('Key'),
        salt: bytes('Salt'),
        authKey: bytes('AuthKey'),
        packet: bytes('Packet'),
        esp: bytes('Esp'),
      };
    });
}

/** RFC 4106: the nonce is salt and IV; SPI and sequence number are authenticated. */
function openGcm({ key, salt, number, extended, esp }: Vector): Buffer {
  const whole = Buffer.alloc(8);
  whole.writeBigUInt64BE(number);
  const aad = Buffer.concat([esp.subarray(0, 4), extended ? whole : whole.subarray(4)]);
  const opened = sm4.decrypt(esp.subarray(16, -16), key, {
    mode: 'gcm',
    iv: Buffer.concat([salt, esp.subarray(8, 16)]),
    associatedData: aad,
    tag: esp.subarray(-16),
    padding: 'none',
    output: 'array',
  });
  return Buffer.from(opened);
}

/** Encrypt-then-MAC of RFC 4303 clause 3.3.2.1; the upper half of an extended number is behind. */
function openCbc({ suite, key, authKey, number, extended, esp }: Vector): Buffer {
  const icv = ICV_BYTES[suite]!;
  const upper = Buffer.alloc(4);
  upper.writeUInt32BE(Number(number >> 32n));
  const hmac = createHmac('sm3', authKey).update(esp.subarray(0, -icv));
  const code = (extended ? hmac.update(upper) : hmac).digest().subarray(0, icv);
  expect(esp.subarray(-icv)).toEqual(code);
  const cipher = createDecipheriv('sm4-cbc', key, esp.subarray(8, 24)).setAutoPadding(false);
  return Buffer.concat([cipher.update(esp.subarray(24, -icv)), cipher.final()]);
}

describe('packets of ESP', () => {
  const all = vectors();
  it('are there, of every suite', () => {
    expect(all).toHaveLength(24);
    expect(new Set(all.map(({ suite }) => suite))).toEqual(new Set([0, 1, 2, 3]));
  });

  it.each(all)('of suite $suite, extended: $extended, number $number, are opened', (vector) => {
    expect(vector.esp.readUInt32BE(4)).toBe(Number(vector.number & 0xffffffffn));
    const plain = vector.suite === 0 ? openGcm(vector) : openCbc(vector);
    const padding = plain.at(-2)!;
    expect(plain.at(-1)).toBe(4);
    const end = plain.length - 2 - padding;
    expect(plain.subarray(0, end)).toEqual(vector.packet);
    expect([...plain.subarray(end, -2)]).toEqual(Array.from({ length: padding }, (_, i) => i + 1));
  });
});
