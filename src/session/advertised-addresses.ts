import { IpTextReader } from '../base/ip-text.js';
import { farCount, farsAt, pdrCount, pdrsAt, recordWords } from '../model/record.js';
import {
  F_TEID_IPV4,
  F_TEID_IPV6,
  FAR_ACTION,
  FAR_IPV4,
  FAR_IPV6,
  FAR_OUTER_IPV4,
  FAR_OUTER_IPV6,
  FAR_WORDS,
  PDR_F_TEID,
  PDR_LOCAL_IPV4,
  PDR_LOCAL_IPV6,
  PDR_WORDS,
} from '../model/record-layout.js';
import type { RecordPlace } from './engine.js';

/** What is needed of a port; `advertise` is empty or has one address for each of `addresses`. */
export interface AdvertisingPort {
  readonly addresses: readonly string[];
  readonly advertise: readonly string[];
}

const IPV6_WORDS = 4;

/**
 * Local addresses of F-TEIDs as peers know them, where the two differ (NAT before the node), and
 * those of tunnels that lead to the node itself. Records hold the address that packets arrive at;
 * clients write and see the advertised one.
 */
export class AdvertisedAddresses {
  readonly #local = new Map<string, readonly number[]>();
  readonly #advertised = new Map<string, readonly number[]>();

  constructor(ports: readonly AdvertisingPort[]) {
    for (const { addresses, advertise } of ports) {
      for (const [place, text] of advertise.entries()) {
        const outside = wordsOf(text);
        const inside = wordsOf(addresses[place] ?? text);
        this.#local.set(outside.join(), inside);
        this.#advertised.set(inside.join(), outside);
      }
    }
  }

  /** Puts local addresses in place of advertised ones in a record that a client sent. */
  toLocal(words: Uint32Array): void {
    if (this.#local.size > 0) replace(words, this.#local);
  }

  /** The record as clients see it: itself, or a copy with the advertised addresses. */
  shown(record: Uint32Array): Uint32Array {
    if (this.#advertised.size === 0 || record.length === 0) return record;
    const copy = record.slice();
    replace(copy, this.#advertised);
    return copy;
  }

  /** As {@link shown} of a record that lies in words that hold others, too. */
  shownAt(place: RecordPlace): RecordPlace {
    if (this.#advertised.size === 0 || place.words.length === 0) return place;
    const { words, start } = place;
    return {
      words: this.shown(words.subarray(start, start + recordWords(words, start))),
      start: 0,
    };
  }
}

function replace(words: Uint32Array, by: ReadonlyMap<string, readonly number[]>): void {
  const first = pdrsAt(0);
  const end = first + pdrCount(words, 0) * PDR_WORDS;
  for (let at = first; at < end; at += PDR_WORDS) {
    const flags = words[at + PDR_F_TEID] ?? 0;
    if ((flags & F_TEID_IPV4) !== 0) replaceAt(words, at + PDR_LOCAL_IPV4, 1, by);
    if ((flags & F_TEID_IPV6) !== 0) replaceAt(words, at + PDR_LOCAL_IPV6, IPV6_WORDS, by);
  }
  const fars = farsAt(words, 0);
  for (let at = fars; at < fars + farCount(words, 0) * FAR_WORDS; at += FAR_WORDS) {
    const flags = words[at + FAR_ACTION] ?? 0;
    if ((flags & (FAR_OUTER_IPV4 << 16)) !== 0) replaceAt(words, at + FAR_IPV4, 1, by);
    if ((flags & (FAR_OUTER_IPV6 << 16)) !== 0) replaceAt(words, at + FAR_IPV6, IPV6_WORDS, by);
  }
}

function replaceAt(
  words: Uint32Array,
  at: number,
  count: number,
  by: ReadonlyMap<string, readonly number[]>,
): void {
  const address = by.get(words.subarray(at, at + count).join());
  if (address !== undefined) words.set(address, at);
}

/** An address of the configuration as a record has it: one word or four. */
function wordsOf(text: string): readonly number[] {
  const reader = new IpTextReader();
  const bytes = Buffer.from(text);
  if (reader.readIpv4(bytes, 0, bytes.length) === bytes.length) return [reader.ipv4 >>> 0];
  if (reader.readIpv6(bytes, 0, bytes.length) === bytes.length) return [...reader.ipv6];
  throw new Error(`${text} passed the checks but is no address`);
}
