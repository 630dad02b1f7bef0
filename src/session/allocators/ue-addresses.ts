/**
 * UE addresses of a record: taken from the pools of its network instance when the client
 * says "auto", held against the pools when the client names one.
 */
import type { Refusal } from '../../base/errors.js';
import { BUCKETS } from '../../base/limits.js';
import {
  HEADER_COUNTS1,
  HEADER_FLAGS,
  HEADER_UE_INSTANCE,
  HEADER_UE_IPV4,
  HEADER_UE_PREFIX_HIGH,
  HEADER_UE_PREFIX_LOW,
  HEADER_WORDS,
  PDR_LISTS,
  PDR_UE_IPV4,
  PDR_UE_IPV4_AUTO,
  PDR_UE_IPV6,
  PDR_UE_IPV6_AUTO,
  PDR_WORDS,
  TABLE_PDR,
  UE_IPV4,
  UE_IPV4_FROM_POOL,
  UE_IPV6,
  UE_IPV6_FROM_POOL,
} from '../../model/record-layout.js';
import { type AddressPool, Claim } from './address-pool.js';
import type { Network, Networks } from './networks.js';
import type { Slots } from './slots.js';

/** Tries for a bucket that has both a slot and an address. */
const BUCKET_TRIES = 8;

/** A record: words of its chunk and where it starts there. */
export interface RecordAt {
  words: Uint32Array;
  start: number;
}

interface Family {
  readonly has: number;
  readonly fromPool: number;
  readonly pdrHas: number;
  readonly pdrAuto: number;
  readonly high: number;
  readonly low: number;
  readonly field: string;
}
/** IPv4 has no upper word: -1. */
const IPV4: Family = {
  has: UE_IPV4,
  fromPool: UE_IPV4_FROM_POOL,
  pdrHas: PDR_UE_IPV4,
  pdrAuto: PDR_UE_IPV4_AUTO,
  high: -1,
  low: HEADER_UE_IPV4,
  field: 'ipv4',
};
const IPV6: Family = {
  has: UE_IPV6,
  fromPool: UE_IPV6_FROM_POOL,
  pdrHas: PDR_UE_IPV6,
  pdrAuto: PDR_UE_IPV6_AUTO,
  high: HEADER_UE_PREFIX_HIGH,
  low: HEADER_UE_PREFIX_LOW,
  field: 'ipv6_prefix',
};

export class UeAddresses {
  constructor(
    private readonly networks: Networks,
    private readonly slots: Slots,
    private readonly refusal: Refusal,
  ) {}

  /** A bucket with room, with addresses too when the record wants some; -1: no slot is left. */
  chooseBucket(record: RecordAt): number {
    const network = this.#network(record);
    const v4 = this.#wants(record, IPV4) ? network.pools4 : [];
    const v6 = this.#wants(record, IPV6) ? network.pools6 : [];
    let bucket = this.slots.chooseBucket();
    for (let i = 0; i < BUCKET_TRIES && bucket >= 0; i++) {
      if (hasRoom(v4, bucket) && hasRoom(v6, bucket)) return bucket;
      bucket = this.slots.chooseBucket();
    }
    // Pools that are small or nearly full: look at every bucket, and do without if need be.
    for (let candidate = 0; candidate < BUCKETS; candidate++) {
      if (this.slots.room(candidate) === 0) continue;
      if (hasRoom(v4, candidate) && hasRoom(v6, candidate)) return candidate;
    }
    return bucket;
  }

  /** Takes or claims the record's addresses; on refusal nothing is held for it. */
  choose(record: RecordAt, old: RecordAt | null, bucket: number): boolean {
    const network = this.#network(record);
    if (!this.#chooseOne(record, old, bucket, IPV4, network)) return false;
    if (this.#chooseOne(record, old, bucket, IPV6, network)) return true;
    this.#releaseOne(record, old, IPV4);
    return false;
  }

  /** Gives back the record's addresses that `keeper` does not have. */
  release(record: RecordAt, keeper: RecordAt | null): void {
    this.#releaseOne(record, keeper, IPV4);
    this.#releaseOne(record, keeper, IPV6);
  }

  /** Claims the addresses of a record that has them. False: another session has one of them. */
  restore(record: RecordAt): boolean {
    const isOwnIpv4 = this.#claimRestored(record, IPV4);
    return this.#claimRestored(record, IPV6) && isOwnIpv4;
  }

  #chooseOne(
    record: RecordAt,
    old: RecordAt | null,
    bucket: number,
    family: Family,
    network: Network,
  ): boolean {
    const auto = this.#wants(record, family);
    const { words, start } = record;
    if (!auto && (words[start + HEADER_FLAGS]! & family.has) === 0) return true;
    if (old !== null && this.#takeOver(record, old, auto, family)) return true;
    const pools = family === IPV4 ? network.pools4 : network.pools6;
    return auto ? this.#take(record, bucket, family, pools) : this.#claim(record, family, pools);
  }

  /** The old version's address stays when it is asked for by name or by "auto" again. */
  #takeOver(record: RecordAt, old: RecordAt, auto: boolean, family: Family): boolean {
    const oldFlags = old.words[old.start + HEADER_FLAGS]!;
    if ((oldFlags & family.has) === 0) return false;
    const pool = this.#poolOf(old, family, old);
    if (auto) {
      if ((oldFlags & family.fromPool) === 0) return false;
      if (this.#poolOf(record, family, old) !== pool) return false;
      this.#write(record, family, this.#high(old, family), old.words[old.start + family.low]!);
      return true;
    }
    return this.#same(record, old, family) && this.#poolOf(record, family, record) === pool;
  }

  /**
   * The pool of the record's network that the other record's address lies in. An update that
   * names the network in another way means the same pool, and another network's is another.
   */
  #poolOf(record: RecordAt, family: Family, holder: RecordAt): AddressPool | undefined {
    const network = this.#network(record);
    const pools = family === IPV4 ? network.pools4 : network.pools6;
    const low = holder.words[holder.start + family.low]!;
    return pools.find((pool) => pool.contains(this.#high(holder, family), low));
  }

  #take(record: RecordAt, bucket: number, family: Family, pools: readonly AddressPool[]): boolean {
    for (const pool of pools) {
      const offset = pool.take(bucket);
      if (offset < 0) continue;
      this.#write(record, family, pool.high, pool.lowAt(offset));
      return true;
    }
    const why =
      pools.length === 0
        ? `no port that carries the network instance has a UE pool for ${family.field}`
        : `the UE pools of the network instance have no ${family.field} left`;
    const code = pools.length === 0 ? 'failed_precondition' : 'resource_exhausted';
    return this.#refuse(record, family, code, why);
  }

  #claim(record: RecordAt, family: Family, pools: readonly AddressPool[]): boolean {
    const high = this.#high(record, family);
    const low = record.words[record.start + family.low]!;
    for (const pool of pools) {
      const claim = pool.claim(high, low);
      if (claim === Claim.Outside) continue;
      if (claim === Claim.Claimed) return true;
      return claim === Claim.Taken
        ? this.#refuse(record, family, 'already_exists', 'another session has this UE address')
        : this.#refuse(
            record,
            family,
            'invalid_argument',
            `the UE address is kept for the network of pool ${pool.text}`,
          );
    }
    return true;
  }

  #claimRestored(record: RecordAt, family: Family): boolean {
    const { words, start } = record;
    if ((words[start + HEADER_FLAGS]! & family.has) === 0) return true;
    const network = this.#network(record);
    const high = this.#high(record, family);
    for (const pool of family === IPV4 ? network.pools4 : network.pools6) {
      const claim = pool.claim(high, words[start + family.low]!);
      if (claim !== Claim.Outside) return claim !== Claim.Taken;
    }
    return true;
  }

  #releaseOne(record: RecordAt, keeper: RecordAt | null, family: Family): void {
    const { words, start } = record;
    if ((words[start + HEADER_FLAGS]! & family.has) === 0) return;
    const pool = this.#poolOf(record, family, record);
    const kept =
      keeper !== null &&
      (keeper.words[keeper.start + HEADER_FLAGS]! & family.has) !== 0 &&
      this.#same(record, keeper, family) &&
      this.#poolOf(keeper, family, keeper) === pool;
    if (!kept) pool?.release(this.#high(record, family), words[start + family.low]!);
  }

  #network(record: RecordAt): Network {
    const { words, start } = record;
    return this.networks.find(words, start, words[start + HEADER_UE_INSTANCE]!);
  }

  #high(record: RecordAt, family: Family): number {
    return family.high < 0 ? 0 : record.words[record.start + family.high]!;
  }

  #same(a: RecordAt, b: RecordAt, family: Family): boolean {
    return (
      a.words[a.start + family.low] === b.words[b.start + family.low] &&
      this.#high(a, family) === this.#high(b, family)
    );
  }

  #write(record: RecordAt, family: Family, high: number, low: number): void {
    const { words, start } = record;
    if (family.high >= 0) words[start + family.high] = high;
    words[start + family.low] = low;
    words[start + HEADER_FLAGS]! |= family.has | family.fromPool;
  }

  /** The decoder marks what is to come from a pool; an address that was named wins. */
  #wants(record: RecordAt, family: Family): boolean {
    return (record.words[record.start + HEADER_FLAGS]! & family.fromPool) !== 0;
  }

  /** Index of the first PDR whose UE address has one of the flags, -1: none. */
  #pdrWith(record: RecordAt, flags: number): number {
    const { words, start } = record;
    const count = (words[start + HEADER_COUNTS1]! >>> 8) & 0xff;
    for (let i = 0, at = start + HEADER_WORDS + PDR_LISTS; i < count; i++, at += PDR_WORDS) {
      if ((words[at]! & (flags << 16)) !== 0) return i;
    }
    return -1;
  }

  #refuse(
    record: RecordAt,
    family: Family,
    code: 'already_exists' | 'failed_precondition' | 'resource_exhausted' | 'invalid_argument',
    message: string,
  ): false {
    const pdr = Math.max(0, this.#pdrWith(record, family.pdrHas | family.pdrAuto));
    const field = `session.pdrs[${pdr}].pdi.ue_address.${family.field}`;
    return this.refusal.set(code, field, message, TABLE_PDR, pdr);
  }
}

function hasRoom(pools: readonly AddressPool[], bucket: number): boolean {
  if (pools.length === 0) return true;
  for (const pool of pools) {
    if (pool.hasRoom(bucket)) return true;
  }
  return false;
}
