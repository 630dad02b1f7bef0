/**
 * Finds a session by owner and name. Names stay in the records: an entry is a session index
 * and the hash that led to it, so that moving entries never touches a record.
 *
 * Open addressing with linear probing and backward-shift deletion. The table is made for the
 * configured number of sessions at once: untouched memory costs nothing, and there is never a
 * pause to grow. The hash is seeded, so that clients can't choose names that collide.
 */
import { sameText } from '../../model/record.js';
import { HEADER_NAME } from '../../model/record-layout.js';
import { NAME_MAX } from '../../model/validate.js';
import { randomWord } from '../allocators/random.js';

const seed = randomWord();

/** Hash of a string of a record (a Ref: word offset << 16 | bytes) in an owner's namespace. */
export function hashText(words: Uint32Array, base: number, ref: number, owner: number): number {
  const bytes = ref & 0xffff;
  const from = base + (ref >>> 16);
  const end = from + ((bytes + 3) >>> 2);
  let hash = seed ^ Math.imul(owner + 1, 0x85ebca6b) ^ bytes;
  // The padding behind a text is zero, so whole words count.
  for (let at = from; at < end; at++) {
    hash = Math.imul(hash ^ words[at]!, 0xcc9e2d51);
    hash ^= hash >>> 15;
    hash = Math.imul(hash, 0x1b873593) + 0x52dce729;
  }
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** A string as a record holds it: words, and a Ref (offset 0). */
export interface TextWords {
  readonly words: Uint32Array;
  readonly ref: number;
}
export function textWords(text: string): TextWords {
  const bytes = Buffer.from(text, 'utf8');
  const words = new Uint32Array((bytes.length + 3) >>> 2);
  new Uint8Array(words.buffer).set(bytes);
  return { words, ref: bytes.length };
}

/** A name of a request, in words that are used again; admission copies it where it has to wait. */
export class NameText implements TextWords {
  readonly words = new Uint32Array((NAME_MAX + 3) >>> 2);
  ref = 0;
  readonly #bytes = new Uint8Array(this.words.buffer);

  /** Takes UTF-8 in. One that is longer than a name can be becomes '', which names no session. */
  set(bytes: Uint8Array, start: number, length: number): void {
    this.ref = length <= NAME_MAX ? length : 0;
    // What pads the last word; those before it are written whole.
    if ((this.ref & 3) !== 0) this.words[this.ref >>> 2] = 0;
    for (let at = 0; at < this.ref; at++) this.#bytes[at] = bytes[start + at]!;
  }
}

/** Where the index looks at records and owners: the session table. */
export interface NamedSessions {
  readonly owner: Uint16Array;
  wordsOf(index: number): Uint32Array;
  startOf(index: number): number;
}

export class NameIndex {
  readonly #entries: Uint32Array;
  readonly #hashes: Uint32Array;
  readonly #mask: number;
  #size = 0;

  constructor(
    private readonly sessions: NamedSessions,
    sessionsMax: number,
  ) {
    const capacity = 2 ** Math.max(4, Math.ceil(Math.log2(sessionsMax * 1.5)));
    this.#entries = new Uint32Array(capacity);
    this.#hashes = new Uint32Array(capacity);
    this.#mask = capacity - 1;
  }

  get size(): number {
    return this.#size;
  }

  /** Session index of the name in `words`, -1: there is none. */
  find(owner: number, hash: number, words: Uint32Array, base: number, ref: number): number {
    for (let at = hash & this.#mask; ; at = (at + 1) & this.#mask) {
      const entry = this.#entries[at]!;
      if (entry === 0) return -1;
      if (this.#hashes[at] === hash && this.#is(entry - 1, owner, words, base, ref))
        return entry - 1;
    }
  }

  /** The name must not be there yet. */
  add(hash: number, index: number): void {
    let at = hash & this.#mask;
    while (this.#entries[at] !== 0) at = (at + 1) & this.#mask;
    this.#entries[at] = index + 1;
    this.#hashes[at] = hash;
    this.#size++;
  }

  remove(hash: number, index: number): void {
    let at = hash & this.#mask;
    while (this.#entries[at] !== index + 1) {
      if (this.#entries[at] === 0) throw new Error('name index: the session is not in it');
      at = (at + 1) & this.#mask;
    }
    this.#erase(at);
    this.#size--;
  }

  #is(index: number, owner: number, words: Uint32Array, base: number, ref: number): boolean {
    if (this.sessions.owner[index] !== owner) return false;
    const own = this.sessions.wordsOf(index);
    const start = this.sessions.startOf(index);
    return sameText(own, start, own[start + HEADER_NAME]!, words, base, ref);
  }

  #erase(hole: number): void {
    let at = hole;
    for (;;) {
      at = (at + 1) & this.#mask;
      const entry = this.#entries[at]!;
      if (entry === 0) break;
      // The entry may move into the hole unless its home lies behind the hole.
      const home = this.#hashes[at]! & this.#mask;
      if (((at - home) & this.#mask) < ((at - hole) & this.#mask)) continue;
      this.#entries[hole] = entry;
      this.#hashes[hole] = this.#hashes[at]!;
      hole = at;
    }
    this.#entries[hole] = 0;
    this.#hashes[hole] = 0;
  }
}
