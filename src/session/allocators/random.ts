/** Unpredictable 32-bit words, drawn from the system in blocks because a draw costs a call. */
import { randomFillSync } from 'node:crypto';

const WORDS = 4096;
const block = new Uint32Array(WORDS);
let used = WORDS;

/** A word from the system's generator, 0 to 2^32 - 1. */
export function randomWord(): number {
  if (used === WORDS) {
    randomFillSync(block);
    used = 0;
  }
  const word = block[used]!;
  // A word that was handed out stays nowhere else.
  block[used++] = 0;
  return word;
}
