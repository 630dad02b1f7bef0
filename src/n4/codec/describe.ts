/**
 * Whole messages as plain data with the table's names, both ways: for `sluice n4 trace`, logs
 * and tests. Reads anything, as a trace has to show what nobody understood. Makes objects, so
 * it has no place on the way of a request. Pure; any thread.
 */
import type { Element, Member } from './table/element.js';
import { elementNamed, elementOf, messageOf, messages } from './table/table.js';
import { decodeValue, encodeValue, hexOf, isValues, octetsOf, type Value } from './value-codec.js';

/**
 * Elements by name, in the order in which each name comes first. What may stand there several
 * times is a list. `malformed` are octets, in hex, in which no element can be found.
 */
export interface Elements {
  readonly [name: string]: Value | Elements | readonly (Value | Elements)[];
}

export interface Described {
  /** Its name, or `Message 99`. */
  readonly message: string;
  /** 16 hex digits; only messages of sessions have one. */
  readonly seid?: string;
  readonly sequence: number;
  /** 1 to 15, if the sender gave one */
  readonly priority?: number;
  /** Version, length and other things that are not as they should be. */
  readonly faults?: readonly string[];
  readonly elements: Elements;
}

const VERSION = 1;
const FLAG_SEID = 1;
const FLAG_PRIORITY = 2;
const VENDOR = 0x8000;
/** Of groups that the table has no members for. */
const DEPTH_MAX = 8;

/** Undefined: the octets are too few for a header. */
export function describeMessage(
  bytes: Uint8Array,
  start = 0,
  end = bytes.length,
): Described | undefined {
  const flags = bytes[start] ?? 0;
  const hasSeid = (flags & FLAG_SEID) !== 0;
  const header = hasSeid ? 16 : 8;
  if (end - start < header) return undefined;
  const type = bytes[start + 1]!;
  const sequenceAt = start + header - 4;
  const length = number(bytes, start + 2, 2) + 4;
  const faults: string[] = [];
  if (flags >>> 5 !== VERSION) faults.push(`version ${flags >>> 5}`);
  if (length !== end - start) faults.push(`length ${length} of ${end - start} octets`);
  const row = messageOf(type);
  return {
    message: row?.name ?? `Message ${type}`,
    ...(hasSeid ? { seid: `0x${hexOf(bytes, start + 4, start + 12)}` } : {}),
    sequence: number(bytes, sequenceAt, 3),
    ...((flags & FLAG_PRIORITY) !== 0 ? { priority: bytes[sequenceAt + 3]! >>> 4 } : {}),
    ...(faults.length > 0 ? { faults } : {}),
    elements: describeElements(bytes, start + header, end, row?.members ?? [], 0),
  };
}

/** Elements without a header, as if they stood in such a message. */
export function describeBody(
  messageType: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): Elements {
  return describeElements(bytes, start, end, messageOf(messageType)?.members ?? [], 0);
}

function describeElements(
  bytes: Uint8Array,
  start: number,
  end: number,
  members: readonly Member[],
  depth: number,
): Elements {
  const found = new Map<string, (Value | Elements)[]>();
  const lists = new Set<string>();
  let at = start;
  while (at < end) {
    const length = end - at < 4 ? Number.POSITIVE_INFINITY : number(bytes, at + 2, 2);
    const behind = at + 4 + length;
    if (behind > end) {
      found.set('malformed', [hexOf(bytes, at, end)]);
      break;
    }
    const type = number(bytes, at, 2);
    const vendor = (type & VENDOR) !== 0 && length >= 2;
    const element = elementOf(type);
    const name = vendor ? vendorName(bytes, at, type) : (element?.name ?? `IE ${type}`);
    const value = describeElement(element, bytes, at + (vendor ? 6 : 4), behind, depth);
    const values = found.get(name);
    if (values === undefined) found.set(name, [value]);
    else values.push(value);
    if (members.some((member) => member.type === type && member.many)) lists.add(name);
    at = behind;
  }
  const single = (name: string, values: (Value | Elements)[]) =>
    values.length === 1 && !lists.has(name) ? values[0]! : values;
  return Object.fromEntries([...found].map(([name, values]) => [name, single(name, values)]));
}

function vendorName(bytes: Uint8Array, at: number, type: number): string {
  return `Vendor ${number(bytes, at + 4, 2)} IE ${type}`;
}

function describeElement(
  element: Element | undefined,
  bytes: Uint8Array,
  start: number,
  end: number,
  depth: number,
): Value | Elements {
  if (element?.members !== undefined && depth < DEPTH_MAX) {
    return describeElements(bytes, start, end, element.members, depth + 1);
  }
  return decodeValue(element?.layout ?? [], bytes, start, end);
}

function number(bytes: Uint8Array, at: number, octets: number): number {
  let value = 0;
  for (let octet = 0; octet < octets; octet++) value = value * 256 + bytes[at + octet]!;
  return value;
}

/** What encodeMessage() needs; the rest of {@link Described} has defaults. */
export type Description = Pick<Described, 'message' | 'elements'> & Partial<Described>;

/** The octets of a message; throws a TypeError that says what it does not understand. */
export function encodeMessage(description: Description): Uint8Array {
  const { message, seid, sequence = 0, priority } = description;
  const type =
    messages.find(({ name }) => name === message)?.type ?? numberBehind(message, /^Message (\d+)$/);
  if (type === undefined || type > 255) throw new TypeError(`there is no message ${message}`);
  const session = seid !== undefined || messageOf(type)?.session === true;
  const body = encodeElements(description.elements);
  const header = Buffer.alloc(session ? 16 : 8);
  header[0] =
    (VERSION << 5) | (session ? FLAG_SEID : 0) | (priority === undefined ? 0 : FLAG_PRIORITY);
  header[1] = type;
  header.writeUInt16BE(header.length + body.length - 4, 2);
  if (session) header.writeBigUInt64BE(BigInt(seid ?? 0), 4);
  header.writeUIntBE(sequence, header.length - 4, 3);
  header[header.length - 1] = (priority ?? 0) << 4;
  return Uint8Array.from(Buffer.concat([header, body]));
}

export function encodeElements(elements: Elements): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [name, value] of Object.entries(elements)) {
    if (name === 'malformed') continue;
    const element = elementNamed(name);
    const isList = Array.isArray(value) && !isListOfFlags(element, value);
    for (const item of isList ? (value as (Value | Elements)[]) : [value]) {
      parts.push(encodeElement(name, element, item as Value | Elements));
    }
  }
  if (elements.malformed !== undefined) parts.push(octetsOf(elements.malformed));
  return Buffer.concat(parts);
}

/** A value that is itself a list, in place of a list of values. */
function isListOfFlags(element: Element | undefined, value: readonly unknown[]): boolean {
  const [part] = element?.layout ?? [];
  const isList = element?.layout.length === 1 && (part?.kind === 'flags' || part?.kind === 'list');
  return isList && !value.some((item) => typeof item === 'object');
}

function encodeElement(
  name: string,
  element: Element | undefined,
  value: Value | Elements,
): Uint8Array {
  const octets =
    element === undefined
      ? octetsOf(value)
      : element.members !== undefined && isValues(value)
        ? encodeElements(value as Elements)
        : encodeValue(element.layout, value as Value);
  const vendor = /^Vendor (\d+) IE (\d+)$/.exec(name);
  const type = element?.type ?? Number(vendor?.[2] ?? numberBehind(name, /^IE (\d+)$/) ?? -1);
  if (type < 0 || type > 0xffff) throw new TypeError(`there is no element ${name}`);
  const header = Buffer.alloc(vendor === null ? 4 : 6);
  const length = octets.length + header.length - 4;
  if (length > 0xffff) throw new TypeError(`${name} is longer than 65535 octets`);
  header.writeUInt16BE(type, 0);
  header.writeUInt16BE(length, 2);
  if (vendor !== null) header.writeUInt16BE(Number(vendor[1]), 4);
  return Buffer.concat([header, octets]);
}

function numberBehind(text: string, pattern: RegExp): number | undefined {
  const found = pattern.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}
