/** Sessions found and listed, most of them where they lie. Owner: the control thread. */
import { SluiceError } from '../../base/errors.js';
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX } from '../../base/limits.js';
import { HEADER_PLACE } from '../../model/record-layout.js';
import type { Store } from '../../store/store.js';
import type { RecordPlace, RecordVisit, ScanOrder, SessionPage } from '../engine.js';
import { NameText } from './name-index.js';
import type { SessionTable } from './session-table.js';
import type { Slab } from './slab.js';

/** Records of other owners cost time, too: a millisecond or so. */
const STORE_LOOKS_MAX = 4096;

export class Lookup {
  /** What is shown: used again. */
  readonly #place: { words: Uint32Array; start: number } = { words: new Uint32Array(0), start: 0 };
  readonly #name = new NameText();

  constructor(
    private readonly slab: Slab,
    private readonly table: SessionTable,
    private readonly store: Store,
  ) {}

  bySeid(owner: string, low: number, high: number): RecordPlace | null {
    const { table } = this;
    const index = table.findBySeid(low, high);
    if (index < 0 || !table.isVisible(index)) return null;
    const mine = owner === '' || table.owner[index] === table.owners.find(owner);
    return mine ? this.#at(index) : null;
  }

  byName(owner: string, bytes: Uint8Array, start: number, length: number): RecordPlace | null {
    const id = this.table.owners.find(owner);
    if (id < 0) return null;
    this.#name.set(bytes, start, length);
    const index = this.table.findByName(id, this.#name.words, 0, this.#name.ref);
    return index < 0 ? null : this.#at(index);
  }

  /** From an index of the table on, or from a key of the store: the one to go on from. */
  scan(owner: string, from: number, visit: RecordVisit, order: ScanOrder): number {
    const { owners } = this.table;
    const id = owners.find(owner);
    if (id < 0 || owners.count(id) === 0) return -1;
    return order === 'store' ? this.#scanStore(id, from, visit) : this.#scanTable(id, from, visit);
  }

  #scanStore(id: number, from: number, visit: RecordVisit): number {
    const { table } = this;
    let looks = 0;
    let next = -1;
    this.store.scan(from - 1, (key, bytes) => {
      const at = HEADER_PLACE * 4;
      const slot = bytes[at]! | (bytes[at + 1]! << 8);
      const bucket = bytes[at + 2]! | (bytes[at + 3]! << 8);
      const index = bucket * table.slots.slotsPerBucket + slot;
      // A record of an earlier version, or of a session that is gone, is nobody's.
      const mine = table.storeKey[index] === key && table.owner[index] === id;
      const goesOn = !mine || !table.isVisible(index) || visit(this.#at(index));
      if (goesOn && ++looks < STORE_LOOKS_MAX) return true;
      next = key + 1;
      return false;
    });
    return next;
  }

  #scanTable(id: number, from: number, visit: RecordVisit): number {
    const { table } = this;
    for (let index = from; index < table.capacity; index++) {
      if (table.owner[index] !== id || !table.isVisible(index)) continue;
      if (!visit(this.#at(index))) return index + 1;
    }
    return -1;
  }

  /** Copies, a page of them; owner '': all. */
  list(owner: string, pageSize: number, pageToken: string): SessionPage {
    const size = Math.min(pageSize || PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX);
    const { table, slab } = this;
    let index = pageToken === '' ? 0 : pageStart(pageToken, table.capacity);
    const id = owner === '' ? -1 : table.owners.find(owner);
    const total = owner === '' ? table.live : id < 0 ? 0 : table.owners.count(id);
    const records: Uint32Array[] = [];
    let last = -1;
    for (; index < table.capacity && total > 0; index++) {
      if (!table.isVisible(index) || (id >= 0 && table.owner[index] !== id)) continue;
      // One more than the page: there is a next one.
      if (records.length === size) break;
      records.push(slab.view(table.handle[index]!).slice());
      last = index;
    }
    const more = index < table.capacity && records.length === size;
    return { records, nextPageToken: more ? last.toString(36) : '', total };
  }

  #at(index: number): RecordPlace {
    const handle = this.table.handle[index]!;
    this.#place.words = this.slab.words(handle);
    this.#place.start = this.slab.start(handle);
    return this.#place;
  }
}

function pageStart(token: string, capacity: number): number {
  const last = /^[0-9a-z]{1,6}$/.test(token) ? Number.parseInt(token, 36) : -1;
  if (last < 0 || last >= capacity) {
    const message = 'is no token of an earlier page';
    throw new SluiceError('invalid_argument', message, { field: 'page_token' });
  }
  return last + 1;
}
