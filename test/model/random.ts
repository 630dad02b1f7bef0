/** Random numbers that a seed repeats: sfc32. */
export class Random {
  #a: number;
  #b = 0x9e3779b9;
  #c = 0x243f6a88;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b ^= Math.floor(seed / 2 ** 32);
    for (let i = 0; i < 16; i++) this.word();
  }

  /** 32 bits. */
  word(): number {
    const sum = (this.#a + this.#b + this.#counter++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }
  /** From 0 to below `count`. */
  below(count: number): number {
    return Math.floor((this.word() / 2 ** 32) * count);
  }
  /** From `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }
  /** True once in `count`. */
  once(count: number): boolean {
    return this.below(count) === 0;
  }
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
  /** Some of the list, in its order; each with a chance of one half. */
  some<T>(list: readonly T[]): T[] {
    return list.filter(() => this.once(2));
  }
  shuffled<T>(list: readonly T[]): T[] {
    const out = [...list];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [out[i], out[j]] = [out[j]!, out[i]!];
    }
    return out;
  }
}
