/**
 * Where records live: 16 MB chunks outside the JavaScript heap, in pages of one size class
 * each. A handle names a record: (chunk + 1) << 18 | offset ÷ 64; 0 is none. Free slots of a
 * page are linked through their own first word, so that bookkeeping costs nothing per record.
 *
 * A record in the slab is never written again once it is published: an update takes a new
 * slot. Owner: the control thread alone writes and frees; compilers and store read in place.
 */
import { SLAB_CHUNK_BYTES, SLAB_PAGE_BYTES, SLAB_UNIT_BYTES } from '../../base/limits.js';

const UNITS_PER_CHUNK_BITS = 18;
const UNIT_MASK = (1 << UNITS_PER_CHUNK_BITS) - 1;
const UNITS_PER_PAGE_BITS = 12;
const PAGES_PER_CHUNK = SLAB_CHUNK_BYTES / SLAB_PAGE_BYTES;
const CHUNKS_MAX = (1 << (32 - UNITS_PER_CHUNK_BITS)) - 1;
/** Header word of a record that holds its length in bytes (native/session/record.h). */
const BYTES_WORD = 1;
const NO_CLASS = 0xff;

/** Empty pages that keep their memory, since a page that fills soon is had cheaper so. */
const RESIDENT_PAGES_MAX = 64;
/** Pages that give their memory back together. */
const RELEASE_PAGES = 16;

/** What the packet path has to know of the slab's memory. */
export interface SlabMemory {
  registerSlabChunk(chunk: Uint8Array): void;
  releaseSlabMemory(chunk: number, offset: number, bytes: number): void;
}

/** Class sizes in units: every multiple up to 16, then steps of at most a sixteenth. */
function classUnits(): number[] {
  const unitsPerPage = SLAB_PAGE_BYTES / SLAB_UNIT_BYTES;
  const units: number[] = [];
  for (let size = 1; size < unitsPerPage / 8; size += Math.max(1, size >>> 4)) units.push(size);
  for (let perPage = 8; perPage >= 1; perPage--) units.push(Math.floor(unitsPerPage / perPage));
  return units;
}

export class Slab {
  /** One view per chunk; index: {@link chunkOf}. */
  readonly chunkWords: Uint32Array[] = [];
  readonly chunkBytes: Uint8Array[] = [];
  readonly #classUnits = Uint16Array.from(classUnits());
  readonly #classOfUnits = new Uint8Array(SLAB_PAGE_BYTES / SLAB_UNIT_BYTES + 1);
  /** Per class: a page with room, 0 is none. Pages are numbered from PAGES_PER_CHUNK, as in handles. */
  readonly #roomy: Uint32Array;
  #pages = new Pages(0);
  /** Empty pages with memory behind them, the last one used last; and those without. */
  #emptyPages: number[] = [];
  #barePages: number[] = [];
  #bytesUsed = 0;
  #records = 0;

  constructor(private readonly memory: SlabMemory) {
    this.#roomy = new Uint32Array(this.#classUnits.length);
    let sizeClass = 0;
    for (let units = 0; units < this.#classOfUnits.length; units++) {
      if (units > this.#classUnits[sizeClass]!) sizeClass++;
      this.#classOfUnits[units] = sizeClass;
    }
  }

  /** Bytes of slots in use; 0 when every record was freed. */
  get bytesUsed(): number {
    return this.#bytesUsed;
  }
  get records(): number {
    return this.#records;
  }
  /** Pages that hold at least one record; 0 when every record was freed. */
  get pagesUsed(): number {
    const empty = this.#emptyPages.length + this.#barePages.length;
    return this.chunkWords.length * PAGES_PER_CHUNK - empty;
  }

  /** Handle of a slot of at least `bytes` (at most a page), 0 when the slab is full. */
  allocate(bytes: number): number {
    const sizeClass = this.#classOfUnits[(bytes + SLAB_UNIT_BYTES - 1) >>> 6]!;
    const page = this.#roomy[sizeClass]! || this.#takePage(sizeClass);
    return page === 0 ? 0 : this.#takeSlot(page, sizeClass);
  }

  free(handle: number): void {
    const page = handle >>> UNITS_PER_PAGE_BITS;
    const pages = this.#pages;
    const sizeClass = pages.sizeClass[page]!;
    const units = this.#classUnits[sizeClass]!;
    const wasFull = pages.used[page] === pages.capacity(units);
    this.words(handle)[this.start(handle)] = pages.free[page]!;
    pages.free[page] = handle;
    pages.used[page]!--;
    this.#bytesUsed -= units * SLAB_UNIT_BYTES;
    this.#records--;
    if (wasFull) this.#link(page, sizeClass);
    if (pages.used[page] === 0) {
      this.#unlink(page, sizeClass);
      pages.sizeClass[page] = NO_CLASS;
      this.#emptyPages.push(page);
      if (this.#emptyPages.length > RESIDENT_PAGES_MAX) this.#releasePages();
    }
  }

  /** The chunk's words; the record starts at {@link start}. */
  words(handle: number): Uint32Array {
    return this.chunkWords[(handle >>> UNITS_PER_CHUNK_BITS) - 1]!;
  }
  /** Index of the record's first word in its chunk. */
  start(handle: number): number {
    return (handle & UNIT_MASK) << 4;
  }
  chunkOf(handle: number): number {
    return (handle >>> UNITS_PER_CHUNK_BITS) - 1;
  }
  /** Byte offset in the chunk. */
  offsetOf(handle: number): number {
    return (handle & UNIT_MASK) << 6;
  }
  /** The record alone, in place. */
  view(handle: number): Uint32Array {
    const words = this.words(handle);
    const start = this.start(handle);
    return words.subarray(start, start + (words[start + BYTES_WORD]! >>> 2));
  }

  #takeSlot(page: number, sizeClass: number): number {
    const pages = this.#pages;
    const units = this.#classUnits[sizeClass]!;
    let handle = pages.free[page]!;
    if (handle !== 0) {
      pages.free[page] = this.words(handle)[this.start(handle)]!;
    } else {
      handle = ((page << UNITS_PER_PAGE_BITS) + pages.fresh[page]!) >>> 0;
      pages.fresh[page]! += units;
    }
    pages.used[page]!++;
    this.#bytesUsed += units * SLAB_UNIT_BYTES;
    this.#records++;
    if (pages.used[page] === pages.capacity(units)) this.#unlink(page, sizeClass);
    return handle;
  }

  #takePage(sizeClass: number): number {
    let page = this.#emptyPages.pop() ?? this.#barePages.pop();
    if (page === undefined) {
      if (!this.#addChunk()) return 0;
      page = this.#barePages.pop()!;
    }
    this.#pages.reset(page, sizeClass);
    this.#link(page, sizeClass);
    return page;
  }

  #addChunk(): boolean {
    const chunk = this.chunkWords.length;
    if (chunk >= CHUNKS_MAX) return false;
    let buffer: ArrayBuffer;
    try {
      buffer = new ArrayBuffer(SLAB_CHUNK_BYTES);
    } catch {
      return false;
    }
    this.chunkWords.push(new Uint32Array(buffer));
    this.chunkBytes.push(new Uint8Array(buffer));
    const first = (chunk + 1) * PAGES_PER_CHUNK;
    this.#pages = this.#pages.grow(first + PAGES_PER_CHUNK);
    for (let i = PAGES_PER_CHUNK - 1; i >= 0; i--) this.#barePages.push(first + i);
    this.memory.registerSlabChunk(this.chunkBytes[chunk]!);
    return true;
  }

  /** Those that have been empty longest. */
  #releasePages(): void {
    for (const page of this.#emptyPages.splice(0, RELEASE_PAGES)) {
      const handle = page << UNITS_PER_PAGE_BITS;
      const chunk = this.chunkOf(handle);
      this.memory.releaseSlabMemory(chunk, this.offsetOf(handle), SLAB_PAGE_BYTES);
      this.#barePages.push(page);
    }
  }

  #link(page: number, sizeClass: number): void {
    const pages = this.#pages;
    const head = this.#roomy[sizeClass]!;
    pages.next[page] = head;
    pages.previous[page] = 0;
    if (head !== 0) pages.previous[head] = page;
    this.#roomy[sizeClass] = page;
  }

  #unlink(page: number, sizeClass: number): void {
    const pages = this.#pages;
    const next = pages.next[page]!;
    const previous = pages.previous[page]!;
    if (previous === 0) this.#roomy[sizeClass] = next;
    else pages.next[previous] = next;
    if (next !== 0) pages.previous[next] = previous;
  }
}

/** What is known of each page, by its number. */
class Pages {
  readonly sizeClass: Uint8Array;
  readonly used: Uint16Array;
  /** Units handed out from the page's start, before any was freed. */
  readonly fresh: Uint16Array;
  /** Handle of the first freed slot, 0: none. */
  readonly free: Uint32Array;
  readonly next: Uint32Array;
  readonly previous: Uint32Array;

  constructor(count: number) {
    this.sizeClass = new Uint8Array(count).fill(NO_CLASS);
    this.used = new Uint16Array(count);
    this.fresh = new Uint16Array(count);
    this.free = new Uint32Array(count);
    this.next = new Uint32Array(count);
    this.previous = new Uint32Array(count);
  }

  capacity(units: number): number {
    return Math.floor((1 << UNITS_PER_PAGE_BITS) / units);
  }

  reset(page: number, sizeClass: number): void {
    this.sizeClass[page] = sizeClass;
    this.used[page] = 0;
    this.fresh[page] = 0;
    this.free[page] = 0;
  }

  /** A copy with room for more pages; a chunk brings 64, so this copies a few kB. */
  grow(count: number): Pages {
    const grown = new Pages(count);
    grown.sizeClass.set(this.sizeClass);
    grown.used.set(this.used);
    grown.fresh.set(this.fresh);
    grown.free.set(this.free);
    grown.next.set(this.next);
    grown.previous.set(this.previous);
    return grown;
  }
}
