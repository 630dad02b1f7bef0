// GHASH (NIST SP 800-38D clause 6.4), computed as POLYVAL over reversed blocks (RFC 8452 appendix
// A): no number is shifted then, and a reduction is two products with a constant. Sixteen blocks
// share one. A tier's operations `E` give
//   C, kHashBlocks                     a vector of blocks, reversed
//   zero, add_hash                     of C
//   load_hash(in), load_power(at)      blocks to be hashed; kHashBlocks powers, as they lie
//   load_part(in, bytes)               up to kHashBlocks blocks, behind as many of zeros as it
//   takes state_in(n, hash), power_in(n, at) zeros, but for the hash, or a power as it lies, as
//   block n low, high, middle(x, y)            products of halves: 0·0, 1·1, and the sum of 0·1 and
//   1·0 reduce(low, high, middle)          the sum over all blocks, modulo the polynomial
//   store_state, store_power(to, reduced)
#pragma once
#include <cstring>

#include "crypto/sm4/tier/kernels.h"

namespace sluice::crypto::sm4 {

template <class E>
struct Ghash {
  using C = typename E::C;
  static constexpr std::size_t kStepBytes = E::kHashBlocks * kSm4BlockBytes;

  struct Sum {
    C low = E::zero(), high = E::zero(), middle = E::zero();

    [[gnu::always_inline]] inline void take(C x, const std::byte* powers) noexcept {
      const C y = E::load_power(powers);
      low = E::add_hash(low, E::low(x, y));
      high = E::add_hash(high, E::high(x, y));
      middle = E::add_hash(middle, E::middle(x, y));
    }
    [[gnu::always_inline]] inline void finish(std::byte* hash) const noexcept {
      E::store_state(hash, E::reduce(low, high, middle));
    }
  };

  [[gnu::always_inline]] static inline void hash(const HashPowers& powers, std::byte* hash,
                                                 const std::byte* in, std::size_t bytes) noexcept {
    for (; bytes >= kPowers * kSm4BlockBytes; bytes -= kPowers * kSm4BlockBytes) {
      Sum sum;
      for (unsigned i = 0; i < kPowers; i += E::kHashBlocks) {
        C x = E::load_hash(in);
        if (i == 0) x = E::add_hash(x, E::state_in(0, hash));
        sum.take(x, powers.of[i]);
        in += kStepBytes;
      }
      sum.finish(hash);
    }
    if (bytes != 0) rest(powers, hash, in, bytes);
  }

  /// Less than 16 blocks. Blocks of zeros before the first one change nothing but the place of the
  /// state, so vectors are filled up at the front.
  [[gnu::always_inline]] static inline void rest(const HashPowers& powers, std::byte* hash,
                                                 const std::byte* in, std::size_t bytes) noexcept {
    const auto blocks = static_cast<unsigned>((bytes + kSm4BlockBytes - 1) / kSm4BlockBytes);
    const unsigned first = (blocks - 1) % E::kHashBlocks + 1;
    unsigned power = kPowers - blocks + first - E::kHashBlocks;
    Sum sum;
    // The first vector may be the last too, and then not be full.
    const std::size_t begins = first * kSm4BlockBytes < bytes ? first * kSm4BlockBytes : bytes;
    sum.take(E::add_hash(E::load_part(in, begins), E::state_in(E::kHashBlocks - first, hash)),
             powers.of[power]);
    in += begins;
    bytes -= begins;
    power += E::kHashBlocks;
    for (; bytes >= kStepBytes; bytes -= kStepBytes, power += E::kHashBlocks) {
      sum.take(E::load_hash(in), powers.of[power]);
      in += kStepBytes;
    }
    if (bytes != 0) sum.take(E::load_part(in, bytes), powers.of[power]);
    sum.finish(hash);
  }

  /// The first power is h times x, by which POLYVAL's products divide; each other is the product of
  /// the one before it with that one.
  static void powers(const std::byte* h, HashPowers& powers) noexcept {
    std::memset(&powers, 0, sizeof powers);
    std::uint64_t high, low;
    std::memcpy(&high, h, 8);
    std::memcpy(&low, h + 8, 8);
    high = __builtin_bswap64(high);
    low = __builtin_bswap64(low);
    const std::uint64_t carry = 0 - (high >> 63);
    high = (high << 1 | low >> 63) ^ (carry & 0xc200000000000000);
    low = low << 1 ^ (carry & 1);
    std::byte* const first = powers.of[kPowers - 1];
    std::memcpy(first, &low, 8);
    std::memcpy(first + 8, &high, 8);
    constexpr unsigned kLast = E::kHashBlocks - 1;
    for (unsigned i = kPowers - 1; i-- != 0;) {
      Sum sum;
      sum.take(E::power_in(kLast, powers.of[i + 1]), powers.of[kPowers - E::kHashBlocks]);
      E::store_power(powers.of[i], E::reduce(sum.low, sum.high, sum.middle));
    }
  }
};

}  // namespace sluice::crypto::sm4
