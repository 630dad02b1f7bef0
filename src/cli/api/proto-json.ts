/**
 * Proto messages as people write them (JSON or YAML with the field names of the proto
 * file) and back, driven by the descriptors of the proto file itself, so that a misspelt
 * key or a wrong type is told with its path instead of being silently left out.
 * Durations are "10s" or "500ms", timestamps RFC 3339, 64-bit integers text or numbers,
 * enum values may leave out their prefix ("access" for INTERFACE_ACCESS), bytes are
 * hexadecimal text. Pure.
 */
import type { PackageDefinition } from '@grpc/proto-loader';
import { usageError } from '../../tools/tool-error.js';

interface FieldDescriptor {
  readonly name: string;
  readonly label: string;
  readonly type: string;
  readonly typeName: string;
}
interface TypeDescriptor {
  readonly field?: readonly FieldDescriptor[];
  readonly value?: readonly { readonly name: string }[];
}

const DURATION = 'google.protobuf.Duration';
const TIMESTAMP = 'google.protobuf.Timestamp';
const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600 };

/** The name in `names` that `word` was most likely meant to be, if one is near. */
function nearest(word: string, names: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[-_]/g, '');
  return names.find((name) => {
    const [a, b] = [plain(word), plain(name)];
    return a === b || a.startsWith(b) || b.startsWith(a);
  });
}

export class ProtoJson {
  constructor(private readonly definitions: PackageDefinition) {}

  /** Checks and converts what a person wrote to the message `typeName` of sluice.v1. */
  fromJson(typeName: string, value: unknown, path = ''): object {
    return this.message(`sluice.v1.${typeName}`, value, path);
  }

  /** A decoded message as JSON for people and programs. */
  toJson(typeName: string, message: object): object {
    return this.plain(`sluice.v1.${typeName}`, message) as object;
  }

  private descriptor(typeName: string): TypeDescriptor | undefined {
    const full = typeName.includes('.') ? typeName : `sluice.v1.${typeName}`;
    return this.definitions[full]?.type as TypeDescriptor | undefined;
  }

  private message(typeName: string, value: unknown, path: string): object {
    if (typeName === DURATION) return parseDuration(value, path);
    if (typeName === TIMESTAMP) return parseTimestamp(value, path);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw usageError(`${path || 'session'}: expected a mapping of fields`);
    }
    const fields = this.descriptor(typeName)?.field ?? [];
    const out: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(value)) {
      const at = path === '' ? key : `${path}.${key}`;
      const field = fields.find((candidate) => candidate.name === key);
      if (field === undefined) throw unknownField(at, key, fields);
      if (item !== null) out[key] = this.field(field, item, at);
    }
    return out;
  }

  private field(field: FieldDescriptor, value: unknown, path: string): unknown {
    if (field.label !== 'LABEL_REPEATED') return this.single(field, value, path);
    if (!Array.isArray(value)) throw usageError(`${path}: expected a list`);
    return value.map((item, index) => this.single(field, item, `${path}[${index}]`));
  }

  private single(field: FieldDescriptor, value: unknown, path: string): unknown {
    switch (field.type) {
      case 'TYPE_MESSAGE': {
        const name = field.typeName.includes('.') ? field.typeName : `sluice.v1.${field.typeName}`;
        return this.message(name, value, path);
      }
      case 'TYPE_ENUM':
        return this.enumValue(field.typeName, value, path);
      case 'TYPE_BOOL':
        if (typeof value === 'boolean') return value;
        throw usageError(`${path}: expected true or false`);
      case 'TYPE_STRING':
        if (typeof value === 'string') return value;
        if (typeof value === 'number') return String(value);
        throw usageError(`${path}: expected text`);
      case 'TYPE_BYTES':
        return octets(value, path);
      case 'TYPE_UINT32':
        return wholeNumber(value, 0xffffffffn, path);
      case 'TYPE_UINT64':
        return wholeNumber(value, 0xffffffffffffffffn, path);
      default:
        return value;
    }
  }

  private enumValue(typeName: string, value: unknown, path: string): string {
    const names = (this.descriptor(typeName)?.value ?? []).map((entry) => entry.name);
    const wanted = String(value).toUpperCase().replaceAll('-', '_');
    const found = names.find((name) => name === wanted || name.endsWith(`_${wanted}`));
    if (found !== undefined && !found.endsWith('_UNSPECIFIED')) return found;
    const allowed = names.filter((name) => !name.endsWith('_UNSPECIFIED'));
    throw usageError(`${path}: "${String(value)}" is none of ${allowed.join(', ')}`);
  }

  private plain(typeName: string, value: unknown): unknown {
    if (typeName === DURATION) return formatDuration(value);
    if (typeName === TIMESTAMP) return formatTimestamp(value);
    const fields = this.descriptor(typeName)?.field;
    if (fields === undefined || typeof value !== 'object' || value === null) return value;
    const out: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(value)) {
      const field = fields.find((candidate) => candidate.name === key);
      if (field === undefined || item === undefined) continue;
      if (field.type === 'TYPE_BYTES') out[key] = Buffer.from(item as Uint8Array).toString('hex');
      else if (field.type !== 'TYPE_MESSAGE') out[key] = item;
      else if (Array.isArray(item)) out[key] = item.map((each) => this.plain(field.typeName, each));
      else out[key] = this.plain(field.typeName, item);
    }
    return out;
  }
}

function unknownField(path: string, key: string, fields: readonly FieldDescriptor[]): Error {
  const names = fields.map((field) => field.name);
  const near = nearest(key, names);
  const hint = near === undefined ? `known: ${names.join(', ')}` : `did you mean ${near}?`;
  return usageError(`${path}: unknown field (${hint})`);
}

function wholeNumber(value: unknown, max: bigint, path: string): number | string {
  const text = typeof value === 'number' || typeof value === 'string' ? String(value).trim() : '';
  if (/^(0x[0-9a-fA-F]+|\d+)$/.test(text) && BigInt(text) <= max) {
    const number = BigInt(text);
    return max > 0xffffffffn ? number.toString() : Number(number);
  }
  throw usageError(`${path}: "${String(value)}" is no whole number from 0 to ${max}`);
}

function octets(value: unknown, path: string): Buffer {
  if (typeof value === 'string' && /^([0-9a-fA-F]{2})*$/.test(value)) {
    return Buffer.from(value, 'hex');
  }
  // Digits alone are a number to YAML.
  throw usageError(`${path}: expected hexadecimal text in quotes`);
}

/** Seconds and nanoseconds of "10s", "500ms", "2m", "1.5h" or a plain number of seconds. */
function parseDuration(value: unknown, path: string): object {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)?$/.exec(String(value));
  if (match === null) {
    throw usageError(`${path}: "${String(value)}" is no duration, such as 10s, 500ms or 2m`);
  }
  const ms = Math.round(Number(match[1]) * (DURATION_UNITS[match[2] ?? 's'] ?? 1) * 1000);
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1_000_000 };
}

function parseTimestamp(value: unknown, path: string): object {
  const ms = Date.parse(String(value));
  if (Number.isNaN(ms)) throw usageError(`${path}: "${String(value)}" is no RFC 3339 time`);
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1_000_000 };
}

/** Milliseconds of a Duration or Timestamp message. */
export function milliseconds(value: unknown): number {
  const { seconds = 0, nanos = 0 } = (value ?? {}) as { seconds?: string | number; nanos?: number };
  return Number(seconds) * 1000 + Number(nanos) / 1e6;
}

export function formatDuration(value: unknown): string {
  return `${milliseconds(value) / 1000}s`;
}

export function formatTimestamp(value: unknown): string {
  return new Date(milliseconds(value)).toISOString();
}
