import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { messageArbitrary, valueArbitrary } from './arbitrary.fixture.js';
import {
  type Description,
  describeBody,
  describeMessage,
  encodeElements,
  encodeMessage,
} from './describe.js';
import { HEADER_DROP, MessageReader } from './message-reader.js';
import { readerFaults } from './reader-faults.fixture.js';
import { minimumLength } from './table/layout.js';
import { elements, messages } from './table/table.js';
import { decodeValue, encodeValue } from './value-codec.js';

/** More with SLUICE_N4_RUNS=…; a failure prints its seed and path. */
const numRuns = Number(process.env.SLUICE_N4_RUNS ?? 20);
const reader = new MessageReader();
const accepted = messages.filter(({ handling }) => handling === 'supported');

/** Elements in a description, groups and what is in them. */
function countOf(value: unknown, inGroup = true): number {
  if (!inGroup || typeof value !== 'object' || value === null) return 0;
  return Object.entries(value).reduce((sum, [name, inner]) => {
    const element = elements.find((row) => row.name === name)!;
    const isGroup = element.members !== undefined && element.handling === 'supported';
    const flags = element.layout[0]?.kind === 'flags' && element.layout.length === 1;
    const items = Array.isArray(inner) && !(flags && !Array.isArray(inner[0])) ? inner : [inner];
    return sum + items.reduce((all, item) => all + 1 + countOf(item, isGroup), 0);
  }, 0);
}

/** The octets again, with the header's length as it has to be. */
function shortened(bytes: Uint8Array, length: number): Uint8Array {
  const part = bytes.slice(0, length);
  new DataView(part.buffer).setUint16(2, length - 4);
  return part;
}

describe('values of every element', () => {
  for (const { name, layout } of elements.filter((element) => element.layout.length > 0)) {
    it(`${name}: written and read is the same`, () => {
      fc.assert(
        fc.property(valueArbitrary(layout), (value) => {
          const bytes = encodeValue(layout, value);
          expect(decodeValue(layout, bytes, 0, bytes.length)).toEqual(value);
          expect(bytes.length).toBeGreaterThanOrEqual(minimumLength(layout));
        }),
        { numRuns },
      );
    });
  }

  it('are never read past their end, and what is described can be written', () => {
    const layouts = elements.map(({ layout }) => layout);
    fc.assert(
      fc.property(
        fc.constantFrom(...layouts),
        fc.uint8Array({ maxLength: 60 }),
        (layout, bytes) => {
          const low = Uint8Array.of(...bytes, ...new Uint8Array(64).fill(0));
          const high = Uint8Array.of(...bytes, ...new Uint8Array(64).fill(0xff));
          const value = decodeValue(layout, low, 0, bytes.length);
          expect(decodeValue(layout, high, 0, bytes.length)).toEqual(value);
          const again = encodeValue(layout, value);
          expect(decodeValue(layout, again, 0, again.length)).toEqual(value);
        },
      ),
      { numRuns: numRuns * 100 },
    );
  });
});

describe('every message', () => {
  for (const row of accepted) {
    it(`${row.name}: written and read is the same`, () => {
      fc.assert(
        fc.property(messageArbitrary(row), (description) => {
          const bytes = encodeMessage(description);
          expect(describeMessage(bytes)).toEqual(description);
          expect(reader.read(bytes, 0, bytes.length)).toBe(true);
          expect(reader.count).toBe(countOf(description.elements));
          expect(readerFaults(reader)).toEqual([]);
          const body = encodeElements(description.elements);
          expect(reader.readBody(row.type, body, 0, body.length)).toBe(true);
        }),
        { numRuns },
      );
    });
  }

  it('fails cleanly when it is cut off anywhere', () => {
    fc.assert(
      fc.property(anyMessage(), (description) => {
        const bytes = encodeMessage(description);
        for (let length = 0; length < bytes.length; length++) {
          expect(reader.header(bytes, 0, length)).toBe(HEADER_DROP);
          if (length < 16) continue;
          const part = shortened(bytes, length);
          if (!reader.read(part, 0, length)) expect(reader.cause).toBeGreaterThanOrEqual(64);
          expect(readerFaults(reader)).toEqual([]);
          describeMessage(part);
        }
      }),
      { numRuns: Math.max(5, numRuns / 4) },
    );
  });

  it('never makes the reader throw or look elsewhere, however it is spoilt', () => {
    const spoilt = fc.tuple(
      anyMessage(),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
        minLength: 1,
        maxLength: 20,
      }),
    );
    fc.assert(
      fc.property(spoilt, ([description, changes]) => {
        const bytes = encodeMessage(description);
        for (const [at, octet] of changes) bytes[4 + (at % (bytes.length - 4))] = octet;
        if (!reader.read(bytes, 0, bytes.length)) expect(reader.cause).toBeGreaterThanOrEqual(64);
        expect(readerFaults(reader)).toEqual([]);
        const { elements: described } = describeMessage(bytes)!;
        const again = encodeElements(described);
        expect(describeBody(bytes[1]!, again, 0, again.length)).toEqual(described);
      }),
      { numRuns: numRuns * 20 },
    );
  });
});

function anyMessage(): fc.Arbitrary<Description> {
  return fc.constantFrom(...accepted).chain((row) => messageArbitrary(row));
}
