/** Values, elements and whole messages as the table allows them, for property tests. */
import fc from 'fast-check';
import type { Description, Elements } from './describe.js';
import type { Element, Handling, Member } from './table/element.js';
import type { BitField, Layout, Part } from './table/layout.js';
import { elementOf, type MessageRow } from './table/table.js';
import { decodeValue, holds, keyOf, soleName, type Value, type Values } from './value-codec.js';
import { isLabels } from './values/instance.js';

/** Short enough for a counter of one octet, whatever the characters are. */
const text = fc.string({ unit: 'grapheme', maxLength: 8 });
const label = fc.stringMatching(/^[a-z0-9-]{1,10}$/);
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
const plain = text.filter((value) => !isLabels(Buffer.from(value), 0, Buffer.from(value).length));
const hex = (octets: number, least = octets) =>
  fc
    .uint8Array({ minLength: least, maxLength: octets })
    .map((bytes) => Buffer.from(bytes).toString('hex'));

/** What a part adds to the value; parts of fixed length come from random octets. */
function partOf(part: Part, meaningful: boolean): fc.Arbitrary<Values> {
  const from = (octets: number): fc.Arbitrary<Values> =>
    fc.uint8Array({ minLength: octets, maxLength: octets }).map((bytes) => {
      const unconditional = 'when' in part ? { ...part, when: [] } : part;
      const value = decodeValue([unconditional as Part], bytes, 0, octets);
      const only = soleName([part]);
      return only === undefined ? (value as Values) : { [only]: value };
    });
  switch (part.kind) {
    case 'flags': {
      const names = part.octets.flat().filter((flag) => flag !== '');
      const least = meaningful ? names.slice(0, 1) : [];
      return fc.subarray(names).map((some) => ({ flags: [...new Set([...least, ...some])] }));
    }
    case 'spare':
      return fc.constant({});
    case 'octet':
      return meaningful ? namedFields(part.fields) : from(1);
    case 'uint':
      return from(part.octets);
    case 'ipv4':
    case 'time':
      return from(4);
    case 'ipv6':
      return from(16);
    case 'fixed':
      return from(part.octets);
    case 'list':
      return fc.integer({ min: 0, max: 4 }).chain((count) => from(count * part.octets));
    default:
      return (
        {
          text: text as fc.Arbitrary<Value>,
          labels: meaningful ? name : fc.oneof(fc.constant(''), name),
          instance: fc.oneof(
            plain,
            name.map((labels) => ({ labels })),
          ),
          bytes: hex(20, 0),
        } as const
      )[part.kind].map((value): Values => ({ [keyOf(part)]: value }));
  }
}

/** Where a field's numbers have names, one of these. */
function namedFields(fields: readonly BitField[]): fc.Arbitrary<Values> {
  const record = fields.map((field) => [
    keyOf(field),
    field.names === undefined
      ? fc.nat((1 << field.width) - 1)
      : fc.constantFrom(...Object.values(field.names)),
  ]);
  return fc.record(Object.fromEntries(record)) as fc.Arbitrary<Values>;
}

/** `meaningful`: no unnamed numbers, no flags that say nothing, no empty names. */
export function valueArbitrary(layout: Layout, meaningful = false): fc.Arbitrary<Value> {
  if (layout.length === 0) return hex(8, 0);
  const only = soleName(layout);
  return fc.tuple(...layout.map((part) => partOf(part, meaningful))).map((parts) => {
    const values: Record<string, Value> = {};
    layout.forEach((part, index) => {
      if ('when' in part && !holds(part.when, values)) return;
      const { flags } = parts[index]!;
      const leftOut = Array.isArray(flags) && flags.length === 0 && index > 0;
      if (!leftOut || index < layout.length - 1) Object.assign(values, parts[index]);
    });
    return only === undefined ? values : values[only]!;
  });
}

function elementArbitrary(
  element: Element,
  wanted: Handling | undefined,
  known: Map<number, fc.Arbitrary<Value | Elements>>,
): fc.Arbitrary<Value | Elements> {
  const before = known.get(element.type);
  if (before !== undefined) return before;
  const made =
    element.members === undefined
      ? valueArbitrary(element.layout, wanted !== undefined)
      : elementsArbitrary(element.members, wanted, known);
  known.set(element.type, made);
  return made;
}

/** Mandatory members are there, others sometimes; none that is refused. */
function elementsArbitrary(
  members: readonly Member[],
  wanted: Handling | undefined,
  known: Map<number, fc.Arbitrary<Value | Elements>>,
): fc.Arbitrary<Elements> {
  const usable = members.filter(({ type }) => {
    const { handling } = elementOf(type)!;
    return wanted === undefined ? handling !== 'refused' : handling === wanted;
  });
  const record = Object.fromEntries(
    usable.map(({ type, presence, many }) => {
      const element = elementOf(type)!;
      const one = elementArbitrary(element, wanted, known);
      const values: fc.Arbitrary<unknown> = many
        ? fc.array(one, { minLength: 1, maxLength: 2 })
        : one;
      const needed = presence === 'M' || presence === 'A';
      return [element.name, needed ? values : fc.option(values, { nil: undefined, freq: 1 })];
    }),
  );
  return fc
    .record(record)
    .map((elements) =>
      Object.fromEntries(Object.entries(elements).filter(([, value]) => value !== undefined)),
    ) as fc.Arbitrary<Elements>;
}

/** `wanted`: only elements that Sluice handles so, with values that mean something. */
export function messageArbitrary(row: MessageRow, wanted?: Handling): fc.Arbitrary<Description> {
  const seid = hex(8).map((digits) => `0x${digits}`);
  return fc
    .record({
      sequence: fc.integer({ min: 0, max: 0xffffff }),
      priority: fc.option(fc.integer({ min: 0, max: 15 }), { nil: undefined }),
      seid: row.session ? seid : fc.constant(undefined),
      elements: elementsArbitrary(row.members, wanted, new Map()),
    })
    .map(({ sequence, priority, seid: id, elements }) => ({
      message: row.name,
      sequence,
      ...(id === undefined ? {} : { seid: id }),
      ...(priority === undefined ? {} : { priority }),
      elements,
    }));
}
