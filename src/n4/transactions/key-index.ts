/**
 * Finds entries by the key of a request. The entries lie in words that their owner has: 8-byte
 * units, of which words 1 to 3 are the key. Open addressing without tombstones; a slot is one
 * word. Keys are hashes with a secret, so that nobody can choose neighbours.
 */
export const KEY_LOW = 1;
export const KEY_HIGH = 2;
export const KEY_TAG = 3;
const NONE = 0;

export class KeyIndex {
  readonly #slots: Uint32Array;
  readonly #mask: number;
  #count = 0;

  /** @param slots  a power of two; half of it is the most that should be in. */
  constructor(
    private readonly words: Uint32Array,
    slots: number,
  ) {
    this.#slots = new Uint32Array(slots);
    this.#mask = slots - 1;
  }

  get count(): number {
    return this.#count;
  }
  /** Entries that it may have. */
  get most(): number {
    return this.#slots.length / 2;
  }

  /** Unit of the entry with that key, -1: none. */
  find(low: number, high: number, tag: number): number {
    const { words } = this;
    for (let slot = low & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const unit = this.#slots[slot]!;
      if (unit === NONE) return -1;
      const at = (unit - 1) * 2;
      const same =
        words[at + KEY_LOW] === low && words[at + KEY_HIGH] === high && words[at + KEY_TAG] === tag;
      if (same) return unit - 1;
    }
  }

  /** Enters the entry at `unit`, whose key is in place. */
  enter(unit: number): void {
    let slot = this.words[unit * 2 + KEY_LOW]! & this.#mask;
    while (this.#slots[slot] !== NONE) slot = (slot + 1) & this.#mask;
    this.#slots[slot] = unit + 1;
    this.#count++;
  }

  /** Takes the entry at `unit` out, while its key is still in place. */
  remove(unit: number): void {
    const slots = this.#slots;
    let hole = this.words[unit * 2 + KEY_LOW]! & this.#mask;
    while (slots[hole] !== unit + 1) {
      if (slots[hole] === NONE) return;
      hole = (hole + 1) & this.#mask;
    }
    this.#count--;
    // Those behind it move up, unless that would put them before their home.
    for (let slot = (hole + 1) & this.#mask; slots[slot] !== NONE; slot = (slot + 1) & this.#mask) {
      const home = this.words[(slots[slot]! - 1) * 2 + KEY_LOW]! & this.#mask;
      if (((slot - home) & this.#mask) < ((slot - hole) & this.#mask)) continue;
      slots[hole] = slots[slot]!;
      hole = slot;
    }
    slots[hole] = NONE;
  }
}
