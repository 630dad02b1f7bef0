/**
 * A session record: {@link RecordBuffer} is the scratch that decoders write one into; the
 * functions below read one wherever it lies, given as (words, base) with `base` the index of
 * its first word. Texts are read out of the words, so no second view is needed. Owner: one
 * thread each. Start at record-layout.ts for the layout, session-decode.ts for a writer.
 */
import * as layout from './record-layout.js';

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** Four bytes as they lie in memory, as a word. */
function wordOf(first: number, second: number, third: number, fourth: number): number {
  return LITTLE_ENDIAN
    ? first | (second << 8) | (third << 16) | (fourth << 24)
    : (first << 24) | (second << 16) | (third << 8) | fourth;
}

/** References between rules by ID, as requests have them; link.ts turns them into indices. */
export class RuleReferences {
  /** per PDR */
  readonly farIds = new Uint32Array(256);
  /** per PDR: first and count in `qerIds` and in `urrIds` */
  readonly qerFirst = new Uint16Array(256);
  readonly qerCount = new Uint16Array(256);
  readonly urrFirst = new Uint16Array(256);
  readonly urrCount = new Uint16Array(256);
  /** per URR: first and count in `urrIds`; quota FAR */
  readonly linkedFirst = new Uint16Array(256);
  readonly linkedCount = new Uint16Array(256);
  readonly quotaFarIds = new Uint32Array(256);
  /** per URR with URR_MORE: its URR_MORE_WORDS, until they get their place behind the linked */
  readonly more = new Uint32Array(256 * layout.URR_MORE_WORDS);
  /** per FAR; 0: none */
  readonly barIds = new Uint32Array(256);
  readonly qerIds = new Uint32Array(0x4000);
  readonly urrIds = new Uint32Array(0x4000);
  qers = 0;
  urrs = 0;

  /** Plain loops: for a few words fill() costs more than it does. */
  clear(pdrs: number, fars: number, urrs: number): void {
    this.qers = 0;
    this.urrs = 0;
    for (let pdr = 0; pdr < pdrs; pdr++) {
      this.farIds[pdr] = 0;
      this.qerCount[pdr] = 0;
      this.urrCount[pdr] = 0;
    }
    for (let far = 0; far < fars; far++) this.barIds[far] = 0;
    for (let urr = 0; urr < urrs; urr++) {
      this.quotaFarIds[urr] = 0;
      this.linkedCount[urr] = 0;
    }
    const more = urrs * layout.URR_MORE_WORDS;
    for (let word = 0; word < more; word++) this.more[word] = 0;
  }
}

export class RecordBuffer {
  /** The whole bound at once: pages that no record reaches cost nothing. */
  readonly words = new Uint32Array(layout.RECORD_WORDS_MAX);
  readonly bytes = new Uint8Array(this.words.buffer);
  readonly references = new RuleReferences();
  /** First free word. */
  top = 0;
  /** Something did not fit; what was asked for since is absent. */
  overflowed = false;
  pdrs = 0;
  fars = 0;
  qers = 0;
  urrs = 0;
  bars = 0;
  filters = 0;
  /** First word of each table. */
  farsAt = 0;
  qersAt = 0;
  urrsAt = 0;
  barsAt = 0;
  filtersAt = 0;
  /** Texts of late, so that equal ones are kept once. */
  private readonly recent = new Int32Array(16);
  private recentCount = 0;

  /** Starts a record with zeroed tables of these sizes; at most 255 of each, 65535 filters. */
  begin(
    pdrs: number,
    fars: number,
    qers: number,
    urrs: number,
    bars: number,
    filters: number,
  ): void {
    this.pdrs = pdrs;
    this.fars = fars;
    this.qers = qers;
    this.urrs = urrs;
    this.bars = bars;
    this.farsAt = layout.HEADER_WORDS + pdrs * layout.PDR_WORDS;
    this.qersAt = this.farsAt + fars * layout.FAR_WORDS;
    this.urrsAt = this.qersAt + qers * layout.QER_WORDS;
    this.barsAt = this.urrsAt + urrs * layout.URR_WORDS;
    this.filtersAt = this.barsAt + bars * layout.BAR_WORDS;
    const top = this.filtersAt + filters * layout.FILTER_WORDS;
    this.overflowed = top > layout.RECORD_WORDS_MAX;
    this.filters = this.overflowed ? 0 : filters;
    this.top = this.overflowed ? this.filtersAt : top;
    this.recentCount = 0;
    const words = this.words;
    words.fill(0, 0, this.top);
    words[layout.HEADER_MAGIC] = layout.RECORD_MAGIC;
    words[layout.HEADER_COUNTS1] = (pdrs << 8) | (fars << 16) | (qers << 24);
    words[layout.HEADER_COUNTS2] = urrs | (bars << 8) | (this.filters << 16);
    this.references.clear(pdrs, fars, urrs);
  }

  /** Pads the record and writes its length; call again after anything was appended. */
  finish(): boolean {
    if ((this.top & 1) !== 0) this.allocate(1);
    this.words[layout.HEADER_BYTES] = this.top * 4;
    return !this.overflowed;
  }

  /** Takes that many zeroed words; their index, or 0 when the record is full. */
  allocate(count: number): number {
    const at = this.top;
    // One word stays for the padding of finish().
    if (at + count > layout.RECORD_WORDS_MAX - 1) {
      this.overflowed = true;
      return 0;
    }
    const words = this.words;
    for (let word = at; word < at + count; word++) words[word] = 0;
    this.top = at + count;
    return at;
  }

  /**
   * One more monitoring time of the URR at this position: index of its zeroed MONITOR_WORDS, 0
   * when the record is full or the URR has too many. They come one after the other, with
   * nothing else of the record in between, in ascending order of time.
   */
  addMonitor(urr: number): number {
    const more = urr * layout.URR_MORE_WORDS + layout.URR_MORE_MONITORS;
    const list = this.references.more[more]!;
    const count = list >>> 16;
    if (count === layout.MONITORS_MAX) return 0;
    const at = this.allocate(layout.MONITOR_WORDS);
    if (at === 0) return 0;
    this.references.more[more] = (count === 0 ? at : list & 0xffff) | ((count + 1) << 16);
    this.words[this.urrsAt + urr * layout.URR_WORDS + layout.URR_FLAGS]! |= layout.URR_MORE;
    return at;
  }

  /** Keeps bytes in the record and returns their Ref; 0 for none. */
  append(source: Uint8Array, start: number, length: number): number {
    if (length === 0) return 0;
    const at = this.top;
    const behind = at + ((length + 3) >>> 2);
    if (length > 0xffff || behind > layout.RECORD_WORDS_MAX - 1) {
      this.overflowed = true;
      return 0;
    }
    const words = this.words;
    let from = start;
    for (let word = at; word < behind - 1; word++, from += 4) {
      words[word] = wordOf(source[from]!, source[from + 1]!, source[from + 2]!, source[from + 3]!);
    }
    const rest = start + length - from;
    words[behind - 1] = wordOf(
      source[from]!,
      rest > 1 ? source[from + 1]! : 0,
      rest > 2 ? source[from + 2]! : 0,
      rest > 3 ? source[from + 3]! : 0,
    );
    this.top = behind;
    return (at << 16) | length;
  }

  /** append(), but a text that was kept lately is shared. */
  appendText(source: Uint8Array, start: number, length: number): number {
    if (length === 0) return 0;
    const recent = this.recent;
    for (let index = Math.min(this.recentCount, 16) - 1; index >= 0; index--) {
      const ref = recent[index]!;
      if ((ref & 0xffff) === length && this.isText(ref, source, start)) return ref;
    }
    const ref = this.append(source, start, length);
    recent[this.recentCount & 15] = ref;
    this.recentCount++;
    return ref;
  }

  private isText(ref: number, source: Uint8Array, start: number): boolean {
    const bytes = this.bytes;
    const from = (ref >>> 16) * 4;
    // Texts differ at their ends more often than at their beginnings.
    for (let at = (ref & 0xffff) - 1; at >= 0; at--) {
      if (bytes[from + at] !== source[start + at]) return false;
    }
    return true;
  }

  /** Sets a text of the header: HEADER_NAME, HEADER_OWNER, HEADER_DNN. */
  setText(word: number, source: Uint8Array, start = 0, length = source.length): void {
    this.words[word] = this.append(source, start, length);
  }

  /** A PDI names the session's UE IPv4 address, 0: any of the pool. False: it has another one. */
  nameUeIpv4(address: number): boolean {
    const words = this.words;
    const known = words[layout.HEADER_UE_IPV4]!;
    if (address !== 0 && known !== 0 && known !== address >>> 0) return false;
    if (address !== 0) words[layout.HEADER_UE_IPV4] = address;
    const pool = (known | address) === 0 ? layout.UE_IPV4_FROM_POOL : 0;
    words[layout.HEADER_FLAGS] =
      (words[layout.HEADER_FLAGS]! & ~layout.UE_IPV4_FROM_POOL) | layout.UE_IPV4 | pool;
    return true;
  }

  /** The same for the UE's /64; 0, 0: any of the pool. */
  nameUePrefix(high: number, low: number): boolean {
    const words = this.words;
    const knownHigh = words[layout.HEADER_UE_PREFIX_HIGH]!;
    const knownLow = words[layout.HEADER_UE_PREFIX_LOW]!;
    const given = (high | low) !== 0;
    const known = (knownHigh | knownLow) !== 0;
    if (given && known && (knownHigh !== high >>> 0 || knownLow !== low >>> 0)) return false;
    if (given) {
      words[layout.HEADER_UE_PREFIX_HIGH] = high;
      words[layout.HEADER_UE_PREFIX_LOW] = low;
    }
    const pool = given || known ? 0 : layout.UE_IPV6_FROM_POOL;
    words[layout.HEADER_FLAGS] =
      (words[layout.HEADER_FLAGS]! & ~layout.UE_IPV6_FROM_POOL) | layout.UE_IPV6 | pool;
    return true;
  }

  /**
   * Notes the interface identifier that the UE was assigned, as a mark of 16 bits: that of
   * interface_mark in native/session/flow.h. 0, 0 says nothing about it.
   */
  nameUeInterface(high: number, low: number): void {
    if ((high | low) === 0) return;
    const mark = Math.imul(high ^ Math.imul(low, 0x9e3779b1), 0x85ebca6b) >>> 16 || 1;
    const flags = this.words[layout.HEADER_FLAGS]! & ((1 << layout.UE_INTERFACE_SHIFT) - 1);
    this.words[layout.HEADER_FLAGS] = flags | (mark << layout.UE_INTERFACE_SHIFT);
  }
}

export function recordWords(words: Uint32Array, base: number): number {
  return words[base + layout.HEADER_BYTES]! >>> 2;
}
/** Milliseconds since 1970. */
export function createTime(words: Uint32Array, base: number): number {
  const high = words[base + layout.HEADER_CREATE_TIME_HIGH]!;
  return high * 2 ** 32 + words[base + layout.HEADER_CREATE_TIME_LOW]!;
}
export function pdnType(words: Uint32Array, base: number): number {
  return words[base + layout.HEADER_COUNTS1]! & 255;
}
export function pdrCount(words: Uint32Array, base: number): number {
  return (words[base + layout.HEADER_COUNTS1]! >>> 8) & 255;
}
export function farCount(words: Uint32Array, base: number): number {
  return (words[base + layout.HEADER_COUNTS1]! >>> 16) & 255;
}
export function qerCount(words: Uint32Array, base: number): number {
  return words[base + layout.HEADER_COUNTS1]! >>> 24;
}
export function urrCount(words: Uint32Array, base: number): number {
  return words[base + layout.HEADER_COUNTS2]! & 255;
}
export function barCount(words: Uint32Array, base: number): number {
  return (words[base + layout.HEADER_COUNTS2]! >>> 8) & 255;
}
export function filterCount(words: Uint32Array, base: number): number {
  return words[base + layout.HEADER_COUNTS2]! >>> 16;
}

/** Index in `words` of the first entry of each table; entries follow each other. */
export function pdrsAt(base: number): number {
  return base + layout.HEADER_WORDS;
}
export function farsAt(words: Uint32Array, base: number): number {
  return base + layout.HEADER_WORDS + pdrCount(words, base) * layout.PDR_WORDS;
}
export function qersAt(words: Uint32Array, base: number): number {
  return farsAt(words, base) + farCount(words, base) * layout.FAR_WORDS;
}
export function urrsAt(words: Uint32Array, base: number): number {
  return qersAt(words, base) + qerCount(words, base) * layout.QER_WORDS;
}
export function barsAt(words: Uint32Array, base: number): number {
  return urrsAt(words, base) + urrCount(words, base) * layout.URR_WORDS;
}
export function filtersAt(words: Uint32Array, base: number): number {
  return barsAt(words, base) + barCount(words, base) * layout.BAR_WORDS;
}

/** Where the URR_MORE_WORDS of the URR at words[at…] lie; 0: it has none. */
export function urrMoreAt(words: Uint32Array, base: number, at: number): number {
  if ((words[at + layout.URR_FLAGS]! & layout.URR_MORE) === 0) return 0;
  const linked = words[at + layout.URR_LINKED]!;
  return base + (linked & 0xffff) + (((linked >>> 16) + 3) >>> 2);
}

/** Where the words of a Ref lie, and how many bytes of them count. */
export function refAt(base: number, ref: number): number {
  return base + (ref >>> 16);
}
export function refLength(ref: number): number {
  return ref & 0xffff;
}

/** One byte of bytes that lie in words from words[from] on. */
export function byteAt(words: Uint32Array, from: number, index: number): number {
  const shift = (LITTLE_ENDIAN ? index & 3 : 3 - (index & 3)) << 3;
  return (words[from + (index >>> 2)]! >>> shift) & 255;
}

/** A Ref's text as a string: for edges, logs and keys of maps. */
export function refText(words: Uint32Array, base: number, ref: number): string {
  const length = refLength(ref);
  if (length === 0) return '';
  const start = words.byteOffset + refAt(base, ref) * 4;
  return Buffer.from(words.buffer, start, length).toString('utf8');
}

/** Two Refs, in two records or one, say the same. Padding is zero, so words compare. */
export function sameText(
  a: Uint32Array,
  aBase: number,
  aRef: number,
  b: Uint32Array,
  bBase: number,
  bRef: number,
): boolean {
  if ((aRef & 0xffff) !== (bRef & 0xffff)) return false;
  return sameWords(a, refAt(aBase, aRef), b, refAt(bBase, bRef), ((aRef & 0xffff) + 3) >>> 2);
}

export function sameWords(
  a: Uint32Array,
  aFrom: number,
  b: Uint32Array,
  bFrom: number,
  count: number,
): boolean {
  for (let index = 0; index < count; index++) {
    if (a[aFrom + index] !== b[bFrom + index]) return false;
  }
  return true;
}
