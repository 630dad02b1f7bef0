/**
 * What makes a store's TEIDs its own: the secret of their permutation, the width of a slot,
 * slots per bucket, and the generations that were used. Written once, except that slots per
 * bucket may grow up to the width, and generations do grow.
 */
import { randomBytes } from 'node:crypto';
import { SluiceError } from '../base/errors.js';
import { BUCKETS, SESSION_INDEX_MAX } from '../base/limits.js';
import type { Store } from '../store/store.js';
import type { TeidKey } from './allocators/teid.js';

export interface StoreIdentity {
  readonly teidKey: TeidKey;
  readonly slotBits: number;
  readonly slotsPerBucket: number;
}

const IDENTITY = 'identity';
const REGION = 'region';
const GENERATIONS = 'generations';
const IDENTITY_BYTES = 28;
/** Without the word that tells buckets apart. */
const IDENTITY_BYTES_BEFORE = 24;
/** Room for 2 million sessions, so that a limit may be raised without a new store. */
const SLOT_BITS_MIN = 13;
const SLOT_BITS_MAX = 16;
/** Sessions fall into buckets at random: this much more room keeps every bucket usable. */
const SPARE = 9 / 8;
const SLOTS_MIN = 64;

/** Slots that a new store gets per bucket for so many sessions. */
export function slotsFor(sessionsMax: number): number {
  const perBucket = Math.max(SLOTS_MIN, Math.ceil((sessionsMax * SPARE) / BUCKETS));
  return Math.min(SESSION_INDEX_MAX / BUCKETS, perBucket);
}

/** Reads the store's identity, or gives it one; before the packet path is configured. */
export async function loadIdentity(store: Store, sessionsMax: number): Promise<StoreIdentity> {
  const wanted = slotsFor(sessionsMax);
  const stored = store.getMeta(IDENTITY);
  const found = stored === undefined ? undefined : parse(stored);
  if (found !== undefined && found.slotsPerBucket >= wanted) return found;
  const identity = found === undefined ? fresh(wanted) : { ...found, slotsPerBucket: wanted };
  if (wanted > 2 ** identity.slotBits) {
    const most = Math.floor((2 ** identity.slotBits * BUCKETS) / SPARE);
    throw new SluiceError(
      'failed_precondition',
      `limits.sessions is ${sessionsMax}, but the store was made for at most ${most}; ` +
        'lower the limit, or start with a new data folder',
      { field: 'limits.sessions' },
    );
  }
  store.putMeta(IDENTITY, format(identity));
  await store.commit();
  return identity;
}

/** Name of the file that the packet path's memory is: this store's own, written once. */
export async function loadRegionName(store: Store): Promise<string> {
  const stored = store.getMeta(REGION);
  if (stored !== undefined) return Buffer.from(stored).toString('latin1');
  const name = `sluice-${randomBytes(8).toString('hex')}`;
  store.putMeta(REGION, Buffer.from(name, 'latin1'));
  await store.commit();
  return name;
}

/** Highest generation used, by bucket; undefined for a new store. */
export function loadGenerations(store: Store): Uint32Array | undefined {
  const stored = store.getMeta(GENERATIONS);
  if (stored === undefined) return undefined;
  if (stored.length !== BUCKETS * 4) throw corrupt(GENERATIONS);
  const view = new DataView(stored.buffer, stored.byteOffset, stored.length);
  return Uint32Array.from({ length: BUCKETS }, (_, i) => view.getUint32(i * 4));
}

export function putGenerations(store: Store, generations: Uint32Array): void {
  const bytes = new Uint8Array(BUCKETS * 4);
  const view = new DataView(bytes.buffer);
  generations.forEach((generation, i) => {
    view.setUint32(i * 4, generation);
  });
  store.putMeta(GENERATIONS, bytes);
}

function fresh(slotsPerBucket: number): StoreIdentity {
  const random = randomBytes(20);
  const word = (i: number) => random.readUInt32BE(i * 4);
  const slotBits = Math.max(SLOT_BITS_MIN, Math.ceil(Math.log2(slotsPerBucket)));
  // Odd, so that no two buckets have the same permutation.
  const step = (word(4) | 1) >>> 0;
  return { teidKey: [word(0), word(1), word(2), word(3), step], slotBits, slotsPerBucket };
}

function format(identity: StoreIdentity): Uint8Array {
  const bytes = new Uint8Array(IDENTITY_BYTES);
  const view = new DataView(bytes.buffer);
  const [a, b, c, d, step] = identity.teidKey;
  const words = [a, b, c, d, identity.slotBits, identity.slotsPerBucket, step];
  words.forEach((word, i) => {
    view.setUint32(i * 4, word);
  });
  return bytes;
}

function parse(bytes: Uint8Array): StoreIdentity {
  const before = bytes.length === IDENTITY_BYTES_BEFORE;
  if (bytes.length !== IDENTITY_BYTES && !before) throw corrupt(IDENTITY);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const word = (i: number) => view.getUint32(i * 4);
  const slotBits = word(4);
  const slotsPerBucket = word(5);
  const fits = slotBits >= 1 && slotBits <= SLOT_BITS_MAX && slotsPerBucket <= 2 ** slotBits;
  if (!fits || slotsPerBucket === 0) throw corrupt(IDENTITY);
  const step = before ? 0 : word(6);
  return { teidKey: [word(0), word(1), word(2), word(3), step], slotBits, slotsPerBucket };
}

function corrupt(name: string): SluiceError {
  return new SluiceError(
    'failed_precondition',
    `the store's value "${name}" makes no sense; move the data folder away to start empty`,
    { field: 'store.path' },
  );
}
