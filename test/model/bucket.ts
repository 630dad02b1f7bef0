/**
 * The token bucket of a maximum bit rate: as deep as 50 ms of the rate, and at least two
 * packets of 1,500 bytes. The unit is µbit, of which 1 kbit/s brings one each nanosecond.
 */
const MICROBITS_PER_BYTE = 8_000_000n;
const DEPTH_NS = 50_000_000n;
const DEPTH_BYTES_MIN = 3_000n;

export class Bucket {
  readonly #depth: bigint;
  #tokens: bigint;
  #filledNs: bigint;

  constructor(
    readonly rateKbps: number,
    nowNs: number,
  ) {
    const ofRate = BigInt(rateKbps) * DEPTH_NS;
    const least = DEPTH_BYTES_MIN * MICROBITS_PER_BYTE;
    this.#depth = ofRate > least ? ofRate : least;
    this.#tokens = this.#depth;
    this.#filledNs = BigInt(nowNs);
  }

  has(bytes: number, nowNs: number): boolean {
    const now = BigInt(nowNs);
    const filled = this.#tokens + BigInt(this.rateKbps) * (now - this.#filledNs);
    this.#tokens = filled < this.#depth ? filled : this.#depth;
    this.#filledNs = now;
    return this.#tokens >= BigInt(bytes) * MICROBITS_PER_BYTE;
  }

  pay(bytes: number): void {
    this.#tokens -= BigInt(bytes) * MICROBITS_PER_BYTE;
  }
}
