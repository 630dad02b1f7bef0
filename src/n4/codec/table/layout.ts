/**
 * The small language in which table/ says what the value of an information element looks like:
 * a list of parts, one behind the other. value-codec.ts reads and writes values by it; the
 * minimum length of each element, which the reader checks, follows from it. Pure data.
 */

/** Meanings of numbers, shown in their place. */
export type Names = Readonly<Record<number, string>>;

/** A part is there only if all of these flags are set, `!` before one: not set. */
type When = readonly string[];

export interface BitField {
  readonly name: string;
  /** of the lowest bit, from 0 */
  readonly shift: number;
  readonly width: number;
  readonly names?: Names;
}

export type Part =
  /**
   * One octet a list, names from bit 1 up, '' for spare. At the end of a value, octets behind
   * its first may be absent.
   */
  | { readonly kind: 'flags'; readonly octets: readonly (readonly string[])[] }
  | { readonly kind: 'octet'; readonly fields: readonly BitField[]; readonly when: When }
  | {
      readonly kind: 'uint';
      readonly name: string;
      readonly octets: number;
      readonly when: When;
      readonly names?: Names;
      /** shown as 0x… with all digits */
      readonly hex?: boolean;
    }
  | { readonly kind: 'ipv4' | 'ipv6'; readonly name: string; readonly when: When }
  /** Seconds since 1900, 4 octets. */
  | { readonly kind: 'time'; readonly name: string; readonly when: When }
  /**
   * Text, labels (TS 23.003 clause 19.4.2), text that may be written as labels, or octets: as
   * many as the `counter` octets before it say; 0: all that are left.
   */
  | {
      readonly kind: 'text' | 'labels' | 'instance' | 'bytes';
      readonly name: string;
      readonly counter: number;
      readonly when: When;
    }
  /** Exactly that many octets. */
  | { readonly kind: 'fixed'; readonly name: string; readonly octets: number; readonly when: When }
  /** Octets that mean nothing. */
  | { readonly kind: 'spare'; readonly octets: number }
  /** The same number again until the value ends. */
  | {
      readonly kind: 'list';
      readonly name: string;
      readonly octets: number;
      readonly names?: Names;
      readonly hex?: boolean;
    };

export type Layout = readonly Part[];

const conditions = (when: string): When => when.split(' ').filter((flag) => flag !== '');

export function flags(...octets: string[]): Part {
  return {
    kind: 'flags',
    octets: octets.map((names) => names.split(' ').map((name) => (name === '-' ? '' : name))),
  };
}
export function octet(fields: readonly BitField[], when = ''): Part {
  return { kind: 'octet', fields, when: conditions(when) };
}
export function bits(name: string, shift: number, width: number, names?: Names): BitField {
  return names === undefined ? { name, shift, width } : { name, shift, width, names };
}
export function uint(octets: number, name = '', when = '', names?: Names): Part {
  const part = { kind: 'uint', name, octets, when: conditions(when) } as const;
  return names === undefined ? part : { ...part, names };
}
export function hex(octets: number, name = '', when = ''): Part {
  return { kind: 'uint', name, octets, when: conditions(when), hex: true };
}
export function ipv4(name = 'ipv4', when = ''): Part {
  return { kind: 'ipv4', name, when: conditions(when) };
}
export function ipv6(name = 'ipv6', when = ''): Part {
  return { kind: 'ipv6', name, when: conditions(when) };
}
export function time(name = '', when = ''): Part {
  return { kind: 'time', name, when: conditions(when) };
}
export function text(name = '', counter = 0, when = ''): Part {
  return { kind: 'text', name, counter, when: conditions(when) };
}
export function labels(name = '', when = ''): Part {
  return { kind: 'labels', name, counter: 0, when: conditions(when) };
}
export function instance(name = ''): Part {
  return { kind: 'instance', name, counter: 0, when: [] };
}
export function bytes(name = '', counter = 0, when = ''): Part {
  return { kind: 'bytes', name, counter, when: conditions(when) };
}
export function fixed(octets: number, name: string, when = ''): Part {
  return { kind: 'fixed', name, octets, when: conditions(when) };
}
export function spare(octets: number): Part {
  return { kind: 'spare', octets };
}
export function list(octets: number, name = '', names?: Names, inHex = false): Part {
  const part = { kind: 'list', name, octets, hex: inHex } as const;
  return names === undefined ? part : { ...part, names };
}

/** Octets that a value has at least. */
export function minimumLength(layout: Layout): number {
  return layout.reduce((sum, part, index) => sum + minimumOf(part, index, layout.length), 0);
}

/** How many octets of flags there have to be, at that place of that many. */
export function flagOctetsLeast(octets: number, index: number, parts: number): number {
  return index < parts - 1 ? octets : index === 0 ? 1 : 0;
}

function minimumOf(part: Part, index: number, parts: number): number {
  switch (part.kind) {
    case 'flags':
      return flagOctetsLeast(part.octets.length, index, parts);
    case 'list':
      return 0;
    case 'spare':
      return part.octets;
    default:
      return part.when.length === 0 ? lengthOf(part) : 0;
  }
}

function lengthOf(part: Exclude<Part, { kind: 'flags' | 'list' | 'spare' }>): number {
  switch (part.kind) {
    case 'octet':
      return 1;
    case 'uint':
    case 'fixed':
      return part.octets;
    case 'ipv4':
    case 'time':
      return 4;
    case 'ipv6':
      return 16;
    default:
      return part.counter;
  }
}
