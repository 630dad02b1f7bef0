/**
 * Reads PFCP messages into flat arrays, by the rules of table/. Lenient where senders differ,
 * strict where a mistake would be silent; never throws, keeps nothing, and its memory is
 * bounded by ELEMENTS_MAX. Values are read by values/, from where they lie. Any thread, one
 * reader each. Start at read().
 */
import * as Cause from './cause.js';
import {
  mandatoryBits,
  mandatoryTypes,
  placeOfMessage,
  SLOT_LENGTH_SHIFT,
  SLOT_MANDATORY,
  SLOT_PLACE_SHIFT,
  SLOT_REFUSED,
  slots,
  TYPES,
} from './grammar.js';
import { readWord } from './octets.js';
import { elementOf } from './table/table.js';

/** More elements in one message are refused with "No resources available". */
export const ELEMENTS_MAX = 8192;
/** Deeper than the table ever goes. */
const DEPTH_MAX = 8;
const HEADER_LENGTH = 8;
const SESSION_HEADER_LENGTH = 16;
const VERSION = 1;
const FLAG_SEID = 1;
const FLAG_PRIORITY = 2;

/** What to do with a datagram by its header alone. */
export const HEADER_OK = 0;
/** Too short, or its length is not that of the datagram: no answer. */
export const HEADER_DROP = 1;
/** Another version of the protocol: to be answered by Version Not Supported Response. */
export const HEADER_VERSION = 2;

export class MessageReader {
  bytes: Uint8Array = new Uint8Array(0);
  messageType = 0;
  hasSeid = false;
  seidLow = 0;
  seidHigh = 0;
  sequence = 0;
  /** 0 to 15; 0 too when the message has none */
  priority = 0;
  /**
   * Elements in pre-order: the children of group i are i + 1 to ieEnd[i] - 1; ieEnd[i] is its
   * next sibling. An element that counts as absent has type 0.
   */
  count = 0;
  readonly ieType = new Uint16Array(ELEMENTS_MAX);
  /** Where in `bytes` the value starts, and how many octets it has. */
  readonly valueAt = new Uint32Array(ELEMENTS_MAX);
  readonly valueLength = new Uint16Array(ELEMENTS_MAX);
  readonly ieEnd = new Uint16Array(ELEMENTS_MAX);
  /** After a refused read: what to answer, and the type of the element; 0: of none. */
  cause = 0;
  offendingIe = 0;
  /** Where the first element starts, and where the message ends. */
  bodyAt = 0;
  bodyEnd = 0;

  private readonly openIndex = new Uint16Array(DEPTH_MAX);
  private readonly openPlace = new Uint8Array(DEPTH_MAX);
  private readonly openSeen = new Uint32Array(DEPTH_MAX);
  private readonly openLimit = new Uint32Array(DEPTH_MAX);

  /**
   * Reads the header only; HEADER_OK, HEADER_DROP or HEADER_VERSION. For the last one the
   * sequence number stands where the flags say, as far as there are octets.
   * Source: TS 29.244 clauses 7.2.2 and 7.6.
   */
  header(bytes: Uint8Array, start: number, end: number): number {
    this.bytes = bytes;
    this.count = 0;
    this.cause = 0;
    this.offendingIe = 0;
    if (end - start < HEADER_LENGTH) return HEADER_DROP;
    const flags = bytes[start]!;
    this.messageType = bytes[start + 1]!;
    this.hasSeid = (flags & FLAG_SEID) !== 0;
    const length = this.hasSeid ? SESSION_HEADER_LENGTH : HEADER_LENGTH;
    const complete = end - start >= length;
    const at = start + (complete ? length : HEADER_LENGTH) - 4;
    this.sequence = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    if (flags >>> 5 !== VERSION) return HEADER_VERSION;
    if (!complete || ((bytes[start + 2]! << 8) | bytes[start + 3]!) + 4 !== end - start) {
      return HEADER_DROP;
    }
    this.priority = (flags & FLAG_PRIORITY) !== 0 ? bytes[at + 3]! >>> 4 : 0;
    this.seidHigh = this.hasSeid ? readWord(bytes, start + 4) : 0;
    this.seidLow = this.hasSeid ? readWord(bytes, start + 8) : 0;
    this.bodyAt = start + length;
    this.bodyEnd = end;
    return HEADER_OK;
  }

  /**
   * Reads a whole message. False: `cause` and `offendingIe` say what to answer; the elements
   * before the mistake are there.
   */
  read(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.header(bytes, start, end) !== HEADER_OK) return this.refuse(Cause.Rejected, 0);
    return this.body();
  }

  /** After header(): the rest of read(). */
  body(): boolean {
    const place = placeOfMessage[this.messageType]!;
    if (place === 0) return this.refuse(Cause.ServiceNotSupported, 0);
    return this.elements(place, mandatoryBits[place]!, this.bodyAt, this.bodyEnd);
  }

  /** Elements without a header, as if they stood in such a message; none has to be there. */
  readBody(messageType: number, bytes: Uint8Array, start: number, end: number): boolean {
    this.bytes = bytes;
    this.messageType = messageType;
    this.hasSeid = false;
    this.seidLow = 0;
    this.seidHigh = 0;
    this.sequence = 0;
    this.cause = 0;
    this.offendingIe = 0;
    this.bodyAt = start;
    this.bodyEnd = end;
    return this.elements(placeOfMessage[messageType]!, 0, start, end);
  }

  /** The first child of that type of a group, -1 for the message itself; -1: there is none. */
  find(group: number, type: number): number {
    const end = group < 0 ? this.count : this.ieEnd[group]!;
    for (let index = group + 1; index < end; index = this.ieEnd[index]!) {
      if (this.ieType[index] === type) return index;
    }
    return -1;
  }

  /** The next sibling of that type; `group` is what both are in. -1: there is none. */
  findNext(group: number, index: number, type: number): number {
    const end = group < 0 ? this.count : this.ieEnd[group]!;
    for (let next = this.ieEnd[index]!; next < end; next = this.ieEnd[next]!) {
      if (this.ieType[next] === type) return next;
    }
    return -1;
  }

  /** Where the elements in a group end: the loop's bound when walking with ieEnd. */
  endOf(group: number): number {
    return group < 0 ? this.count : this.ieEnd[group]!;
  }

  /** Numbers at the start of a value; its least length is checked already. */
  u8(index: number): number {
    return this.bytes[this.valueAt[index]!]!;
  }
  u16(index: number): number {
    const at = this.valueAt[index]!;
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!;
  }
  u32(index: number): number {
    return readWord(this.bytes, this.valueAt[index]!);
  }

  /** Flags: octet 5 is the lowest byte, then 6 and 7; what the sender left out is 0. */
  flags(index: number): number {
    const at = this.valueAt[index]!;
    const length = this.valueLength[index]!;
    const bytes = this.bytes;
    let flags = length > 0 ? bytes[at]! : 0;
    if (length > 1) flags |= bytes[at + 1]! << 8;
    if (length > 2) flags |= bytes[at + 2]! << 16;
    return flags;
  }

  /** The value is these octets. */
  valueEquals(index: number, other: Uint8Array): boolean {
    const at = this.valueAt[index]!;
    if (this.valueLength[index] !== other.length) return false;
    for (let octet = 0; octet < other.length; octet++) {
      if (this.bytes[at + octet] !== other[octet]) return false;
    }
    return true;
  }

  private refuse(cause: number, type: number): false {
    this.cause = cause;
    this.offendingIe = type;
    return false;
  }

  /** `required` is what has to be at the top; groups have their own. */
  private elements(place: number, required: number, start: number, end: number): boolean {
    const { bytes, ieType, valueAt, valueLength, ieEnd } = this;
    let [at, limit, seen, depth, count] = [start, end, ~required, 0, 0];
    this.count = 0;
    for (;;) {
      while (at === limit) {
        if (~seen !== 0) return this.missing(place, ~seen);
        if (depth === 0) return true;
        depth--;
        ieEnd[this.openIndex[depth]!] = count;
        place = this.openPlace[depth]!;
        seen = this.openSeen[depth]!;
        limit = this.openLimit[depth]!;
      }
      if (limit - at < 4) return this.refuse(Cause.InvalidLength, this.typeAround(depth));
      const type = (bytes[at]! << 8) | bytes[at + 1]!;
      const length = (bytes[at + 2]! << 8) | bytes[at + 3]!;
      at += 4;
      if (length > limit - at) return this.refuse(Cause.InvalidLength, type);
      if (count === ELEMENTS_MAX) return this.refuse(Cause.NoResources, 0);
      const slot = type < TYPES ? slots[place * TYPES + type]! : 0;
      ieType[count] = type;
      valueAt[count] = at;
      valueLength[count] = length;
      this.count = ieEnd[count] = count + 1;
      count++;
      const mandatory = slot & SLOT_MANDATORY;
      if (length < slot >>> SLOT_LENGTH_SHIFT) {
        if (mandatory !== 0) return this.refuse(Cause.InvalidLength, type);
        // A bad optional element counts as absent: TS 29.244 clause 7.6.
        ieType[count - 1] = 0;
      } else if ((slot & SLOT_REFUSED) !== 0) {
        return this.refuse(elementOf(type)!.refusal, type);
      } else if (mandatory !== 0) {
        seen |= 1 << (mandatory - 1);
      }
      const inner = (slot >>> SLOT_PLACE_SHIFT) & 255;
      if (inner === 0) {
        at += length;
        continue;
      }
      this.openIndex[depth] = count - 1;
      this.openPlace[depth] = place;
      this.openSeen[depth] = seen;
      this.openLimit[depth] = limit;
      depth++;
      limit = at + length;
      place = inner;
      seen = ~mandatoryBits[inner]!;
    }
  }

  private typeAround(depth: number): number {
    return depth === 0 ? 0 : this.ieType[this.openIndex[depth - 1]!]!;
  }

  private missing(place: number, bits: number): false {
    const ordinal = 31 - Math.clz32(bits & -bits);
    return this.refuse(Cause.MandatoryIeMissing, mandatoryTypes[place * 32 + ordinal]!);
  }
}
