/** A value of DER (X.690) with its tag; `whole` has head and content. */
export interface DerValue {
  readonly tag: number;
  readonly content: Buffer;
  readonly whole: Buffer;
}

export const DER_INTEGER = 0x02;
export const DER_BIT_STRING = 0x03;
export const DER_OCTET_STRING = 0x04;
export const DER_SEQUENCE = 0x30;

const LONG_FORM = 0x80;
const LENGTH_OCTETS_MAX = 4;

/** Reads the values that lie behind one another; undefined when that is not strict DER. Pure. */
export function readDer(bytes: Uint8Array): DerValue[] | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const values: DerValue[] = [];
  for (let at = 0; at < buffer.length; ) {
    const head = readHead(buffer, at);
    if (head === undefined || buffer.length - head.start < head.length) return undefined;
    const end = head.start + head.length;
    values.push({
      tag: buffer[at]!,
      content: buffer.subarray(head.start, end),
      whole: buffer.subarray(at, end),
    });
    at = end;
  }
  return values;
}

/** The members of one SEQUENCE with nothing behind it, with these tags; undefined: it is not so. */
export function readSequence(
  bytes: Uint8Array,
  tags: readonly number[],
): readonly DerValue[] | undefined {
  const [outer, ...more] = readDer(bytes) ?? [];
  if (outer?.tag !== DER_SEQUENCE || more.length > 0) return undefined;
  const members = readDer(outer.content);
  const fits = members?.length === tags.length && members.every(({ tag }, i) => tag === tags[i]);
  return fits ? members : undefined;
}

/** An INTEGER that is not negative as `size` bytes; undefined: negative, too large, not minimal. */
export function unsignedOf({ content }: DerValue, size: number): Buffer | undefined {
  const first = content[0];
  if (first === undefined || first >= 0x80) return undefined;
  const padded = first === 0 && content.length > 1;
  if (padded && content[1]! < 0x80) return undefined;
  const digits = padded ? content.subarray(1) : content;
  if (digits.length > size) return undefined;
  return Buffer.concat([Buffer.alloc(size - digits.length), digits]);
}

/** One value. Pure. */
export function writeDer(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const length = contents.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.from([tag, ...lengthOctets(length)]), ...contents]);
}

/** An INTEGER of a big-endian number. Pure. */
export function writeUnsigned(number: Uint8Array): Buffer {
  let start = 0;
  while (start < number.length - 1 && number[start] === 0) start += 1;
  const digits = number.subarray(start);
  return writeDer(DER_INTEGER, Buffer.alloc(digits[0]! >= 0x80 ? 1 : 0), digits);
}

function readHead(buffer: Buffer, at: number): { start: number; length: number } | undefined {
  const short = buffer[at + 1];
  if (short === undefined) return undefined;
  if (short < LONG_FORM) return { start: at + 2, length: short };
  const octets = short - LONG_FORM;
  const start = at + 2 + octets;
  if (octets === 0 || octets > LENGTH_OCTETS_MAX || start > buffer.length) return undefined;
  const length = buffer.readUIntBE(at + 2, octets);
  // DER has one form for each length, the shortest.
  return lengthOctets(length).length === octets + 1 && length >= LONG_FORM
    ? { start, length }
    : undefined;
}

function lengthOctets(length: number): number[] {
  if (length < LONG_FORM) return [length];
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return [LONG_FORM + octets.length, ...octets];
}
