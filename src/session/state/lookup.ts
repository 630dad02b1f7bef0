/** Sessions found and listed, most of them where they lie. Owner: the control thread. */
import { SluiceError } from '../../base/errors.js';
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX } from '../../base/limits.js';
import type { RecordPlace, SessionPage } from '../engine.js';
import { NameText } from './name-index.js';
import type { SessionTable } from './session-table.js';
import type { Slab } from './slab.js';

export class Lookup {
  /** What is shown: used again. */
  readonly #place: { words: Uint32Array; start: number } = { words: new Uint32Array(0), start: 0 };
  readonly #name = new NameText();

  constructor(
    private readonly slab: Slab,
    private readonly table: SessionTable,
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

  /** The index to go on from, -1: that was all. */
  scan(owner: string, from: number, visit: (place: RecordPlace) => boolean): number {
    const { table } = this;
    const id = table.owners.find(owner);
    if (id < 0 || table.owners.count(id) === 0) return -1;
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
