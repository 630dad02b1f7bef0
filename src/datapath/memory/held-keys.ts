/**
 * Who has the keys of records (record-keys.ts), and which sessions go in favour of others. For the
 * packet path in memory.
 */
import { pdrCount } from '../../model/record.js';
import { RecordKeys } from './record-keys.js';

export interface KeptRecord {
  readonly words: Uint32Array;
  readonly start: number;
}
/** A PDR, or that the UE's address is meant. */
export interface KeyInUse {
  readonly pdr: number | undefined;
}

export class HeldKeys {
  readonly #holders = new Map<string | number, number>();
  readonly #names = new RecordKeys();
  /** Sessions whose deletion is prepared in favour of another one, and which that is. */
  readonly #displaced = new Map<number, number>();

  get size(): number {
    return this.#holders.size;
  }

  displace(index: number, successor: number): void {
    this.#displaced.set(index, successor);
  }
  /** It is gone, or stays. */
  settled(index: number): void {
    this.#displaced.delete(index);
  }

  /** Another session that has a TEID of the record (`teids`) or its UE address; -1: none. */
  holder(index: number, { words, start }: KeptRecord, teids: boolean, butFor: Uint32Array): number {
    const count = pdrCount(words, start);
    for (const { key, pdr } of this.#names.of(words, start)) {
      const holder = this.#holders.get(key) ?? index;
      if (pdr < count === teids && holder !== index && !butFor.includes(holder)) return holder;
    }
    return -1;
  }

  /** Takes the record's keys for the session; one that another has: none is taken. */
  take(index: number, { words, start }: KeptRecord): KeyInUse | undefined {
    const taken: (string | number)[] = [];
    const count = pdrCount(words, start);
    for (const { key, pdr } of this.#names.of(words, start)) {
      if (!this.#isFreeFor(key, index)) {
        for (const one of taken) this.#holders.delete(one);
        return { pdr: pdr < count ? pdr : undefined };
      }
      // What a displaced session has stays its own until it goes.
      if (this.#holders.has(key)) continue;
      this.#holders.set(key, index);
      taken.push(key);
    }
    return undefined;
  }

  /** What displaced sessions had of the record's keys is the session's. */
  handOver(index: number, { words, start }: KeptRecord): void {
    for (const { key } of this.#names.of(words, start)) this.#holders.set(key, index);
  }

  /** Gives back the session's keys of a version that `keeper` does not have. */
  release(index: number, version: KeptRecord, keeper: KeptRecord | null): void {
    const kept = keeper === null ? [] : this.#names.of(keeper.words, keeper.start);
    const keys = new Set(kept.map((one) => one.key));
    for (const { key } of this.#names.of(version.words, version.start)) {
      if (!keys.has(key) && this.#holders.get(key) === index) this.#holders.delete(key);
    }
  }

  #isFreeFor(key: string | number, index: number): boolean {
    const holder = this.#holders.get(key);
    if (holder === undefined || holder === index) return true;
    return this.#displaced.get(holder) === index;
  }
}
