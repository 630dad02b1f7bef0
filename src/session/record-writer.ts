/** Brings a scratch record into the slab and fills in what the engine alone knows. */
import {
  HEADER_BYTES,
  HEADER_CREATE_TIME_HIGH,
  HEADER_CREATE_TIME_LOW,
  HEADER_INCARNATION,
  HEADER_NAME,
  HEADER_OWNER,
  HEADER_PLACE,
  HEADER_REVISION_HIGH,
  HEADER_REVISION_LOW,
  HEADER_SEID_HIGH,
  HEADER_SEID_LOW,
  HEADER_SESSION_INDEX,
  RECORD_BYTES_MAX,
} from '../model/record-layout.js';
import { randomWord } from './allocators/random.js';
import type { RecordAt } from './allocators/ue-addresses.js';
import type { TextWords } from './state/name-index.js';
import type { Slab } from './state/slab.js';

const WORD = 2 ** 32;
const SEID_INDEX_BITS = 24;

/**
 * Copies a record into a slot of its own; handle, 0: no room. Texts that it lacks are added:
 * its owner, and its name from the version that it replaces.
 */
export function copyRecord(
  slab: Slab,
  source: Uint32Array,
  start: number,
  owner: TextWords,
  name: TextWords | null,
): number {
  const size = source[start + HEADER_BYTES]! >>> 2;
  const addOwner = source[start + HEADER_OWNER] === 0;
  const addName = name !== null && source[start + HEADER_NAME] === 0;
  const added = (addOwner ? owner.words.length : 0) + (addName ? name.words.length : 0);
  // Records are multiples of 8 bytes.
  const total = (size + added + 1) & ~1;
  if (total * 4 > RECORD_BYTES_MAX) return 0;
  const handle = slab.allocate(total * 4);
  if (handle === 0) return 0;
  const words = slab.words(handle);
  const to = slab.start(handle);
  words.set(source.subarray(start, start + size), to);
  if (added === 0) return handle;
  words[to + total - 1] = 0;
  let end = size;
  if (addOwner) end = append(words, to, HEADER_OWNER, end, owner);
  if (addName) append(words, to, HEADER_NAME, end, name);
  words[to + HEADER_BYTES] = total * 4;
  return handle;
}

function append(words: Uint32Array, to: number, header: number, at: number, text: TextWords) {
  for (let i = 0; i < text.words.length; i++) words[to + at + i] = text.words[i]!;
  words[to + header] = text.ref === 0 ? 0 : ((at << 16) | text.ref) >>> 0;
  return at + text.words.length;
}

/** A new session's header. Its place and incarnation are there already. */
export function writeIdentity(record: RecordAt, index: number, nowMs: number): void {
  const { words, start } = record;
  words[start + HEADER_SESSION_INDEX] = index;
  words[start + HEADER_SEID_LOW] = ((randomWord() << SEID_INDEX_BITS) | index) >>> 0;
  // 40 random bits; the upper word is never 0, and so the SEID is not.
  words[start + HEADER_SEID_HIGH] = randomWord() || 1;
  words[start + HEADER_REVISION_LOW] = 1;
  words[start + HEADER_REVISION_HIGH] = 0;
  words[start + HEADER_CREATE_TIME_LOW] = nowMs % WORD;
  words[start + HEADER_CREATE_TIME_HIGH] = Math.floor(nowMs / WORD);
}

/** A new version's header: what stays, and the next revision. */
export function writeRevision(record: RecordAt, old: RecordAt): void {
  const { words, start } = record;
  for (const word of KEPT) words[start + word] = old.words[old.start + word]!;
  const low = (old.words[old.start + HEADER_REVISION_LOW]! + 1) >>> 0;
  words[start + HEADER_REVISION_LOW] = low;
  words[start + HEADER_REVISION_HIGH] =
    old.words[old.start + HEADER_REVISION_HIGH]! + (low === 0 ? 1 : 0);
}

const KEPT = [
  HEADER_SEID_LOW,
  HEADER_SEID_HIGH,
  HEADER_SESSION_INDEX,
  HEADER_PLACE,
  HEADER_INCARNATION,
  HEADER_CREATE_TIME_LOW,
  HEADER_CREATE_TIME_HIGH,
];
