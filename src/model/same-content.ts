/**
 * Whether two records say the same: whole requests (a create that is repeated), and single
 * QERs and URRs (an update keeps the buckets and counters of those that stay). What this
 * node chose or counts is left out. Pure; any thread.
 */
import * as record from './record.js';
import * as layout from './record-layout.js';

/** A record where it lies. */
interface Side {
  readonly words: Uint32Array;
  readonly base: number;
}

/**
 * The two ask for the same session: names, types and rules in the same order. Ignored: SEID,
 * revision, owner, index, incarnation, times, chosen TEIDs and addresses. "auto" is the same
 * as "auto", and as the address that came of it; so is an F-TEID without an address.
 */
export function sameContent(a: Uint32Array, aBase: number, b: Uint32Array, bBase: number): boolean {
  const one = { words: a, base: aBase };
  const other = { words: b, base: bBase };
  return (
    sameWord(one, other, layout.HEADER_COUNTS1) &&
    sameWord(one, other, layout.HEADER_COUNTS2) &&
    sameRef(one, aBase + layout.HEADER_NAME, other, bBase + layout.HEADER_NAME) &&
    sameRef(one, aBase + layout.HEADER_DNN, other, bBase + layout.HEADER_DNN) &&
    sameRef(one, aBase + layout.HEADER_SHADOW, other, bBase + layout.HEADER_SHADOW) &&
    samePdrs(one, other) &&
    sameFars(one, other) &&
    sameTable(one, other, record.qerCount(a, aBase), sameQer) &&
    sameTable(one, other, record.urrCount(a, aBase), sameUrr) &&
    sameBars(one, other) &&
    sameFilters(one, other)
  );
}

/** The QERs at these positions are alike: same ID, same parameters. */
export function sameQer(
  a: Uint32Array,
  aBase: number,
  aIndex: number,
  b: Uint32Array,
  bBase: number,
  bIndex: number,
): boolean {
  const aAt = record.qersAt(a, aBase) + aIndex * layout.QER_WORDS;
  const bAt = record.qersAt(b, bBase) + bIndex * layout.QER_WORDS;
  const bucket = layout.QER_SHARED_BUCKET;
  return (
    record.sameWords(a, aAt, b, bAt, bucket) &&
    record.sameText(a, aBase, a[aAt + bucket]!, b, bBase, b[bAt + bucket]!)
  );
}

/** The URRs at these positions are alike; linked URRs and the quota FAR compare by ID. */
export function sameUrr(
  a: Uint32Array,
  aBase: number,
  aIndex: number,
  b: Uint32Array,
  bBase: number,
  bIndex: number,
): boolean {
  const aUrrs = record.urrsAt(a, aBase);
  const bUrrs = record.urrsAt(b, bBase);
  const aAt = aUrrs + aIndex * layout.URR_WORDS;
  const bAt = bUrrs + bIndex * layout.URR_WORDS;
  if (!record.sameWords(a, aAt, b, bAt, layout.URR_LINKED)) return false;
  if (quotaFarId(a, aBase, aAt) !== quotaFarId(b, bBase, bAt)) return false;
  const grants = a[aAt + layout.URR_QUOTA_FAR]! ^ b[bAt + layout.URR_QUOTA_FAR]!;
  if (grants >>> layout.URR_QUOTA_GRANT_SHIFT !== 0) return false;
  if (!sameMore(a, aBase, aAt, b, bBase, bAt)) return false;
  const aLinked = a[aAt + layout.URR_LINKED]!;
  const bLinked = b[bAt + layout.URR_LINKED]!;
  if (aLinked >>> 16 !== bLinked >>> 16) return false;
  for (let position = 0; position < aLinked >>> 16; position++) {
    const aOther = record.byteAt(a, aBase + (aLinked & 0xffff), position);
    const bOther = record.byteAt(b, bBase + (bLinked & 0xffff), position);
    if (a[aUrrs + aOther * layout.URR_WORDS] !== b[bUrrs + bOther * layout.URR_WORDS]) return false;
  }
  return true;
}

/** Flags were compared. */
function sameMore(
  a: Uint32Array,
  aBase: number,
  aUrr: number,
  b: Uint32Array,
  bBase: number,
  bUrr: number,
): boolean {
  const aAt = record.urrMoreAt(a, aBase, aUrr);
  if (aAt === 0) return true;
  const bAt = record.urrMoreAt(b, bBase, bUrr);
  const monitors = layout.URR_MORE_MONITORS;
  const aList = a[aAt + monitors]!;
  const bList = b[bAt + monitors]!;
  const behind = monitors + 1;
  return (
    aList >>> 16 === bList >>> 16 &&
    record.sameWords(a, aAt, b, bAt, monitors) &&
    record.sameWords(a, aAt + behind, b, bAt + behind, layout.URR_MORE_WORDS - behind) &&
    record.sameWords(
      a,
      aBase + (aList & 0xffff),
      b,
      bBase + (bList & 0xffff),
      (aList >>> 16) * layout.MONITOR_WORDS,
    )
  );
}

/** 0: drop, as in the API. */
function quotaFarId(words: Uint32Array, base: number, at: number): number {
  const far = words[at + layout.URR_QUOTA_FAR]! & 255;
  return far === 0 ? 0 : words[record.farsAt(words, base) + (far - 1) * layout.FAR_WORDS]!;
}

function sameWord(one: Side, other: Side, word: number): boolean {
  return one.words[one.base + word] === other.words[other.base + word];
}

function sameRef(one: Side, oneAt: number, other: Side, otherAt: number): boolean {
  const oneRef = one.words[oneAt]!;
  const otherRef = other.words[otherAt]!;
  return record.sameText(one.words, one.base, oneRef, other.words, other.base, otherRef);
}

type SameEntry = typeof sameQer;

function sameTable(one: Side, other: Side, count: number, same: SameEntry): boolean {
  for (let index = 0; index < count; index++) {
    if (!same(one.words, one.base, index, other.words, other.base, index)) return false;
  }
  return true;
}

function samePdrs(one: Side, other: Side): boolean {
  const count = record.pdrCount(one.words, one.base);
  for (let index = 0; index < count; index++) {
    const oneAt = record.pdrsAt(one.base) + index * layout.PDR_WORDS;
    const otherAt = record.pdrsAt(other.base) + index * layout.PDR_WORDS;
    if (!samePdr(one, oneAt, other, otherAt)) return false;
  }
  return true;
}

function samePdr(one: Side, oneAt: number, other: Side, otherAt: number): boolean {
  const { words: a } = one;
  const { words: b } = other;
  const qfis = layout.PDR_FILTERS - layout.PDR_QFIS_LOW;
  return (
    a[oneAt] === b[otherAt] &&
    a[oneAt + layout.PDR_PRECEDENCE] === b[otherAt + layout.PDR_PRECEDENCE] &&
    sameRef(one, oneAt + layout.PDR_INSTANCE, other, otherAt + layout.PDR_INSTANCE) &&
    sameFTeid(a, oneAt, b, otherAt) &&
    record.sameWords(a, oneAt + layout.PDR_QFIS_LOW, b, otherAt + layout.PDR_QFIS_LOW, qfis) &&
    a[oneAt + layout.PDR_FILTERS] === b[otherAt + layout.PDR_FILTERS] &&
    sameUe(one, oneAt, other, otherAt) &&
    sameLists(one, oneAt, other, otherAt)
  );
}

function sameFTeid(a: Uint32Array, aAt: number, b: Uint32Array, bAt: number): boolean {
  const aFlags = a[aAt + layout.PDR_F_TEID]!;
  const bFlags = b[bAt + layout.PDR_F_TEID]!;
  const identity =
    ~0xff |
    layout.F_TEID_PRESENT |
    layout.F_TEID_CHOSEN_HERE |
    layout.F_TEID_UNSHARED |
    layout.F_TEID_ENDPOINT;
  if (((aFlags ^ bFlags) & identity) !== 0) return false;
  if ((aFlags & layout.F_TEID_PRESENT) === 0) return true;
  if ((aFlags & layout.F_TEID_CHOSEN_HERE) !== 0) return true;
  if (a[aAt + layout.PDR_TEID] !== b[bAt + layout.PDR_TEID]) return false;
  const families = layout.F_TEID_IPV4 | layout.F_TEID_IPV6;
  const aGiven = (aFlags & layout.F_TEID_ADDRESS_HERE) === 0 ? aFlags & families : 0;
  const bGiven = (bFlags & layout.F_TEID_ADDRESS_HERE) === 0 ? bFlags & families : 0;
  if (aGiven === 0 && bGiven === 0) return true;
  if (((aFlags ^ bFlags) & families) !== 0) return false;
  const count = layout.PDR_QFIS_LOW - layout.PDR_LOCAL_IPV4;
  return record.sameWords(a, aAt + layout.PDR_LOCAL_IPV4, b, bAt + layout.PDR_LOCAL_IPV4, count);
}

function sameUe(one: Side, oneAt: number, other: Side, otherAt: number): boolean {
  const aFlags = one.words[oneAt + layout.PDR_LISTS]! >>> 16;
  const bFlags = other.words[otherAt + layout.PDR_LISTS]! >>> 16;
  const named = layout.PDR_UE_IPV4 | layout.PDR_UE_IPV6;
  if (((aFlags ^ bFlags) & named) !== 0) return false;
  const auto = aFlags & bFlags;
  if ((aFlags & layout.PDR_UE_IPV4) !== 0 && (auto & layout.PDR_UE_IPV4_AUTO) === 0) {
    if (!sameWord(one, other, layout.HEADER_UE_IPV4)) return false;
  }
  if ((aFlags & layout.PDR_UE_IPV6) === 0 || (auto & layout.PDR_UE_IPV6_AUTO) !== 0) return true;
  return (
    sameWord(one, other, layout.HEADER_UE_PREFIX_HIGH) &&
    sameWord(one, other, layout.HEADER_UE_PREFIX_LOW)
  );
}

/** QERs, URRs, framed routes and the protection; FAR and numbers of QERs and URRs were compared with flags. */
function sameLists(one: Side, oneAt: number, other: Side, otherAt: number): boolean {
  const aLists = one.words[oneAt + layout.PDR_LISTS]!;
  const bLists = other.words[otherAt + layout.PDR_LISTS]!;
  const routes = aLists >>> 24;
  if (routes !== bLists >>> 24) return false;
  const qers = one.words[oneAt + layout.PDR_F_TEID]! >>> 24;
  const urrs = one.words[oneAt + layout.PDR_FILTERS]! >>> 24;
  const aList = one.base + (aLists & 0xffff);
  const bList = other.base + (bLists & 0xffff);
  if (!record.sameWords(one.words, aList, other.words, bList, (qers + urrs + 3) >>> 2))
    return false;
  const aWord = one.words[oneAt + layout.PDR_FRAMED_ROUTES]!;
  const bWord = other.words[otherAt + layout.PDR_FRAMED_ROUTES]!;
  if (aWord >>> 16 !== bWord >>> 16) return false;
  const aRoutes = one.base + (aWord & 0xffff);
  const bRoutes = other.base + (bWord & 0xffff);
  return record.sameWords(one.words, aRoutes, other.words, bRoutes, routes * layout.ROUTE_WORDS);
}

function sameFars(one: Side, other: Side): boolean {
  const count = record.farCount(one.words, one.base);
  const a = record.farsAt(one.words, one.base);
  const b = record.farsAt(other.words, other.base);
  for (let index = 0; index < count; index++) {
    const oneAt = a + index * layout.FAR_WORDS;
    const otherAt = b + index * layout.FAR_WORDS;
    if (!sameForward(one, oneAt, other, otherAt)) return false;
    const oneMore = one.base + one.words[oneAt + layout.FAR_DUPLICATES]!;
    const otherMore = other.base + other.words[otherAt + layout.FAR_DUPLICATES]!;
    const duplicates = one.words[oneAt + layout.FAR_UDP_PORT]! >>> 24;
    for (let more = 0; more < duplicates * layout.FAR_WORDS; more += layout.FAR_WORDS) {
      if (!sameForward(one, oneMore + more, other, otherMore + more)) return false;
    }
  }
  return true;
}

function sameForward(one: Side, oneAt: number, other: Side, otherAt: number): boolean {
  const count = layout.FAR_DUPLICATES - layout.FAR_TEID;
  return (
    one.words[oneAt + layout.FAR_PROTECTION] === other.words[otherAt + layout.FAR_PROTECTION] &&
    record.sameWords(one.words, oneAt, other.words, otherAt, layout.FAR_INSTANCE) &&
    sameRef(one, oneAt + layout.FAR_INSTANCE, other, otherAt + layout.FAR_INSTANCE) &&
    record.sameWords(
      one.words,
      oneAt + layout.FAR_TEID,
      other.words,
      otherAt + layout.FAR_TEID,
      count,
    )
  );
}

function sameBars(one: Side, other: Side): boolean {
  const count = record.barCount(one.words, one.base) * layout.BAR_WORDS;
  const a = record.barsAt(one.words, one.base);
  return record.sameWords(one.words, a, other.words, record.barsAt(other.words, other.base), count);
}

/** The texts say what the flows are; the rest are numbers. */
function sameFilters(one: Side, other: Side): boolean {
  const count = record.filterCount(one.words, one.base);
  const a = record.filtersAt(one.words, one.base);
  const b = record.filtersAt(other.words, other.base);
  for (let index = 0; index < count; index++) {
    const oneAt = a + index * layout.FILTER_WORDS;
    const otherAt = b + index * layout.FILTER_WORDS;
    const numbers = layout.FILTER_TEXT - layout.FILTER_TOS;
    const oneNumbers = oneAt + layout.FILTER_TOS;
    if (one.words[oneAt] !== other.words[otherAt]) return false;
    if (!sameRef(one, oneAt + layout.FILTER_TEXT, other, otherAt + layout.FILTER_TEXT))
      return false;
    const otherNumbers = otherAt + layout.FILTER_TOS;
    if (!record.sameWords(one.words, oneNumbers, other.words, otherNumbers, numbers)) return false;
  }
  return true;
}
