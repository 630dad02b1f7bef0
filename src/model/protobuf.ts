/**
 * The protobuf wire format, flat: a reader over bytes in place and a writer into one
 * reused buffer. No objects per field, no strings, no 64-bit integers: those come as low and
 * high words. Knows no message; see session-decode.ts and session-encode.ts. Any thread, one
 * instance each. Source: protobuf.dev, "Encoding".
 */

export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_BYTES = 2;
export const WIRE_GROUP = 3;
export const WIRE_GROUP_END = 4;
export const WIRE_FIXED32 = 5;

/** Groups within groups that skip() follows. */
const GROUP_DEPTH_MAX = 64;
/** Beyond every position: all loops over tag() end there. */
const NOWHERE = 0x3fffffff;
const EMPTY = new Uint8Array(0);
const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/**
 * Reads one message after another. Once something is malformed, `failed` is set, every tag()
 * is 0 and every value 0, so callers look at `failed` once, at the end.
 */
export class ProtobufReader {
  bytes: Uint8Array = EMPTY;
  position = 0;
  end = 0;
  failed = false;
  /** Words of the last varint() or fixed(), as signed 32-bit integers. */
  low = 0;
  high = 0;

  reset(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
    this.failed = start < 0 || end > bytes.length || start > end;
    if (this.failed) this.fail();
  }

  fail(): void {
    this.failed = true;
    this.position = NOWHERE;
    this.low = 0;
    this.high = 0;
  }

  /** The next field's tag (number << 3 | wire type); 0 at the end of the message or of sense. */
  tag(): number {
    const position = this.position;
    if (position >= this.end) return 0;
    const first = this.bytes[position]!;
    if (first < 0x80) {
      if (first < 8) {
        this.fail();
        return 0;
      }
      this.position = position + 1;
      return first;
    }
    return this.longTag();
  }

  private longTag(): number {
    this.varint();
    const tag = this.low >>> 0;
    if (this.high !== 0 || tag < 8) this.fail();
    return this.failed ? 0 : tag;
  }

  /** Reads a varint; its low word as a signed 32-bit integer is returned, too. */
  varint(): number {
    const position = this.position;
    if (position < this.end) {
      const first = this.bytes[position]!;
      if (first < 0x80) {
        this.position = position + 1;
        this.low = first;
        this.high = 0;
        return first;
      }
    }
    return this.longVarint();
  }

  private longVarint(): number {
    const bytes = this.bytes;
    const end = this.end;
    let position = this.position;
    let low = 0;
    let high = 0;
    for (let index = 0; index < 10 && position < end; index++) {
      const byte = bytes[position++]!;
      const group = byte & 0x7f;
      if (index < 4) low |= group << (7 * index);
      else if (index > 4) high |= group << (7 * index - 32);
      else {
        low |= group << 28;
        high = group >>> 4;
      }
      if (byte >= 0x80) continue;
      // The tenth byte holds the 64th bit only; more is a number that no field can take.
      if (index === 9 && byte > 1) break;
      this.position = position;
      this.low = low;
      this.high = high;
      return low;
    }
    this.fail();
    return 0;
  }

  /** A bool: any bit of the varint set. */
  bool(): boolean {
    this.varint();
    return (this.low | this.high) !== 0;
  }

  /** Length of a string, bytes or message that follows; it lies within the message. */
  length(): number {
    const length = this.varint();
    if (length >= 0 && this.high === 0 && length <= this.end - this.position) return length;
    this.fail();
    return 0;
  }

  /** Steps into a message; hand the result to close(). */
  open(): number {
    const length = this.length();
    const outer = this.end;
    if (!this.failed) this.end = this.position + length;
    return outer;
  }

  /** Steps back out to where open() came from. */
  close(outer: number): void {
    this.end = outer;
  }

  /** Passes over the value of a field that is unknown or of an unexpected type. */
  skip(tag: number): void {
    switch (tag & 7) {
      case WIRE_VARINT:
        this.varint();
        return;
      case WIRE_BYTES: {
        const length = this.length();
        this.position += length;
        return;
      }
      case WIRE_FIXED64:
        this.advance(8);
        return;
      case WIRE_FIXED32:
        this.advance(4);
        return;
      case WIRE_GROUP:
        this.skipGroup(tag >>> 3);
        return;
      default:
        this.fail();
    }
  }

  private advance(length: number): void {
    if (length > this.end - this.position) this.fail();
    else this.position += length;
  }

  private skipGroup(field: number): void {
    const open: number[] = [field];
    while (open.length > 0) {
      const tag = this.tag();
      const type = tag & 7;
      if (tag === 0 || open.length > GROUP_DEPTH_MAX) {
        this.fail();
        return;
      }
      if (type === WIRE_GROUP) open.push(tag >>> 3);
      else if (type !== WIRE_GROUP_END) this.skip(tag);
      else if (open.pop() !== tag >>> 3) this.fail();
    }
  }
}

/**
 * Writes messages from the end of its buffer towards the front: what comes last in the
 * message is written first, so that a length is known when its place comes, and nothing is
 * measured beforehand.
 *
 * Room: each string() and each reserve() leaves SLACK bytes for numbers behind it.
 */
export class ProtobufWriter {
  /** Enough for the numbers of the largest element between two calls of reserve(). */
  static readonly SLACK = 1024;
  bytes: Uint8Array;
  /** First written byte. */
  position: number;

  constructor(capacity = 16 * 1024) {
    this.bytes = new Uint8Array(capacity);
    this.position = capacity;
  }

  /** Forgets what was written; the buffer stays. */
  reset(): void {
    this.position = this.bytes.length;
    this.reserve(0);
  }

  /** Bytes written since reset(). */
  get size(): number {
    return this.bytes.length - this.position;
  }

  /** Makes room for `length` bytes and SLACK more. */
  reserve(length: number): void {
    if (this.position < length + ProtobufWriter.SLACK) this.grow(length);
  }

  private grow(length: number): void {
    const size = this.size;
    const capacity = Math.max(this.bytes.length * 2, size + length + ProtobufWriter.SLACK);
    const bytes = new Uint8Array(capacity);
    bytes.set(this.bytes.subarray(this.position), capacity - size);
    this.bytes = bytes;
    this.position = capacity - size;
  }

  /** A copy of what was written, fit to be handed to the network. */
  take(): Buffer {
    const copy = Buffer.allocUnsafe(this.size);
    copy.set(this.bytes.subarray(this.position));
    return copy;
  }

  /** The written bytes in place, until the next write. */
  view(): Uint8Array {
    return this.bytes.subarray(this.position);
  }

  /** A varint of 32 bits without a tag. */
  raw(value: number): void {
    if (value >= 0 && value < 0x80) {
      this.bytes[--this.position] = value;
      return;
    }
    const bytes = this.bytes;
    let rest = value >>> 0;
    let at = this.position - (rest < 0x4000 ? 2 : rest < 0x200000 ? 3 : rest < 0x10000000 ? 4 : 5);
    this.position = at;
    while (rest >= 0x80) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[at] = rest;
  }

  private raw64(low: number, high: number): void {
    if (high === 0) {
      this.raw(low);
      return;
    }
    let count = 5;
    for (let rest = high >>> 3; rest !== 0; rest >>>= 7) count++;
    let at = this.position - count;
    this.position = at;
    let lowRest = low >>> 0;
    let highRest = high >>> 0;
    while (--count > 0) {
      this.bytes[at++] = (lowRest & 0x7f) | 0x80;
      lowRest = ((lowRest >>> 7) | (highRest << 25)) >>> 0;
      highRest >>>= 7;
    }
    this.bytes[at] = lowRest;
  }

  /** uint32, enum or bool; left out when 0, as proto3 does. */
  uint32(field: number, value: number): void {
    if (value !== 0) this.presentUint32(field, value);
  }

  /** uint32 of an optional field or a oneof: 0 is written. */
  presentUint32(field: number, value: number): void {
    this.raw(value);
    this.raw(field << 3);
  }

  uint64(field: number, low: number, high: number): void {
    if ((low | high) !== 0) this.presentUint64(field, low, high);
  }

  presentUint64(field: number, low: number, high: number): void {
    this.raw64(low, high);
    this.raw(field << 3);
  }

  /** Ends (in the order of writing) the message or packed list begun when `size` was `mark`. */
  close(field: number, mark: number): void {
    this.raw(this.size - mark);
    this.raw((field << 3) | WIRE_BYTES);
  }

  /** Bytes that lie in 32-bit words in the machine's order, as texts do in a record. */
  words(field: number, words: Uint32Array, from: number, length: number): void {
    this.reserve(length);
    const mark = this.size;
    const bytes = this.bytes;
    let to = this.position - length;
    this.position = to;
    const end = to + length;
    for (let at = from; to < end; at++) {
      let word = LITTLE_ENDIAN ? words[at]! : swap(words[at]!);
      const stop = Math.min(to + 4, end);
      while (to < stop) {
        bytes[to++] = word;
        word >>>= 8;
      }
    }
    this.close(field, mark);
  }

  octets(field: number, source: Uint8Array, start: number, length: number): void {
    this.reserve(length);
    const mark = this.size;
    this.position -= length;
    for (let at = 0; at < length; at++) this.bytes[this.position + at] = source[start + at]!;
    this.close(field, mark);
  }

  /** A JavaScript string as UTF-8; left out when empty. */
  text(field: number, text: string): void {
    if (text === '') return;
    this.reserve(text.length);
    const mark = this.size;
    for (let at = text.length - 1; at >= 0; at--) {
      const code = text.charCodeAt(at);
      if (code >= 0x80) {
        this.position = this.bytes.length - mark;
        const utf8 = Buffer.from(text);
        this.octets(field, utf8, 0, utf8.length);
        return;
      }
      this.bytes[--this.position] = code;
    }
    this.close(field, mark);
  }
}

function swap(word: number): number {
  return (word >>> 24) | ((word >>> 8) & 0xff00) | ((word << 8) & 0xff0000) | (word << 24);
}
