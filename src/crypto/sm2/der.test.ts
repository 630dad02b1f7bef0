import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readDer, readSequence, unsignedOf, writeDer, writeUnsigned } from './der.js';

const hex = (text: string): Buffer => Buffer.from(text.replace(/ /g, ''), 'hex');

it('reads back what it writes, of any length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(70_000), (number, size) => {
      const octets = writeDer(0x04, Buffer.alloc(size, 7));
      const sequence = writeDer(0x30, writeUnsigned(number), octets);
      const [first, second] = readSequence(sequence, [0x02, 0x04])!;
      const read = unsignedOf(first!, 40)!;
      expect(read.subarray(40 - number.length)).toEqual(Buffer.from(number));
      expect([second!.content.length, second!.whole.equals(octets)]).toEqual([size, true]);
    }),
    { numRuns: 50 },
  );
});

it('never fails on bytes of any kind', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      for (const { content, whole } of readDer(bytes) ?? []) {
        expect(content.length).toBeLessThan(whole.length);
      }
    }),
    { numRuns: 300 },
  );
});

it.each([
  ['an indefinite length', '30 80 00 00'],
  ['a length of no octets behind it', '30 82 01'],
  ['a long form for a short length', '04 81 01 00'],
  ['a leading zero in a length', `04 82 00 80 ${'00'.repeat(128)}`],
  ['a length of five octets', '04 85 00 00 00 00 01 00'],
  ['less than it says', '04 05 00'],
  ['a tag alone', '04'],
])('is strict: %s', (_, bytes) => {
  expect(readDer(hex(bytes))).toBeUndefined();
});

it.each([
  ['none', '02 00'],
  ['a negative one', '02 01 80'],
  ['a needless zero', '02 02 00 7f'],
  ['one that is too large', '02 03 01 00 00'],
])('refuses as an unsigned number of two bytes: %s', (_, bytes) => {
  expect(unsignedOf(readDer(hex(bytes))![0]!, 2)).toBeUndefined();
});

it('takes one SEQUENCE and nothing else', () => {
  const fits = hex('30 03 02 01 05');
  expect(readSequence(fits, [0x02])).toHaveLength(1);
  expect(readSequence(fits, [0x04])).toBeUndefined();
  expect(readSequence(fits, [0x02, 0x02])).toBeUndefined();
  expect(readSequence(Buffer.concat([fits, fits]), [0x02])).toBeUndefined();
  expect(readSequence(hex('02 01 05'), [])).toBeUndefined();
});
