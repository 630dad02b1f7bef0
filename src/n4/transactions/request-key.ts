/**
 * What makes two requests duplicates: source address and port, type, sequence number, and a
 * keyed hash of all octets. Numbers begin anew when a peer does, and so may octets: the era of
 * an address is part of the key, and begins with each association that is set up or released.
 * Thread: the control thread.
 */
import {
  WORD_ADDRESS,
  WORD_FAMILY,
  WORD_HASH_HIGH,
  WORD_HASH_LOW,
  WORD_PORT,
} from '../transport/transport.js';

/** Addresses that meet in one place begin their eras together, which costs a cached reply. */
const PLACES = 4096;
const SEQUENCE_MASK = 0xff_ffff;

export class RequestKey {
  low = 0;
  high = 0;
  tag = 0;
  readonly #eras = new Uint32Array(PLACES);
  readonly #setups = new Uint32Array(PLACES);

  /**
   * Of the request that the transport describes at words[at…]; a set-up begins an era itself.
   * @param back  1: as it was before the last release.
   */
  read(
    words: Uint32Array,
    at: number,
    messageType: number,
    sequence: number,
    isSetup: boolean,
    back = 0,
  ): void {
    const address = addressMix(words, at + WORD_ADDRESS);
    const place = address & (PLACES - 1);
    const era =
      this.#eras[place]! - back + (isSetup ? 0 : Math.imul(this.#setups[place]!, 0x10001));
    let mix = Math.imul(address ^ words[at + WORD_PORT]!, 0x85ebca6b);
    mix = Math.imul(mix ^ (mix >>> 15) ^ era ^ (words[at + WORD_FAMILY]! << 24), 0x9e3779b1);
    this.low = (words[at + WORD_HASH_LOW]! ^ mix) >>> 0;
    this.high = (words[at + WORD_HASH_HIGH]! ^ Math.imul(mix ^ (mix >>> 16), 0xc2b2ae35)) >>> 0;
    this.tag = ((messageType << 24) | (sequence & SEQUENCE_MASK)) >>> 0;
  }

  /** The peer behind this address set its association up: what it sends now is new. */
  setUp(address: Uint32Array): void {
    this.#setups[addressMix(address, 0) & (PLACES - 1)]!++;
  }
  /** It was released: so is a set-up that looks like the one before. */
  released(address: Uint32Array): void {
    this.#eras[addressMix(address, 0) & (PLACES - 1)]!++;
  }
}

function addressMix(words: Uint32Array, at: number): number {
  let mix = 0;
  for (let i = 0; i < 4; i++) {
    mix = Math.imul(mix ^ words[at + i]!, 0x85ebca6b);
    mix ^= mix >>> 13;
  }
  return mix;
}
