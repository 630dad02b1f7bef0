/**
 * All sessions by index (bucket × slots per bucket + slot): a few bytes each in typed arrays;
 * what a session is lies in its record in the slab. Arrays have their final size from the
 * start: memory that no session has touched costs nothing.
 */
import { SluiceError } from '../../base/errors.js';
import {
  HEADER_INCARNATION,
  HEADER_NAME,
  HEADER_SEID_HIGH,
  HEADER_SEID_LOW,
} from '../../model/record-layout.js';
import { Slots } from '../allocators/slots.js';
import type { RecordAt } from '../allocators/ue-addresses.js';
import { hashText, type NamedSessions, NameIndex } from './name-index.js';
import { Owners } from './owners.js';
import type { Slab } from './slab.js';

export const enum SessionState {
  Free = 0,
  /** On its way in: not visible yet. */
  Creating = 1,
  Live = 2,
  Updating = 3,
  Deleting = 4,
  /** Gone from the packet path, but the store failed to remove it: only deletion is possible. */
  Detached = 5,
}

/** 24 bits of a SEID are the session index, the other 40 are random. */
const SEID_INDEX_MASK = 0xff_ffff;

export class SessionTable implements NamedSessions {
  readonly slots: Slots;
  readonly owners = new Owners();
  readonly names: NameIndex;
  readonly state: Uint8Array;
  /** Handle of the current record. */
  readonly handle: Uint32Array;
  readonly owner: Uint16Array;
  /** Key of the current record in the store. */
  readonly storeKey: Float64Array;
  /** The operation under way: round << 10 | position, plus 1; 0: none. */
  readonly operation: Uint32Array;
  /** Names that sessions get by what is under way on them, by hash: taken from the start. */
  readonly #coming = new Map<number, number>();
  #live = 0;

  constructor(
    readonly slab: Slab,
    slotsPerBucket: number,
    readonly sessionsMax: number,
    /** Sessions to be restored: the limit may have been lowered below it. */
    stored = 0,
  ) {
    this.slots = new Slots(slotsPerBucket);
    const capacity = this.slots.capacity;
    this.state = new Uint8Array(capacity);
    this.handle = new Uint32Array(capacity);
    this.owner = new Uint16Array(capacity);
    this.storeKey = new Float64Array(capacity);
    this.operation = new Uint32Array(capacity);
    this.names = new NameIndex(this, Math.max(sessionsMax, stored));
  }

  get capacity(): number {
    return this.slots.capacity;
  }
  /** Sessions that exist for clients. */
  get live(): number {
    return this.#live;
  }

  /** The record of a session that nothing is under way on; null: else. Good for a call. */
  present(index: number): RecordAt | null {
    if (this.handle[index] === 0 || this.operation[index] !== 0) return null;
    return { words: this.wordsOf(index), start: this.startOf(index) };
  }
  wordsOf(index: number): Uint32Array {
    return this.slab.words(this.handle[index]!);
  }
  startOf(index: number): number {
    return this.slab.start(this.handle[index]!);
  }

  /** Whether clients see the session: it is in the store and was not deleted. */
  isVisible(index: number): boolean {
    const state = this.state[index]!;
    return state !== SessionState.Free && state !== SessionState.Creating;
  }

  findByName(owner: number, words: Uint32Array, base: number, ref: number): number {
    return this.names.find(owner, hashText(words, base, ref, owner), words, base, ref);
  }

  /** The session that has the name, or gets it by what is under way on it; -1: it is free. */
  findHolder(owner: number, words: Uint32Array, base: number, ref: number): number {
    const hash = hashText(words, base, ref, owner);
    const found = this.names.find(owner, hash, words, base, ref);
    return found >= 0 ? found : (this.#coming.get(hash) ?? -1);
  }

  /** Keeps the name of a session's next version for it; false: another session has it. */
  reserveName(index: number, { words, start }: RecordAt): boolean {
    const ref = words[start + HEADER_NAME]!;
    const owner = this.owner[index]!;
    const holder = this.findHolder(owner, words, start, ref);
    if (holder < 0) this.#coming.set(hashText(words, start, ref, owner), index);
    return holder < 0 || holder === index;
  }
  /** The version that the name was kept for is not to be. */
  releaseName(index: number, { words, start }: RecordAt): void {
    if (this.#coming.size === 0) return;
    const hash = hashText(words, start, words[start + HEADER_NAME]!, this.owner[index]!);
    if (this.#coming.get(hash) === index) this.#coming.delete(hash);
  }

  /** Whoever owns it; -1 also when several owners have a session of that name. */
  findOnlyByName(words: Uint32Array, base: number, ref: number): number {
    let found = -1;
    for (const owner of this.owners.ids()) {
      const index = this.findByName(owner, words, base, ref);
      if (index < 0) continue;
      if (found >= 0) return -1;
      found = index;
    }
    return found;
  }

  /** Why an owner who has no such session can't change it: another has it, or nobody. */
  notOwned(
    caller: number,
    words: Uint32Array,
    base: number,
    ref: number,
    low: number,
    high: number,
  ): SluiceError {
    let index = -1;
    if ((low | high) !== 0) index = this.findBySeid(low, high);
    else if (ref !== 0) index = this.findOnlyByName(words, base, ref);
    const foreign = index >= 0 && this.isVisible(index) && this.owner[index] !== caller;
    if (!foreign) return new SluiceError('not_found');
    const owner = this.owners.name(this.owner[index]!);
    return new SluiceError('permission_denied', `the session is ${owner}'s, who alone changes it`);
  }

  findBySeid(low: number, high: number): number {
    const index = low & SEID_INDEX_MASK;
    if (index >= this.capacity || this.handle[index] === 0) return -1;
    const words = this.wordsOf(index);
    const start = this.startOf(index);
    const same = words[start + HEADER_SEID_LOW] === low >>> 0;
    return same && words[start + HEADER_SEID_HIGH] === high >>> 0 ? index : -1;
  }

  incarnation(index: number): number {
    const handle = this.handle[index]!;
    return handle === 0 ? 0 : this.wordsOf(index)[this.startOf(index) + HEADER_INCARNATION]!;
  }

  /** Enters a new session whose record is at `handle`; its slot was taken before. */
  enter(index: number, handle: number, owner: number, state: SessionState): void {
    this.handle[index] = handle;
    this.owner[index] = owner;
    this.owners.holdAgain(owner);
    this.names.add(this.#nameHash(index), index);
    this.setState(index, state);
  }

  /** The session's next version, which may have another name, is the present one now. */
  replace(index: number, handle: number): void {
    const before = this.#coming.size === 0 ? 0 : this.#nameHash(index);
    this.handle[index] = handle;
    if (this.#coming.size === 0) return;
    const after = this.#nameHash(index);
    if (this.#coming.get(after) !== index) return;
    this.#coming.delete(after);
    this.names.remove(before, index);
    this.names.add(after, index);
  }

  /** Takes a session out and gives its slot back; the record stays the caller's. */
  leave(index: number): void {
    this.names.remove(this.#nameHash(index), index);
    this.setState(index, SessionState.Free);
    this.owners.release(this.owner[index]!);
    this.handle[index] = 0;
    this.storeKey[index] = 0;
    this.slots.free(index);
  }

  setState(index: number, state: SessionState): void {
    const before = this.isVisible(index);
    this.state[index] = state;
    const after = this.isVisible(index);
    if (before === after) return;
    this.#live += after ? 1 : -1;
    this.owners.countSession(this.owner[index]!, after ? 1 : -1);
  }

  #nameHash(index: number): number {
    const words = this.wordsOf(index);
    const start = this.startOf(index);
    return hashText(words, start, words[start + HEADER_NAME]!, this.owner[index]!);
  }
}
