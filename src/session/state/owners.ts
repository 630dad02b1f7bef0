/**
 * Owners as small numbers, so that a session names its owner in two bytes and a listing by
 * owner reads one array. A number is given back with the owner's last session.
 */
import { SluiceError } from '../../base/errors.js';
import { OWNERS_MAX } from '../../base/limits.js';
import { type TextWords, textWords } from './name-index.js';

export class Owners {
  readonly #ids = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #texts: TextWords[] = [];
  readonly #holders: number[] = [];
  /** Sessions that clients see, by owner. */
  readonly #sessions: number[] = [];
  readonly #free: number[] = [];

  /** The owner's number, held until {@link release}: by each session and each open batch. */
  hold(name: string): number {
    let id = this.#ids.get(name);
    if (id === undefined) {
      id = this.#free.pop() ?? this.#names.length;
      if (id > OWNERS_MAX) {
        throw new SluiceError('resource_exhausted', `there are ${OWNERS_MAX} owners of sessions`);
      }
      this.#ids.set(name, id);
      this.#names[id] = name;
      this.#texts[id] = textWords(name);
      this.#holders[id] = 0;
      this.#sessions[id] = 0;
    }
    this.#holders[id]!++;
    return id;
  }

  holdAgain(id: number): void {
    this.#holders[id]!++;
  }

  release(id: number): void {
    if (--this.#holders[id]! > 0) return;
    this.#ids.delete(this.#names[id]!);
    this.#names[id] = '';
    this.#free.push(id);
  }

  /** -1: nobody of that name holds or owns anything. */
  find(name: string): number {
    return this.#ids.get(name) ?? -1;
  }
  /** Of those who hold or own something. */
  ids(): Iterable<number> {
    return this.#ids.values();
  }
  name(id: number): string {
    return this.#names[id]!;
  }
  /** The name as records hold it. */
  text(id: number): TextWords {
    return this.#texts[id]!;
  }
  count(id: number): number {
    return this.#sessions[id]!;
  }
  /** A session became visible to clients, or ceased to be. */
  countSession(id: number, change: 1 | -1): void {
    this.#sessions[id]! += change;
  }
}
