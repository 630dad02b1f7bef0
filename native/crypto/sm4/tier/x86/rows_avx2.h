// Rows of two blocks a vector with AVX2, for the tiers that differ in the S-box alone. Included by
// tiers' sources alone.
#pragma once
#include <immintrin.h>

#include "crypto/sm4/tier/kernels.h"

namespace sluice::crypto::sm4 {

struct Avx2Rows {
  using V = __m256i;
  static constexpr unsigned kBlocks = 2;

  [[gnu::always_inline]] static inline V load(const std::byte* at) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const V*>(at));
  }
  [[gnu::always_inline]] static inline void store(std::byte* at, V v) noexcept {
    _mm256_storeu_si256(reinterpret_cast<V*>(at), v);
  }
  [[gnu::always_inline]] static inline V add(V a, V b) noexcept { return _mm256_xor_si256(a, b); }
  [[gnu::always_inline]] static inline V add3(V a, V b, V c) noexcept { return add(add(a, b), c); }
  [[gnu::always_inline]] static inline V interleave_low(V a, V b) noexcept {
    return _mm256_unpacklo_epi8(a, b);
  }
  [[gnu::always_inline]] static inline V interleave_high(V a, V b) noexcept {
    return _mm256_unpackhi_epi8(a, b);
  }
  template <unsigned kWidth>
  [[gnu::always_inline]] static inline V key(const std::byte* row) noexcept {
    if constexpr (kWidth == 32) return _mm256_load_si256(reinterpret_cast<const V*>(row));
    return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(row)));
  }
  [[gnu::always_inline]] static inline void spread(std::uint32_t word,
                                                   std::byte (*rows)[16]) noexcept {
    const V bytes = _mm256_set1_epi32(static_cast<int>(word));
    const V first = _mm256_set_m128i(_mm_set1_epi8(1), _mm_setzero_si128());
    const V second = _mm256_set_m128i(_mm_set1_epi8(3), _mm_set1_epi8(2));
    store(rows[0], _mm256_shuffle_epi8(bytes, first));
    store(rows[2], _mm256_shuffle_epi8(bytes, second));
  }

  [[gnu::always_inline]] static inline V reverse_last_word() noexcept {
    return _mm256_broadcastsi128_si256(
        _mm_set_epi32(0x0c0d0e0f, 0x0b0a0908, 0x07060504, 0x03020100));
  }
  [[gnu::always_inline]] static inline V counter(const std::byte* block) noexcept {
    const V blocks =
        _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block)));
    return _mm256_add_epi32(_mm256_shuffle_epi8(blocks, reverse_last_word()),
                            _mm256_set_epi32(1, 0, 0, 0, 0, 0, 0, 0));
  }
  [[gnu::always_inline]] static inline V counted(V first, std::uint32_t blocks) noexcept {
    const auto more = static_cast<int>(blocks);
    return _mm256_shuffle_epi8(
        _mm256_add_epi32(first, _mm256_set_epi32(more, 0, 0, 0, more, 0, 0, 0)),
        reverse_last_word());
  }
};

}  // namespace sluice::crypto::sm4
