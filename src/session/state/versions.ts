/**
 * When a record's bytes may be used again: a version that was replaced or deleted stays until
 * every batch that was open at that moment has handed out its results, since these show
 * records in place. Owner: the control thread.
 */
import type { Slab } from './slab.js';

export class Versions {
  /** Serials of open batches, in order. */
  readonly #open = new Set<number>();
  #nextSerial = 1;
  /** A queue: handles and the serial before which no batch may be open any more. */
  #handles = new Uint32Array(1024);
  #serials = new Float64Array(1024);
  #head = 0;
  #size = 0;

  constructor(private readonly slab: Slab) {}

  /** Versions that wait for a batch. */
  get waiting(): number {
    return this.#size;
  }

  /** A batch opens: its serial. */
  open(): number {
    const serial = this.#nextSerial++;
    this.#open.add(serial);
    return serial;
  }

  close(serial: number): void {
    this.#open.delete(serial);
    this.reclaim();
  }

  /** Frees the version as soon as no result can show it. */
  retire(handle: number): void {
    if (this.#size === this.#handles.length) this.#grow();
    const at = (this.#head + this.#size) & (this.#handles.length - 1);
    this.#handles[at] = handle;
    this.#serials[at] = this.#nextSerial;
    this.#size++;
  }

  reclaim(): void {
    const oldest = this.#open.values().next();
    const limit = oldest.done === true ? Number.POSITIVE_INFINITY : oldest.value;
    while (this.#size > 0 && this.#serials[this.#head]! <= limit) {
      this.slab.free(this.#handles[this.#head]!);
      this.#head = (this.#head + 1) & (this.#handles.length - 1);
      this.#size--;
    }
  }

  #grow(): void {
    const length = this.#handles.length;
    const handles = new Uint32Array(length * 2);
    const serials = new Float64Array(length * 2);
    for (let i = 0; i < length; i++) {
      const at = (this.#head + i) & (length - 1);
      handles[i] = this.#handles[at]!;
      serials[i] = this.#serials[at]!;
    }
    this.#handles = handles;
    this.#serials = serials;
    this.#head = 0;
  }
}
