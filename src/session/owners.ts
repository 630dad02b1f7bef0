/**
 * Owners as small numbers, so that a session names its owner in two bytes and a listing by
 * owner reads one array. A number is given back with the owner's last session.
 */
import { SluiceError } from '../base/errors.js';
import { OWNERS_MAX } from '../base/limits.js';

export class Owners {
  readonly #ids = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #holders: number[] = [];
  /** Sessions in the table, by owner. */
  readonly #sessions: number[] = [];
  readonly #free: number[] = [];

  /** The owner's number, held until {@link release}. */
  hold(name: string): number {
    let id = this.#ids.get(name);
    if (id === undefined) {
      id = this.#free.pop() ?? this.#names.length;
      if (id > OWNERS_MAX) {
        throw new SluiceError('resource_exhausted', `there are ${OWNERS_MAX} owners of sessions`);
      }
      this.#ids.set(name, id);
      this.#names[id] = name;
      this.#holders[id] = 0;
      this.#sessions[id] = 0;
    }
    this.#holders[id]!++;
    return id;
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
  name(id: number): string {
    return this.#names[id]!;
  }
  count(id: number): number {
    return this.#sessions[id]!;
  }
  addSession(id: number): void {
    this.#holders[id]!++;
    this.#sessions[id]!++;
  }
  removeSession(id: number): void {
    this.#sessions[id]!--;
    this.release(id);
  }
}
