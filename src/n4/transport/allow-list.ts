/** Which sources may send: prefixes as masks of words. Pure; any thread, one list each. */
import { ADDRESS_WORDS, readAddress } from './address-words.js';

const PREFIX_WORDS = 2 * ADDRESS_WORDS + 1;

export class AllowList {
  /** Family, then address and mask, a prefix. */
  private readonly words: Uint32Array;

  /** @throws Error for what is no prefix; none: everybody is allowed. */
  constructor(prefixes: readonly string[] = []) {
    this.words = new Uint32Array(prefixes.length * PREFIX_WORDS);
    for (const [index, prefix] of prefixes.entries()) this.put(index * PREFIX_WORDS, prefix);
  }

  private put(at: number, prefix: string): void {
    const { words } = this;
    const [address = '', digits, ...rest] = prefix.split('/');
    const family = readAddress(address, words, at + 1);
    const bits = family === 4 ? 32 : 128;
    const length = digits === undefined ? bits : Number(digits);
    const good = family !== 0 && rest.length === 0 && /^(\d{1,3})?$/.test(digits ?? '');
    if (!good || digits === '' || length > bits) throw new Error(`"${prefix}" is no IP prefix`);
    words[at] = family;
    for (let word = 0; word < ADDRESS_WORDS; word++) {
      const inside = Math.min(Math.max(length - word * 32, 0), 32);
      const mask = inside === 0 ? 0 : -1 << (32 - inside);
      words[at + 1 + ADDRESS_WORDS + word] = mask;
      words[at + 1 + word]! &= mask;
    }
  }

  has(family: number, address: Uint32Array, addressAt: number): boolean {
    const { words } = this;
    if (words.length === 0) return true;
    for (let at = 0; at < words.length; at += PREFIX_WORDS) {
      if (words[at] !== family) continue;
      let different = 0;
      for (let word = 0; word < ADDRESS_WORDS; word++) {
        const mask = words[at + 1 + ADDRESS_WORDS + word]!;
        different |= (address[addressAt + word]! & mask) ^ words[at + 1 + word]!;
      }
      if (different === 0) return true;
    }
    return false;
  }
}
