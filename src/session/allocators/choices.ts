/**
 * What a record leaves to the UPF: TEIDs and the local addresses of F-TEIDs here, UE addresses
 * in ue-addresses.ts. They are written into the new record while it is still private; what the
 * old version of the session has already is taken over. A refusal gives back what was taken.
 *
 * choose() before prepare, then release() of the version that lost: the old one on success,
 * the new one on failure. Owner: the control thread.
 */
import type { Refusal } from '../../base/errors.js';
import { TEID_LOW_BITS, TEID_LOW_MASK } from '../../base/limits.js';
import { farCount, farsAt, pdrCount, pdrsAt } from '../../model/record.js';
import {
  ACTION_FORWARD,
  F_TEID_ADDRESS_HERE,
  F_TEID_CHOSEN_HERE,
  F_TEID_ENDPOINT,
  F_TEID_IPV4,
  F_TEID_IPV6,
  F_TEID_PRESENT,
  F_TEID_UNSHARED,
  FAR_ACTION,
  FAR_INSTANCE,
  FAR_OUTER_HEADER,
  FAR_WORDS,
  HEADER_INCARNATION,
  HEADER_PLACE,
  INTERFACE_ACCESS,
  INTERFACE_CP_FUNCTION,
  PDR_F_TEID,
  PDR_ID,
  PDR_INSTANCE,
  PDR_LOCAL_IPV4,
  PDR_LOCAL_IPV6,
  PDR_TEID,
  PDR_WORDS,
  TABLE_FAR,
  TABLE_PDR,
} from '../../model/record-layout.js';
import type { AccessAddresses, Networks } from './networks.js';
import { randomWord } from './random.js';
import type { Slots } from './slots.js';
import type { TeidPermutation } from './teid.js';
import { TeidRegistry } from './teid-registry.js';
import { type RecordAt, UeAddresses } from './ue-addresses.js';

/** Tries for a random TEID: with half of a bucket's taken, failing is a matter of 2^-64. */
const TEID_TRIES = 64;
/** Flags of an F-TEID that its choice compares: choose ID, of which kind, and whether it is shared at all. */
const CHOICE_MASK = (0xff << 8) | F_TEID_UNSHARED | F_TEID_ENDPOINT | F_TEID_CHOSEN_HERE;

const NO_SESSIONS: readonly number[] = [];

export class Choices {
  readonly registry = new TeidRegistry();
  readonly addresses: UeAddresses;

  constructor(
    readonly networks: Networks,
    private readonly slots: Slots,
    private readonly permutation: TeidPermutation,
    private readonly refusal: Refusal,
    /** The present version of a session by its index; null: it is being changed. */
    private readonly present: (index: number) => RecordAt | null,
  ) {
    this.addresses = new UeAddresses(networks, slots, refusal);
  }

  /** Takes a slot for a new session: its index, -1 when there is none. */
  takeSlot(record: RecordAt): number {
    const bucket = this.addresses.chooseBucket(record);
    if (bucket < 0) return -1;
    const index = this.slots.take(bucket);
    const slot = index - bucket * this.slots.slotsPerBucket;
    // The direct TEID may be held by chance: 0, or a further TEID of another session.
    for (;;) {
      const teid = this.permutation.teid(bucket, this.slots.generation[index]!, slot);
      if (teid !== 0 && !this.registry.has(teid)) break;
      this.slots.advance(index, bucket);
    }
    record.words[record.start + HEADER_PLACE] = ((bucket << 16) | slot) >>> 0;
    record.words[record.start + HEADER_INCARNATION] = this.slots.generation[index]!;
    return index;
  }

  /**
   * Fills in what is left open; place and incarnation are set. False: refused, nothing is held.
   * @param displaced  indices of sessions whose TEIDs and addresses it may have: see inherit().
   */
  choose(record: RecordAt, old: RecordAt | null, displaced = NO_SESSIONS): boolean {
    if (!this.#checkFars(record)) return false;
    if (!this.#fillLocalAddresses(record, old)) return false;
    const bucket = record.words[record.start + HEADER_PLACE]! >>> 16;
    for (const index of displaced) this.addresses.release(this.present(index)!, null);
    const chosen =
      this.addresses.choose(record, old, bucket) && this.#chooseTeids(record, old, displaced);
    for (const index of displaced) this.addresses.restore(this.present(index)!);
    return chosen;
  }

  /** Gives back what a displaced session has and its heir, which is counted already, does not. */
  inherit(displaced: RecordAt, heir: RecordAt): void {
    this.addresses.release(displaced, heir);
    this.#releaseTeids(displaced, null, pdrCount(displaced.words, displaced.start));
  }

  /** Gives back what the record holds and `keeper` does not. */
  release(record: RecordAt, keeper: RecordAt | null): void {
    this.addresses.release(record, keeper);
    this.#releaseTeids(record, keeper, pdrCount(record.words, record.start));
  }

  /** Holds what a restored record has. False: another session has one of its addresses. */
  restore(record: RecordAt): boolean {
    const { words, start } = record;
    const direct = this.#direct(record);
    for (let i = 0, at = pdrsAt(start); i < pdrCount(words, start); i++, at += PDR_WORDS) {
      const teid = words[at + PDR_TEID]!;
      if (teid !== 0 && teid !== direct && firstWith(record, teid) === i) this.registry.add(teid);
    }
    return this.addresses.restore(record);
  }

  #checkFars(record: RecordAt): boolean {
    const { words, start } = record;
    let at = farsAt(words, start);
    for (let i = 0; i < farCount(words, start); i++, at += FAR_WORDS) {
      const action = words[at + FAR_ACTION]!;
      if ((action & 0xff) !== ACTION_FORWARD) continue;
      const destination = (action >>> 8) & 0xff;
      if (destination === INTERFACE_CP_FUNCTION) continue;
      const network = this.networks.find(words, start, words[at + FAR_INSTANCE]!);
      const tunnel = ((action >>> 16) & FAR_OUTER_HEADER) !== 0;
      const access = tunnel || destination === INTERFACE_ACCESS;
      if (access ? network.access !== null : network.core) continue;
      const field = `session.fars[${i}].forward.network_instance`;
      return this.#noPort(field, access, TABLE_FAR, i);
    }
    return true;
  }

  /** Checks the PDRs' network instances, and gives F-TEIDs without an address that of their port. */
  #fillLocalAddresses(record: RecordAt, old: RecordAt | null): boolean {
    const { words, start } = record;
    const count = pdrCount(words, start);
    for (let i = 0, at = pdrsAt(start); i < count; i++, at += PDR_WORDS) {
      const source = (words[at + PDR_ID]! >>> 16) & 0xff;
      const fTeid = words[at + PDR_F_TEID]!;
      const tunnel = (fTeid & F_TEID_PRESENT) !== 0;
      if (source === INTERFACE_CP_FUNCTION && !tunnel) continue;
      const network = this.networks.find(words, start, words[at + PDR_INSTANCE]!);
      const access = tunnel || source === INTERFACE_ACCESS;
      if (access ? network.access === null : !network.core) {
        return this.#noPort(`session.pdrs[${i}].pdi.network_instance`, access, TABLE_PDR, i);
      }
      if (!tunnel) continue;
      if ((fTeid & F_TEID_CHOSEN_HERE) !== 0)
        words[at + PDR_TEID] = teidChosenBefore(record, i, old);
      const given = (fTeid & (F_TEID_IPV4 | F_TEID_IPV6)) !== 0;
      const fill = (fTeid & (F_TEID_CHOSEN_HERE | F_TEID_ADDRESS_HERE)) !== 0 || !given;
      if (fill && !this.#fillAddress(words, at, network.access!, i)) return false;
    }
    return true;
  }

  #fillAddress(words: Uint32Array, at: number, access: AccessAddresses, pdr: number): boolean {
    if (access.ipv4 === 0 && access.ipv6 === null) {
      const message = 'the access port has no address to give an F-TEID';
      const field = `session.pdrs[${pdr}].pdi.local_f_teid`;
      return this.refusal.set('failed_precondition', field, message, TABLE_PDR, pdr);
    }
    const families = F_TEID_IPV4 | F_TEID_IPV6;
    const owned = (access.ipv4 !== 0 ? F_TEID_IPV4 : 0) | (access.ipv6 !== null ? F_TEID_IPV6 : 0);
    const fTeid = words[at + PDR_F_TEID]!;
    // Of the families asked for those that the port has; of none that it has, or none asked: all.
    const given = fTeid & owned || owned;
    words[at + PDR_LOCAL_IPV4] = (given & F_TEID_IPV4) !== 0 ? access.ipv4 : 0;
    for (let i = 0; i < 4; i++) {
      words[at + PDR_LOCAL_IPV6 + i] = (given & F_TEID_IPV6) !== 0 ? access.ipv6![i]! : 0;
    }
    words[at + PDR_F_TEID] = (fTeid & ~families) | given | F_TEID_ADDRESS_HERE;
    return true;
  }

  #chooseTeids(record: RecordAt, old: RecordAt | null, displaced: readonly number[]): boolean {
    const { words, start } = record;
    const direct = this.#direct(record);
    const count = pdrCount(words, start);
    for (let i = 0, at = pdrsAt(start); i < count; i++, at += PDR_WORDS) {
      if ((words[at + PDR_F_TEID]! & F_TEID_PRESENT) === 0) continue;
      let teid = words[at + PDR_TEID]!;
      if (teid === 0) {
        teid = sharedWith(record, i) || this.#newTeid(record, old, direct);
        if (teid === 0) return this.#refuseTeid(record, old, i, 'resource_exhausted');
        words[at + PDR_TEID] = teid;
      } else if (teid !== direct && this.#isUsedDirect(record, teid, displaced)) {
        return this.#refuseTeid(record, old, i, 'already_exists');
      }
      this.#hold(record, old, i, direct);
    }
    return true;
  }

  /** Counts the record as a holder of PDR i's TEID, once, unless the old version is one. */
  #hold(record: RecordAt, old: RecordAt | null, pdr: number, direct: number): void {
    const teid = record.words[pdrsAt(record.start) + pdr * PDR_WORDS + PDR_TEID]!;
    if (teid === direct || firstWith(record, teid) !== pdr) return;
    if (old === null || firstWith(old, teid) < 0) this.registry.add(teid);
  }

  /** The direct TEID while neither version uses it and nobody holds it; else a random one; 0: none. */
  #newTeid(record: RecordAt, old: RecordAt | null, direct: number): number {
    const free = firstWith(record, direct) < 0 && (old === null || firstWith(old, direct) < 0);
    if (free && !this.registry.has(direct)) return direct;
    const bucket = record.words[record.start + HEADER_PLACE]! >>> 16;
    for (let i = 0; i < TEID_TRIES; i++) {
      const teid = ((bucket << TEID_LOW_BITS) | (randomWord() & TEID_LOW_MASK)) >>> 0;
      if (teid === 0 || teid === direct || this.registry.has(teid)) continue;
      if (!this.#isOthersDirect(record, teid)) return teid;
    }
    return 0;
  }

  /** Whether the TEID leads to another session by index, be it in use there or not. */
  #isOthersDirect(record: RecordAt, teid: number): boolean {
    return this.#othersWithDirect(record, teid) >= 0;
  }

  /** The same, and it has it, or may be taking it just now. */
  #isUsedDirect(record: RecordAt, teid: number, displaced: readonly number[]): boolean {
    const index = this.#othersWithDirect(record, teid);
    if (index < 0 || displaced.includes(index)) return false;
    const other = this.present(index);
    return other === null || firstWith(other, teid) >= 0;
  }

  /** Index of the other session whose direct TEID it is, -1: none. */
  #othersWithDirect(record: RecordAt, teid: number): number {
    const bucket = teid >>> TEID_LOW_BITS;
    const plain = this.permutation.unpermute(bucket, teid & TEID_LOW_MASK);
    const slot = plain & ((1 << this.permutation.slotBits) - 1);
    if (slot >= this.slots.slotsPerBucket) return -1;
    if (record.words[record.start + HEADER_PLACE] === ((bucket << 16) | slot) >>> 0) return -1;
    const index = bucket * this.slots.slotsPerBucket + slot;
    if (!this.slots.isTaken(index)) return -1;
    return this.permutation.teid(bucket, this.slots.generation[index]!, slot) === teid ? index : -1;
  }

  #direct(record: RecordAt): number {
    const place = record.words[record.start + HEADER_PLACE]!;
    const generation = record.words[record.start + HEADER_INCARNATION]!;
    return this.permutation.teid(place >>> 16, generation, place & 0xffff);
  }

  #releaseTeids(record: RecordAt, keeper: RecordAt | null, pdrs: number): void {
    const { words, start } = record;
    const direct = this.#direct(record);
    for (let i = 0, at = pdrsAt(start); i < pdrs; i++, at += PDR_WORDS) {
      const teid = words[at + PDR_TEID]!;
      if (teid === 0 || teid === direct || firstWith(record, teid) !== i) continue;
      if (keeper === null || firstWith(keeper, teid) < 0) this.registry.remove(teid);
    }
  }

  #refuseTeid(
    record: RecordAt,
    old: RecordAt | null,
    pdr: number,
    code: 'resource_exhausted' | 'already_exists',
  ): false {
    this.#releaseTeids(record, old, pdr);
    this.addresses.release(record, old);
    const message =
      code === 'already_exists'
        ? 'another session has this TEID'
        : 'no TEID is free in the bucket of the session';
    const field = `session.pdrs[${pdr}].pdi.local_f_teid.teid`;
    return this.refusal.set(code, field, message, TABLE_PDR, pdr);
  }

  #noPort(field: string, access: boolean, table: number, index: number): false {
    const role = access ? 'access' : 'core';
    const message = `no ${role} port carries this network instance`;
    return this.refusal.set('failed_precondition', field, message, table, index);
  }
}

/** Index of the record's first PDR with the TEID, -1: none. */
function firstWith(record: RecordAt, teid: number): number {
  const { words, start } = record;
  const count = pdrCount(words, start);
  for (let i = 0, at = pdrsAt(start) + PDR_TEID; i < count; i++, at += PDR_WORDS) {
    if (words[at] === teid) return i;
  }
  return -1;
}

/** TEID of an earlier PDR with the same choose ID, 0: none. */
function sharedWith(record: RecordAt, pdr: number): number {
  const { words, start } = record;
  const own = words[pdrsAt(start) + pdr * PDR_WORDS + PDR_F_TEID]! & CHOICE_MASK;
  if ((own & F_TEID_UNSHARED) !== 0) return 0;
  for (let i = 0, at = pdrsAt(start); i < pdr; i++, at += PDR_WORDS) {
    if ((words[at + PDR_F_TEID]! & CHOICE_MASK) === own) return words[at + PDR_TEID]!;
  }
  return 0;
}

/** What the old version chose for the same choose ID, or for the same PDR when unshared; 0: nothing. */
function teidChosenBefore(record: RecordAt, pdr: number, old: RecordAt | null): number {
  if (old === null) return 0;
  const at = pdrsAt(record.start) + pdr * PDR_WORDS;
  const own = record.words[at + PDR_F_TEID]! & CHOICE_MASK;
  const id = record.words[at + PDR_ID]! & 0xffff;
  const count = pdrCount(old.words, old.start);
  for (let i = 0, to = pdrsAt(old.start); i < count; i++, to += PDR_WORDS) {
    if ((old.words[to + PDR_F_TEID]! & CHOICE_MASK) !== own) continue;
    if ((own & F_TEID_UNSHARED) !== 0 && (old.words[to + PDR_ID]! & 0xffff) !== id) continue;
    return old.words[to + PDR_TEID]!;
  }
  return 0;
}
