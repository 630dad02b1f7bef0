/** Framed routes of a PDI and its traffic endpoints into a record. Pure. */
import { decimalBefore, ipv6Before } from '../../../base/ip-text.js';
import * as layout from '../../../model/record-layout.js';
import { FRAMED_ROUTES_MAX } from '../../../model/rules/filter-decode.js';
import { maskPrefix } from '../../../model/sdf.js';
import * as Ie from '../../codec/ie.js';
import type { RuleContext } from '../rule-context.js';

const SPACE = 0x20;
const SLASH = 0x2f;
const ZERO = 0x30;
const IPV6_WORDS = 4;
const TEXT_MAX = 48;

/** Gathers the routes of one PDR and then gives them one place in the record. */
export class RoutePlacer {
  private count = 0;
  /** As they lie in a record. */
  private readonly entries = new Uint32Array(FRAMED_ROUTES_MAX * layout.ROUTE_WORDS);
  private readonly texts = new Uint32Array(FRAMED_ROUTES_MAX);
  private readonly text = new Uint8Array(TEXT_MAX);

  begin(): void {
    this.count = 0;
  }

  /** Framed-Route or Framed-IPv6-Route: a prefix, then what is of no use here. */
  note(context: RuleContext, ie: number): void {
    const { tree, ip } = context;
    const { bytes } = tree;
    const ipv6 = tree.ieType[ie] === Ie.FramedIpv6Route;
    const start = tree.valueAt[ie]!;
    let end = start + tree.valueLength[ie]!;
    for (let at = start; at < end; at++) if (bytes[at] === SPACE) end = at;
    const slash = ipv6 ? ip.readIpv6(bytes, start, end) : ip.readIpv4(bytes, start, end);
    const widest = ipv6 ? 128 : 32;
    const length = slash === end ? widest : prefixLength(bytes, slash, end);
    if (slash < 0 || length < 0 || length > widest) {
      context.fail(tree.ieType[ie]!, 'a framed route begins with a prefix');
      return;
    }
    const entry = this.take(context, tree.ieType[ie]!);
    if (entry < 0) return;
    const entries = this.entries;
    entries[entry] = ipv6 ? 1 : 0;
    entries[entry + 1] = length;
    for (let word = 0; word < IPV6_WORDS; word++) {
      const ipv4Word = word === 0 ? ip.ipv4 : 0;
      entries[entry + 2 + word] = ipv6 ? ip.ipv6[word]! : ipv4Word;
    }
    maskPrefix(entries, entry + 2, length, ipv6 ? IPV6_WORDS : 1);
    this.texts[this.count - 1] = context.record.appendText(bytes, start, end - start);
  }

  /** An IPv6 prefix that is shorter than a /64. */
  notePrefix(context: RuleContext, high: number, low: number, length: number): void {
    const entry = this.take(context, Ie.UeIpAddress);
    if (entry < 0) return;
    const { entries, text } = this;
    entries.fill(0, entry, entry + layout.ROUTE_WORDS);
    entries[entry] = 1;
    entries[entry + 1] = length;
    entries[entry + 2] = high;
    entries[entry + 3] = low;
    maskPrefix(entries, entry + 2, length, IPV6_WORDS);
    let start = decimalBefore(text, TEXT_MAX, length);
    text[--start] = SLASH;
    start = ipv6Before(text, start, entries, entry + 2);
    this.texts[this.count - 1] = context.record.appendText(text, start, TEXT_MAX - start);
  }

  private take(context: RuleContext, type: number): number {
    if (this.count === FRAMED_ROUTES_MAX) {
      context.fail(type, `a PDR has at most ${FRAMED_ROUTES_MAX} framed routes`);
      return -1;
    }
    return this.count++ * layout.ROUTE_WORDS;
  }

  /** Writes what was noted into the record, for the PDR at `at`. */
  place(context: RuleContext, at: number): void {
    if (this.count === 0) return;
    const { record } = context;
    const { words } = record;
    const size = this.count * layout.ROUTE_WORDS;
    const routes = record.allocate(size);
    const texts = record.allocate(this.count);
    if (routes === 0 || texts === 0) return;
    for (let word = 0; word < size; word++) words[routes + word] = this.entries[word]!;
    for (let route = 0; route < this.count; route++) words[texts + route] = this.texts[route]!;
    words[at + layout.PDR_FRAMED_ROUTES]! |= routes;
    words[at + layout.PDR_ROUTES_TEXT] = texts;
    words[at + layout.PDR_LISTS]! |= this.count << 24;
  }
}

/** "/24" at `slash` to the end; -1: nothing of the kind. */
function prefixLength(bytes: Uint8Array, slash: number, end: number): number {
  if (slash < 0 || bytes[slash] !== SLASH || end - slash < 2 || end - slash > 4) return -1;
  let length = 0;
  for (let at = slash + 1; at < end; at++) {
    const digit = bytes[at]! - ZERO;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}
