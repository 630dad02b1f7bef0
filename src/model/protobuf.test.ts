import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtobufReader, ProtobufWriter } from './protobuf.js';
import { decodeMessage, encodeMessage } from './sample.fixture.js';

const u64 = fc.bigInt({ min: 0n, max: 0xffffffffffffffffn });
const low = (value: bigint) => Number(value & 0xffffffffn) | 0;
const high = (value: bigint) => Number(value >> 32n) | 0;

describe('ProtobufWriter', () => {
  it('writes numbers as the independent codec reads them', () => {
    fc.assert(
      fc.property(u64, fc.integer({ min: 0, max: 0xffffffff }), (uplink, id) => {
        const writer = new ProtobufWriter(1);
        writer.reset();
        writer.uint64(4, low(uplink), high(uplink));
        writer.presentUint64(6, low(uplink), high(uplink));
        writer.uint32(2, id);
        writer.uint32(1, id | 0);
        const read = decodeMessage('UsageReport', writer.view());
        const number = id === 0 ? {} : { urr_id: id, sequence: id };
        const bytes = uplink === 0n ? {} : { uplink_bytes: String(uplink) };
        expect(read).toEqual({ ...number, ...bytes, uplink_packets: String(uplink) });
      }),
    );
  });

  it('writes texts from strings, words and bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        const utf8 = Buffer.from(text);
        const padded = Buffer.alloc(Math.ceil(utf8.length / 4) * 4 + 4);
        padded.set(utf8, 4);
        const words = new Uint32Array(padded.buffer, padded.byteOffset, padded.length / 4);
        const writer = new ProtobufWriter(1);
        writer.reset();
        writer.words(3, words, 1, utf8.length);
        writer.octets(2, utf8, 0, utf8.length);
        writer.text(1, text);
        const read = decodeMessage('WatchReportsRequest', writer.take());
        const plain = utf8.toString();
        expect(read.names).toEqual([plain]);
        expect([read.acknowledge, read.cursor ?? '']).toEqual([plain, plain]);
      }),
    );
  });

  it('keeps what was written when it grows', () => {
    const writer = new ProtobufWriter(1);
    writer.reset();
    for (let count = 0; count < 1000; count++) writer.text(3, 'x'.repeat(100));
    expect(writer.size).toBe(1000 * 102);
    expect(writer.take().subarray(0, 3).toString('latin1')).toBe('\x1adx');
    writer.reset();
    expect(writer.size).toBe(0);
  });
});

describe('ProtobufReader', () => {
  const reader = new ProtobufReader();

  it('reads 64-bit numbers as two words', () => {
    fc.assert(
      fc.property(u64, (value) => {
        const bytes = encodeMessage('GetSessionRequest', { seid: String(value) });
        reader.reset(bytes, 0, bytes.length);
        if (value === 0n) return;
        expect(reader.tag()).toBe(16);
        expect(reader.varint()).toBe(low(value));
        expect([reader.low, reader.high]).toEqual([low(value), high(value)]);
        expect(reader.tag()).toBe(0);
        expect(reader.failed).toBe(false);
      }),
    );
  });

  it('fails on every prefix of a field, and stays failed', () => {
    const bytes = encodeMessage('GetSessionRequest', {
      name: 'a'.repeat(200),
      seid: '18446744073709551615',
    });
    for (let end = 1; end < bytes.length; end++) {
      reader.reset(bytes, 0, end);
      for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) reader.skip(tag);
      // Behind the name the message is whole again.
      expect([end, reader.failed]).toEqual([end, end !== 203]);
      if (reader.failed)
        expect([reader.tag(), reader.varint(), reader.length()]).toEqual([0, 0, 0]);
    }
  });

  it('refuses bounds outside of the bytes', () => {
    reader.reset(new Uint8Array(4), 0, 5);
    expect(reader.failed).toBe(true);
    reader.reset(new Uint8Array(4), 3, 2);
    expect([reader.failed, reader.tag()]).toEqual([true, 0]);
  });

  it('ends on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        reader.reset(bytes, 0, bytes.length);
        let steps = 0;
        for (let tag = reader.tag(); tag !== 0; tag = reader.tag(), steps++) reader.skip(tag);
        expect(steps).toBeLessThanOrEqual(bytes.length);
        expect(reader.failed || reader.position === bytes.length).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
