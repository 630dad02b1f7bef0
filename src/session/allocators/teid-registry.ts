/**
 * TEIDs in use that do not follow from a slot: further ones of a session and those that a
 * control plane function chose. Counts holders, since one TEID may stand at several local
 * addresses; whether two sessions clash there is the packet path's to say.
 *
 * Open addressing with backward-shift deletion: no tombstones, 8 bytes an entry.
 */

const CAPACITY_MIN = 1024;

export class TeidRegistry {
  #teids = new Uint32Array(CAPACITY_MIN);
  #holders = new Uint32Array(CAPACITY_MIN);
  #mask = CAPACITY_MIN - 1;
  #size = 0;

  /** Distinct TEIDs held. */
  get size(): number {
    return this.#size;
  }

  has(teid: number): boolean {
    return this.#teids[this.#find(teid)] === teid;
  }

  add(teid: number): void {
    let at = this.#find(teid);
    if (this.#teids[at] !== teid) {
      if ((this.#size + 1) * 2 > this.#mask) {
        this.#resize((this.#mask + 1) * 2);
        at = this.#find(teid);
      }
      this.#teids[at] = teid;
      this.#size++;
    }
    this.#holders[at]!++;
  }

  /** Drops one holder; an unknown TEID is ignored. */
  remove(teid: number): void {
    const at = this.#find(teid);
    if (this.#teids[at] !== teid) return;
    this.#holders[at]!--;
    if (this.#holders[at] !== 0) return;
    this.#erase(at);
    this.#size--;
    if (this.#mask >= CAPACITY_MIN && this.#size * 8 < this.#mask) {
      this.#resize((this.#mask + 1) / 2);
    }
  }

  /** Position of the TEID, or of the empty entry where it would go. 0 marks empty entries. */
  #find(teid: number): number {
    let at = this.#home(teid);
    while (this.#teids[at] !== 0 && this.#teids[at] !== teid) at = (at + 1) & this.#mask;
    return at;
  }

  #home(teid: number): number {
    const mixed = Math.imul(teid ^ (teid >>> 15), 0x9e3779b1);
    return (mixed ^ (mixed >>> 16)) & this.#mask;
  }

  #erase(hole: number): void {
    let at = hole;
    for (;;) {
      at = (at + 1) & this.#mask;
      const teid = this.#teids[at]!;
      if (teid === 0) break;
      // The entry may move into the hole unless its home lies behind the hole.
      const home = this.#home(teid);
      if (((at - home) & this.#mask) < ((at - hole) & this.#mask)) continue;
      this.#teids[hole] = teid;
      this.#holders[hole] = this.#holders[at]!;
      hole = at;
    }
    this.#teids[hole] = 0;
    this.#holders[hole] = 0;
  }

  #resize(capacity: number): void {
    const teids = this.#teids;
    const holders = this.#holders;
    this.#teids = new Uint32Array(capacity);
    this.#holders = new Uint32Array(capacity);
    this.#mask = capacity - 1;
    for (let i = 0; i < teids.length; i++) {
      if (teids[i] === 0) continue;
      const at = this.#find(teids[i]!);
      this.#teids[at] = teids[i]!;
      this.#holders[at] = holders[i]!;
    }
  }
}
