import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteAt, RecordBuffer, recordWords, refLength, refText, sameText } from './record.js';
import * as layout from './record-layout.js';

function emptyRecord(): RecordBuffer {
  const record = new RecordBuffer();
  record.begin(0, 0, 0, 0, 0, 0);
  return record;
}

describe('RecordBuffer', () => {
  it('keeps bytes and gives them back, padded with zeros', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), fc.nat(9), (text, shift) => {
        const record = emptyRecord();
        record.words.fill(0xffffffff, record.top, record.top + 500);
        const source = Buffer.concat([Buffer.alloc(shift, 1), Buffer.from(text)]);
        const length = source.length - shift;
        const ref = record.append(source, shift, length);
        expect([refLength(ref), refText(record.words, 0, ref)]).toEqual([length, text]);
        for (let index = 0; index < length; index++) {
          expect(byteAt(record.words, ref >>> 16, index)).toBe(source[shift + index]);
        }
        const padding = record.bytes.subarray((ref >>> 16) * 4 + length, record.top * 4);
        expect(ref === 0 || padding.every((byte) => byte === 0)).toBe(true);
      }),
    );
  });

  it('keeps an equal text once', () => {
    const record = emptyRecord();
    const source = Buffer.from('internet intervet internet');
    const first = record.appendText(source, 0, 8);
    const second = record.appendText(source, 9, 8);
    expect(second).not.toBe(first);
    expect(record.appendText(source, 18, 8)).toBe(first);
    expect(record.appendText(source, 0, 0)).toBe(0);
    record.begin(0, 0, 0, 0, 0, 0);
    record.appendText(source, 9, 8);
    expect(refText(record.words, 0, record.appendText(source, 0, 8))).toBe('internet');
  });

  it('compares texts of two records', () => {
    const one = emptyRecord();
    const other = emptyRecord();
    other.append(Buffer.from('shift'), 0, 5);
    const a = one.append(Buffer.from('access'), 0, 6);
    const b = other.append(Buffer.from('access'), 0, 6);
    const c = other.append(Buffer.from('acces'), 0, 5);
    expect(sameText(one.words, 0, a, other.words, 0, b)).toBe(true);
    expect(sameText(one.words, 0, a, other.words, 0, c)).toBe(false);
    expect(sameText(one.words, 0, 0, other.words, 0, 0)).toBe(true);
  });

  it('has a length that is a multiple of 8, again after more was added', () => {
    const record = emptyRecord();
    for (let round = 0; round < 4; round++) {
      record.setText(layout.HEADER_OWNER, Buffer.from('x'.repeat(round * 3)));
      expect(record.finish()).toBe(true);
      expect(record.words[layout.HEADER_BYTES]! % 8).toBe(0);
      expect(recordWords(record.words, 0)).toBe(record.top);
    }
  });

  it('says when it is full and stays within its bound', () => {
    const record = emptyRecord();
    const block = Buffer.alloc(60_000, 0x61);
    while (!record.overflowed) record.append(block, 0, block.length);
    expect(record.append(block, 0, block.length)).toBe(0);
    expect(record.allocate(layout.RECORD_WORDS_MAX)).toBe(0);
    expect(record.finish()).toBe(false);
    expect(record.top).toBeLessThan(layout.RECORD_WORDS_MAX);
    record.begin(1, 1, 0, 0, 0, 1);
    expect(record.finish()).toBe(true);
    record.begin(255, 255, 255, 255, 255, 65_535);
    expect(record.overflowed).toBe(true);
  });

  it('takes one UE address of each family', () => {
    const record = emptyRecord();
    const flags = () => record.words[layout.HEADER_FLAGS]!;
    expect(record.nameUeIpv4(0)).toBe(true);
    expect(flags()).toBe(layout.UE_IPV4 | layout.UE_IPV4_FROM_POOL);
    expect(record.nameUeIpv4(0xc0a80001 | 0)).toBe(true);
    expect(flags()).toBe(layout.UE_IPV4);
    expect([record.nameUeIpv4(0), record.nameUeIpv4(0xc0a80001 | 0)]).toEqual([true, true]);
    expect(flags()).toBe(layout.UE_IPV4);
    expect(record.nameUeIpv4(5)).toBe(false);
    expect(record.nameUePrefix(0xfd000000, 0)).toBe(true);
    expect([record.nameUePrefix(0, 0), record.nameUePrefix(0xfd000000, 1)]).toEqual([true, false]);
    expect(flags()).toBe(layout.UE_IPV4 | layout.UE_IPV6);
  });

  it('notes the interface identifier of a UE once it is told', () => {
    const record = emptyRecord();
    const mark = () => record.words[layout.HEADER_FLAGS]! >>> layout.UE_INTERFACE_SHIFT;
    record.nameUePrefix(0xfd000000, 0);
    record.nameUeInterface(0, 0);
    expect(mark()).toBe(0);
    record.nameUeInterface(0xffffffff, 0xfffffffe);
    const [high] = [mark()];
    record.nameUeInterface(0, 1);
    expect(mark()).not.toBe(high);
    record.nameUeInterface(0, 0);
    record.nameUePrefix(0xfd000000, 0);
    expect(record.words[layout.HEADER_FLAGS]! & 0xffff).toBe(layout.UE_IPV6);
    expect(mark()).toBeGreaterThan(0);
  });
});
