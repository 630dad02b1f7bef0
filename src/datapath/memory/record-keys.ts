/**
 * What a record claims for itself, as keys that no two sessions share: its TEIDs at their
 * addresses, and its UE addresses in their instances. For the packet path in memory.
 */
import { pdrCount, pdrsAt, refText } from '../../model/record.js';
import {
  F_TEID_IPV4,
  F_TEID_IPV6,
  F_TEID_PRESENT,
  HEADER_FLAGS,
  HEADER_UE_INSTANCE,
  HEADER_UE_IPV4,
  HEADER_UE_PREFIX_HIGH,
  HEADER_UE_PREFIX_LOW,
  PDR_F_TEID,
  PDR_LOCAL_IPV4,
  PDR_LOCAL_IPV6,
  PDR_TEID,
  PDR_WORDS,
  UE_IPV4,
  UE_IPV6,
} from '../../model/record-layout.js';

export class RecordKeys {
  readonly #addresses = new Map<string, number>();

  /** Keys of a record; those of UE addresses have a PDR index behind the last PDR. */
  of(words: Uint32Array, start: number): { key: string | number; pdr: number }[] {
    const keys: { key: string | number; pdr: number }[] = [];
    const count = pdrCount(words, start);
    for (let pdr = 0, at = pdrsAt(start); pdr < count; pdr++, at += PDR_WORDS) {
      const flags = words[at + PDR_F_TEID]!;
      const teid = words[at + PDR_TEID]!;
      if ((flags & F_TEID_PRESENT) === 0) continue;
      if ((flags & F_TEID_IPV4) !== 0) {
        keys.push({ key: teid * 2 ** 20 + this.#addressId(`${words[at + PDR_LOCAL_IPV4]}`), pdr });
      }
      if ((flags & F_TEID_IPV6) !== 0) {
        const text = words.slice(at + PDR_LOCAL_IPV6, at + PDR_LOCAL_IPV6 + 4).join(':');
        keys.push({ key: teid * 2 ** 20 + this.#addressId(text), pdr });
      }
    }
    const instance = refText(words, start, words[start + HEADER_UE_INSTANCE]!);
    const flags = words[start + HEADER_FLAGS]!;
    if ((flags & UE_IPV4) !== 0) {
      keys.push({ key: `${instance}/${words[start + HEADER_UE_IPV4]}`, pdr: count });
    }
    if ((flags & UE_IPV6) !== 0) {
      const high = words[start + HEADER_UE_PREFIX_HIGH];
      const low = words[start + HEADER_UE_PREFIX_LOW];
      keys.push({ key: `${instance}/${high}:${low}`, pdr: count });
    }
    return keys;
  }

  #addressId(text: string): number {
    let id = this.#addresses.get(text);
    if (id === undefined) {
      id = this.#addresses.size;
      this.#addresses.set(text, id);
    }
    return id;
  }
}
