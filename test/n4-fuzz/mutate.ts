/**
 * What a hostile or broken SMF makes of a message: octets changed, elements doubled, left out,
 * swapped, cut, nested in each other, with lengths that lie. Everything from one random source,
 * so that a seed is a run. Pure; any thread.
 */

export type Random = () => number;

const HEADER = 16;
const ELEMENT_HEADER = 4;
/** A message is a datagram. */
const LENGTH_MAX = 60_000;

interface Place {
  readonly at: number;
  readonly end: number;
}

export class Mutator {
  constructor(private readonly random: Random) {}

  below(count: number): number {
    return Math.floor(this.random() * count);
  }

  /** A changed copy; its header's length is right, but for one in 32. */
  mutate(message: Uint8Array): Uint8Array {
    let bytes: Uint8Array = message.slice();
    for (let changes = 1 + this.below(4); changes > 0; changes--) bytes = this.change(bytes);
    if (bytes.length > LENGTH_MAX) bytes = bytes.slice(0, LENGTH_MAX);
    if (this.below(32) !== 0) new DataView(bytes.buffer).setUint16(2, bytes.length - 4);
    return bytes;
  }

  private change(bytes: Uint8Array): Uint8Array {
    if (bytes.length <= HEADER + ELEMENT_HEADER) return bytes;
    const place = this.element(bytes, HEADER, bytes.length);
    const { at, end } = place;
    const element = bytes.subarray(at, end);
    switch (this.below(10)) {
      case 0:
        bytes[HEADER + this.below(bytes.length - HEADER)] = this.below(256);
        return bytes;
      case 1:
        bytes[HEADER + this.below(bytes.length - HEADER)]! ^= 1 << this.below(8);
        return bytes;
      case 2: // left out
        return joined(bytes.subarray(0, at), bytes.subarray(end));
      case 3: // there twice
        return joined(bytes.subarray(0, end), element, bytes.subarray(end));
      case 4: // at the end of the message, too
        return joined(bytes, element);
      case 5: // another type
        bytes[at] = this.below(8) === 0 ? 0x80 : this.below(2);
        bytes[at + 1] = this.below(256);
        return bytes;
      case 6: // a length that lies
        bytes[at + 2] = this.below(4) === 0 ? this.below(256) : bytes[at + 2]!;
        bytes[at + 3] = this.below(256);
        return bytes;
      case 7: // cut off
        return bytes.slice(0, HEADER + this.below(bytes.length - HEADER));
      case 8: // in itself, again and again
        return this.nested(bytes, place);
      default: // no value
        bytes[at + 2] = 0;
        bytes[at + 3] = 0;
        return joined(bytes.subarray(0, at + ELEMENT_HEADER), bytes.subarray(end));
    }
  }

  /** Some element, of the message or deeper. */
  private element(bytes: Uint8Array, start: number, end: number): Place {
    const places: Place[] = [];
    for (let at = start; at + ELEMENT_HEADER <= end; ) {
      const next = at + ELEMENT_HEADER + ((bytes[at + 2]! << 8) | bytes[at + 3]!);
      places.push({ at, end: Math.min(next, end) });
      at = next;
    }
    const place = places[this.below(places.length)]!;
    const inner = place.at + ELEMENT_HEADER;
    const goesDeeper = this.below(2) === 0 && place.end - inner > 2 * ELEMENT_HEADER;
    return goesDeeper ? this.element(bytes, inner, place.end) : place;
  }

  private nested(bytes: Uint8Array, { at, end }: Place): Uint8Array {
    let element = bytes.slice(at, end);
    for (let depth = 1 + this.below(200); depth > 0; depth--) {
      const outer = new Uint8Array(ELEMENT_HEADER + element.length);
      outer.set(bytes.subarray(at, at + 2));
      new DataView(outer.buffer).setUint16(2, element.length);
      outer.set(element, ELEMENT_HEADER);
      element = outer;
    }
    return joined(bytes.subarray(0, at), element, bytes.subarray(end));
  }
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}
