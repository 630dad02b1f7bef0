/** Addresses that peers have. Pure. */
import { ADDRESS_WORDS, addressText, readAddress } from '../transport/address-words.js';

export interface PeerAddress {
  readonly family: number;
  readonly words: Uint32Array;
  readonly text: string;
}

export function sameAddress(
  one: PeerAddress,
  family: number,
  words: Uint32Array,
  at: number,
): boolean {
  if (one.family !== family) return false;
  for (let i = 0; i < ADDRESS_WORDS; i++) if (one.words[i] !== words[at + i]) return false;
  return true;
}

/** A copy of the address in words[at…]. */
export function addressAt(family: number, words: Uint32Array, at: number): PeerAddress {
  const copy = words.slice(at, at + ADDRESS_WORDS);
  return { family, words: copy, text: addressText(family, copy, 0) };
}

/** undefined: the text is no address. */
export function addressOf(text: string): PeerAddress | undefined {
  const words = new Uint32Array(ADDRESS_WORDS);
  const family = readAddress(text, words, 0);
  return family === 0 ? undefined : { family, words, text: addressText(family, words, 0) };
}
