/**
 * HalfSipHash-1-3 with 64 bits out: tells equal payloads from others when whoever sends them
 * does not know the key. The same function is in native/datagram/half_sip_hash.h, with the
 * same vectors. One thread each. Source: J.-P. Aumasson, D. J. Bernstein, SipHash, and the
 * reference code of HalfSipHash.
 */
export class HalfSipHash {
  /** Result of the last of(). */
  low = 0;
  high = 0;
  private v0 = 0;
  private v1 = 0;
  private v2 = 0;
  private v3 = 0;

  constructor(
    private readonly key0: number,
    private readonly key1: number,
    private readonly compressionRounds = 1,
    private readonly finalRounds = 3,
  ) {}

  of(bytes: Uint8Array, start: number, length: number): void {
    this.v0 = this.key0;
    this.v1 = this.key1 ^ 0xee;
    this.v2 = this.key0 ^ 0x6c796765;
    this.v3 = this.key1 ^ 0x74656462;
    const whole = start + (length & ~3);
    for (let at = start; at < whole; at += 4) {
      this.compress(
        bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24),
      );
    }
    let last = length << 24;
    for (let left = length & 3; left > 0; left--) {
      last |= bytes[whole + left - 1]! << (8 * (left - 1));
    }
    this.compress(last);
    this.v2 ^= 0xee;
    for (let round = 0; round < this.finalRounds; round++) this.round();
    this.low = (this.v1 ^ this.v3) >>> 0;
    this.v1 ^= 0xdd;
    for (let round = 0; round < this.finalRounds; round++) this.round();
    this.high = (this.v1 ^ this.v3) >>> 0;
  }

  private compress(word: number): void {
    this.v3 ^= word;
    for (let round = 0; round < this.compressionRounds; round++) this.round();
    this.v0 ^= word;
  }

  private round(): void {
    let { v0, v1, v2, v3 } = this;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    this.v0 = v0;
    this.v1 = v1;
    this.v2 = v2;
    this.v3 = v3;
  }
}
