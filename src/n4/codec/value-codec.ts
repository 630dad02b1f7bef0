/**
 * Values of elements as plain data, both ways, by the layouts of table/: for traces, logs,
 * and tests that want to write messages. Makes objects and strings, so it has no place on the
 * way of a request. Encoding throws a TypeError that says what it wanted. Pure; any thread.
 */
import { flagOctetsLeast, type Layout, type Names, type Part } from './table/layout.js';
import { ipv4Text, ipv6Text, parseIpv4, parseIpv6 } from './values/address-text.js';
import { InstanceText, isLabels, labelsOf } from './values/instance.js';

/**
 * A number, a name of the table, a list of flags, or several of them by name. A value that is
 * not as its layout wants is `{ octets: hex }`; `rest` is what stands behind its parts.
 */
export type Value = number | string | readonly (string | number)[] | Values;
export interface Values {
  readonly [name: string]: Value;
}

/** Seconds from 1900, where NTP begins, to 1970; its 32 bits begin again in 2036. */
const NTP_EPOCH_S = 2_208_988_800;
const NTP_ERA_S = 2 ** 32;
const NTP_HALF_ERA_S = 2 ** 31;

const instanceText = new InstanceText();

export function decodeValue(layout: Layout, bytes: Uint8Array, start: number, end: number): Value {
  if (layout.length === 0) return hexOf(bytes, start, end);
  const decoder = new Decoder(layout, bytes, start, end);
  const values = decoder.decode();
  if (values === undefined) return { octets: hexOf(bytes, start, end) };
  if (decoder.at < end) values.rest = hexOf(bytes, decoder.at, end);
  const only = soleName(layout);
  if (only === undefined || decoder.at < end) return values;
  return values[only]!;
}

export function encodeValue(layout: Layout, value: Value): Uint8Array {
  if (isValues(value) && typeof value.octets === 'string') return octetsOf(value.octets);
  if (layout.length === 0) return octetsOf(value);
  const only = soleName(layout);
  const values =
    only !== undefined && !(isValues(value) && only in value) ? { [only]: value } : value;
  if (!isValues(values)) throw new TypeError(`expected an object, not ${JSON.stringify(value)}`);
  const parts = layout.map((part, index) => encodePart(part, index, layout.length, values));
  if (values.rest !== undefined) parts.push(octetsOf(values.rest));
  return Buffer.concat(parts);
}

/** The name under which a layout of one part has its value; undefined: it has several. */
export function soleName(layout: Layout): string | undefined {
  const [part] = layout;
  if (layout.length !== 1 || part === undefined) return undefined;
  if (part.kind === 'flags') return 'flags';
  if (part.kind === 'spare') return undefined;
  if (part.kind === 'octet') return part.fields.length === 1 ? keyOf(part.fields[0]!) : undefined;
  return keyOf(part);
}

export const keyOf = ({ name }: { readonly name: string }) => (name === '' ? 'value' : name);

export function isValues(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function hexOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('hex');
}

export function octetsOf(value: unknown): Uint8Array {
  if (typeof value !== 'string' || !/^([0-9a-f]{2})*$/i.test(value)) {
    throw new TypeError(`expected octets in hex, not ${JSON.stringify(value)}`);
  }
  return Buffer.from(value, 'hex');
}

/** A part's condition holds for what was decoded so far, or for what is to be encoded. */
export function holds(when: readonly string[], values: Values): boolean {
  const flags = Array.isArray(values.flags) ? (values.flags as readonly unknown[]) : [];
  return when.every((term) => {
    const [name, wanted] = term.split('=');
    if (wanted !== undefined) return values[name!] === wanted;
    if (term.startsWith('!')) return !flags.includes(term.slice(1));
    return term.split('|').some((flag) => flags.includes(flag));
  });
}

const named = (names: Names | undefined, value: number): Value => names?.[value] ?? value;

class Decoder {
  at: number;
  private readonly values: Record<string, Value> = {};

  constructor(
    private readonly layout: Layout,
    private readonly bytes: Uint8Array,
    start: number,
    private readonly end: number,
  ) {
    this.at = start;
  }

  /** Undefined: octets are missing, or they are not what they should be. */
  decode(): Record<string, Value> | undefined {
    const parts = this.layout.length;
    const complete = this.layout.every((part, index) => this.part(part, index, parts));
    return complete ? this.values : undefined;
  }

  private part(part: Part, index: number, parts: number): boolean {
    if (part.kind === 'flags') {
      const least = flagOctetsLeast(part.octets.length, index, parts);
      return this.flags(part.octets, least);
    }
    if (part.kind === 'spare') return this.take(part.octets) >= 0;
    if (part.kind === 'list') return this.list(part);
    if (!holds(part.when, this.values)) return true;
    if (part.kind === 'octet') {
      const at = this.take(1);
      for (const field of part.fields) {
        const value = ((this.bytes[at] ?? 0) >>> field.shift) & ((1 << field.width) - 1);
        this.values[keyOf(field)] = named(field.names, value);
      }
      return at >= 0;
    }
    const value = this.single(part);
    if (value === undefined) return false;
    this.values[keyOf(part)] = value;
    return true;
  }

  /** Takes octets; where they are, -1: there are not as many. */
  private take(octets: number): number {
    if (octets > this.end - this.at) return -1;
    this.at += octets;
    return this.at - octets;
  }

  private flags(octets: readonly (readonly string[])[], least: number): boolean {
    const present = Math.min(octets.length, this.end - this.at);
    const flags: string[] = [];
    for (let octet = 0; octet < present; octet++) {
      const bits = this.bytes[this.at++]!;
      for (let bit = 0; bit < 8; bit++) {
        if (((bits >>> bit) & 1) !== 0) flags.push(flagName(octets, octet, bit));
      }
    }
    // Flags that may be left out and say nothing are shown as if they were left out.
    if (flags.length > 0 || least > 0) this.values.flags = flags;
    return present >= least;
  }

  private list(part: Extract<Part, { kind: 'list' }>): boolean {
    const items: (string | number)[] = [];
    while (this.at < this.end) {
      const at = this.take(part.octets);
      if (at < 0) return false;
      items.push(numberText(this.bytes, at, part.octets, part.hex));
    }
    this.values[keyOf(part)] = items;
    return true;
  }

  private single(
    part: Exclude<Part, { kind: 'flags' | 'spare' | 'list' | 'octet' }>,
  ): Value | undefined {
    switch (part.kind) {
      case 'uint': {
        const at = this.take(part.octets);
        if (at < 0) return undefined;
        const value = numberText(this.bytes, at, part.octets, part.hex);
        return typeof value === 'number' ? named(part.names, value) : value;
      }
      case 'ipv4': {
        const at = this.take(4);
        return at < 0 ? undefined : ipv4Text(this.bytes, at);
      }
      case 'ipv6': {
        const at = this.take(16);
        return at < 0 ? undefined : ipv6Text(this.bytes, at);
      }
      case 'time': {
        const at = this.take(4);
        return at < 0 ? undefined : timeText(Number(numberText(this.bytes, at, 4)));
      }
      case 'fixed': {
        const at = this.take(part.octets);
        return at < 0 ? undefined : hexOf(this.bytes, at, this.at);
      }
      default:
        return this.counted(part.kind, part.counter);
    }
  }

  private counted(
    kind: 'text' | 'labels' | 'instance' | 'bytes',
    counter: number,
  ): Value | undefined {
    const countAt = this.take(counter);
    if (countAt < 0) return undefined;
    const length =
      counter === 0 ? this.end - this.at : Number(numberText(this.bytes, countAt, counter));
    const at = this.take(length);
    if (at < 0) return undefined;
    if (kind === 'bytes') return hexOf(this.bytes, at, this.at);
    if (isLabels(this.bytes, at, this.at) && kind !== 'text') {
      const text = labelText(this.bytes, at, this.at);
      if (text !== undefined) return kind === 'labels' ? text : { labels: text };
    }
    return kind === 'labels' && length > 0 ? undefined : plainText(this.bytes, at, this.at);
  }
}

function flagName(octets: readonly (readonly string[])[], octet: number, bit: number): string {
  return octets[octet]![bit] || `octet ${octet + 1} bit ${bit + 1}`;
}

/** Safe integers as numbers, larger ones as decimal text, or in hex with all digits. */
function numberText(bytes: Uint8Array, at: number, octets: number, hex = false): number | string {
  const digits = hexOf(bytes, at, at + octets);
  if (hex) return `0x${digits}`;
  const value = BigInt(`0x${digits}`);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString();
}

/** Undefined: it would not come back as the same octets. */
function plainText(bytes: Uint8Array, start: number, end: number): string | undefined {
  const octets = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
  const text = octets.toString('utf8');
  return Buffer.from(text, 'utf8').equals(octets) ? text : undefined;
}

function labelText(bytes: Uint8Array, start: number, end: number): string | undefined {
  instanceText.decode(bytes, start, end - start);
  const text = instanceText.toString();
  const again = labelsOf(text);
  return again !== undefined && Buffer.compare(again, bytes.subarray(start, end)) === 0
    ? text
    : undefined;
}

function timeText(ntpSeconds: number): string {
  const era = ntpSeconds >= NTP_HALF_ERA_S ? 0 : NTP_ERA_S;
  const unixMs = (ntpSeconds + era - NTP_EPOCH_S) * 1000;
  return new Date(unixMs).toISOString().replace('.000Z', 'Z');
}

function encodePart(part: Part, index: number, parts: number, values: Values): Uint8Array {
  if (part.kind === 'flags') {
    // What stands behind the flags would else be read as more of them.
    const all = values.rest !== undefined;
    const least = all ? part.octets.length : flagOctetsLeast(part.octets.length, index, parts);
    return encodeFlags(part.octets, least, values.flags);
  }
  if (part.kind === 'spare') return new Uint8Array(part.octets);
  if (part.kind === 'list') return encodeList(part, values[keyOf(part)]);
  if (!holds(part.when, values)) return new Uint8Array(0);
  if (part.kind === 'octet') {
    let octet = 0;
    for (const field of part.fields) {
      const value = numberOf(values[keyOf(field)], field.names);
      if (value >= 1n << BigInt(field.width)) throw wrong(keyOf(field), values);
      octet |= Number(value) << field.shift;
    }
    return Uint8Array.of(octet);
  }
  const octets = encodeSingle(part, values[keyOf(part)]);
  if (octets === undefined) throw wrong(keyOf(part), values);
  return octets;
}

function wrong(name: string, values: Values): TypeError {
  return new TypeError(`cannot encode ${name} of ${JSON.stringify(values)}`);
}

function encodeFlags(
  octets: readonly (readonly string[])[],
  least: number,
  value: Value | undefined,
): Uint8Array {
  const flags = new Uint8Array(octets.length);
  let length = least;
  for (const flag of Array.isArray(value) ? (value as unknown[]) : []) {
    let known = false;
    for (let octet = 0; octet < octets.length; octet++) {
      for (let bit = 0; bit < 8; bit++) {
        if (flagName(octets, octet, bit) !== flag) continue;
        flags[octet]! |= 1 << bit;
        length = Math.max(length, octet + 1);
        known = true;
      }
    }
    if (!known) throw new TypeError(`there is no flag ${JSON.stringify(flag)}`);
  }
  return flags.subarray(0, length);
}

function encodeList(part: Extract<Part, { kind: 'list' }>, value: Value | undefined): Uint8Array {
  const items = Array.isArray(value) ? (value as Value[]) : [];
  return Buffer.concat(items.map((item) => bigEndian(numberOf(item, part.names), part.octets)));
}

function encodeSingle(
  part: Exclude<Part, { kind: 'flags' | 'spare' | 'list' | 'octet' }>,
  value: Value | undefined,
): Uint8Array | undefined {
  switch (part.kind) {
    case 'uint':
      return bigEndian(numberOf(value, part.names), part.octets);
    case 'ipv4':
      return typeof value === 'string' ? parseIpv4(value) : undefined;
    case 'ipv6':
      return typeof value === 'string' ? parseIpv6(value) : undefined;
    case 'time': {
      const seconds = Date.parse(String(value)) / 1000 + NTP_EPOCH_S;
      return Number.isInteger(seconds) ? bigEndian(BigInt(seconds % NTP_ERA_S), 4) : undefined;
    }
    case 'fixed': {
      const octets = octetsOf(value);
      return octets.length === part.octets ? octets : undefined;
    }
    default: {
      const octets = encodeText(part.kind, value);
      if (octets === undefined || part.counter === 0) return octets;
      return Buffer.concat([bigEndian(BigInt(octets.length), part.counter), octets]);
    }
  }
}

function encodeText(
  kind: 'text' | 'labels' | 'instance' | 'bytes',
  value: Value | undefined,
): Uint8Array | undefined {
  if (kind === 'bytes') return octetsOf(value);
  if (kind === 'instance' && isValues(value) && typeof value.labels === 'string') {
    return labelsOf(value.labels);
  }
  if (typeof value !== 'string') return undefined;
  if (kind !== 'labels') return Buffer.from(value, 'utf8');
  return value === '' ? new Uint8Array(0) : labelsOf(value);
}

function numberOf(value: Value | undefined, names: Names | undefined): bigint {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return BigInt(value);
  for (const [number, name] of Object.entries(names ?? {})) {
    if (name === value) return BigInt(number);
  }
  if (typeof value === 'string' && /^(0x[0-9a-f]+|[0-9]+)$/i.test(value)) return BigInt(value);
  throw new TypeError(`expected a number, not ${JSON.stringify(value)}`);
}

function bigEndian(value: bigint, octets: number): Uint8Array {
  const hex = value.toString(16).padStart(octets * 2, '0');
  if (hex.length > octets * 2) throw new TypeError(`${value} does not fit in ${octets} octets`);
  return Buffer.from(hex, 'hex');
}
