// What GHASH is made of with PCLMULQDQ, a block a vector. Included by tiers' sources alone.
#pragma once
#include <immintrin.h>

#include <cstring>

#include "crypto/sm4/kernels.h"

namespace sluice::crypto::sm4 {

struct PclmulHash {
  using C = __m128i;
  static constexpr unsigned kHashBlocks = 1;

  [[gnu::always_inline]] static inline C reversed(C block) noexcept {
    return _mm_shuffle_epi8(block,
                            _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  }
  [[gnu::always_inline]] static inline C zero() noexcept { return _mm_setzero_si128(); }
  [[gnu::always_inline]] static inline C add_hash(C a, C b) noexcept { return _mm_xor_si128(a, b); }
  [[gnu::always_inline]] static inline C load_power(const std::byte* at) noexcept {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  }
  [[gnu::always_inline]] static inline C load_hash(const std::byte* in) noexcept {
    return reversed(load_power(in));
  }
  [[gnu::always_inline]] static inline C load_part(const std::byte* in,
                                                   std::size_t bytes) noexcept {
    if (bytes == kSm4BlockBytes) return load_hash(in);
    std::byte block[kSm4BlockBytes] = {};
    std::memcpy(block, in, bytes);
    return load_hash(block);
  }
  [[gnu::always_inline]] static inline C state_in(unsigned, const std::byte* hash) noexcept {
    return load_hash(hash);
  }
  [[gnu::always_inline]] static inline C power_in(unsigned, const std::byte* at) noexcept {
    return load_power(at);
  }
  [[gnu::always_inline]] static inline C low(C x, C y) noexcept {
    return _mm_clmulepi64_si128(x, y, 0x00);
  }
  [[gnu::always_inline]] static inline C high(C x, C y) noexcept {
    return _mm_clmulepi64_si128(x, y, 0x11);
  }
  [[gnu::always_inline]] static inline C middle(C x, C y) noexcept {
    return add_hash(_mm_clmulepi64_si128(x, y, 0x01), _mm_clmulepi64_si128(x, y, 0x10));
  }
  /// Twice, the lower half is folded up by a product with the polynomial.
  [[gnu::always_inline]] static inline __m128i reduce(C low, C high, C middle) noexcept {
    const __m128i polynomial = _mm_set_epi64x(0, static_cast<long long>(0xc200000000000000));
    low = add_hash(low, _mm_slli_si128(middle, 8));
    high = add_hash(high, _mm_srli_si128(middle, 8));
    for (unsigned i = 0; i < 2; ++i) {
      low = add_hash(_mm_shuffle_epi32(low, 0x4e), _mm_clmulepi64_si128(low, polynomial, 0x00));
    }
    return add_hash(low, high);
  }
  [[gnu::always_inline]] static inline void store_power(std::byte* to, __m128i block) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), block);
  }
  [[gnu::always_inline]] static inline void store_state(std::byte* to, __m128i block) noexcept {
    store_power(to, reversed(block));
  }
};

}  // namespace sluice::crypto::sm4
