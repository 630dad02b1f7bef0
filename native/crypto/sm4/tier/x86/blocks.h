// What tiers of x86 do on 128 bits. Their operations take it as bases; included by their sources
// alone. Pure; any thread.
#pragma once
#include <immintrin.h>

#include <cstring>

#include "crypto/sm4/tier/basis.h"
#include "crypto/sm4/tier/kernels.h"

namespace sluice::crypto::sm4 {

/// Four words, as words.h asks for them.
struct Words128 {
  using W = __m128i;

  [[gnu::always_inline]] static inline W load_words(const std::byte* at) noexcept {
    return _mm_loadu_si128(reinterpret_cast<const W*>(at));
  }
  [[gnu::always_inline]] static inline void store_words(std::byte* at, W x) noexcept {
    _mm_storeu_si128(reinterpret_cast<W*>(at), x);
  }
  [[gnu::always_inline]] static inline W word(std::uint32_t number) noexcept {
    return _mm_cvtsi32_si128(static_cast<int>(number));
  }
  [[gnu::always_inline]] static inline W each(std::uint32_t number) noexcept {
    return _mm_set1_epi32(static_cast<int>(number));
  }
  [[gnu::always_inline]] static inline std::uint32_t first_word(W x) noexcept {
    return static_cast<std::uint32_t>(_mm_cvtsi128_si32(x));
  }
  [[gnu::always_inline]] static inline W add_words(W x, W y) noexcept {
    return _mm_xor_si128(x, y);
  }
  template <int kBy>
  [[gnu::always_inline]] static inline W rotate(W x) noexcept {
    constexpr int kWord = (kBy + 3) % 4 << 24 | (kBy + 2) % 4 << 16 | (kBy + 1) % 4 << 8 | kBy % 4;
    constexpr int kNext = 0x04040404;
    return _mm_shuffle_epi8(
        x, _mm_set_epi32(kWord + 3 * kNext, kWord + 2 * kNext, kWord + kNext, kWord));
  }
  template <int kCount>
  [[gnu::always_inline]] static inline W behind(W x) noexcept {
    return _mm_srli_si128(x, 4 * kCount);
  }
  [[gnu::always_inline]] static inline W interleave_words_low(W x, W y) noexcept {
    return _mm_unpacklo_epi32(x, y);
  }
  [[gnu::always_inline]] static inline W interleave_words_high(W x, W y) noexcept {
    return _mm_unpackhi_epi32(x, y);
  }
  [[gnu::always_inline]] static inline W pairs_low(W x, W y) noexcept {
    return _mm_unpacklo_epi64(x, y);
  }
  [[gnu::always_inline]] static inline W pairs_high(W x, W y) noexcept {
    return _mm_unpackhi_epi64(x, y);
  }
};

/// The S-box and the basis with GFNI.
struct Gfni128 {
  [[gnu::always_inline]] static inline __m128i matrix(Matrix m) noexcept {
    return _mm_set1_epi64x(static_cast<long long>(m));
  }
  [[gnu::always_inline]] static inline void substitute_words(__m128i t, __m128i& a,
                                                             __m128i& b) noexcept {
    a = _mm_gf2p8affineinv_epi64_epi8(t, matrix(kA), kAConstant);
    b = _mm_gf2p8affineinv_epi64_epi8(t, matrix(kB), 0);
  }
  [[gnu::always_inline]] static inline __m128i words_to_basis(__m128i x) noexcept {
    return _mm_gf2p8affine_epi64_epi8(x, matrix(kToBasis), 0);
  }
  [[gnu::always_inline]] static inline __m128i words_from_basis(__m128i x) noexcept {
    return _mm_gf2p8affine_epi64_epi8(x, matrix(kFromBasis), 0);
  }
};

/// GHASH with PCLMULQDQ, a block a vector.
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

/// 16 rows of 16 bytes to their columns.
struct Bytes128 {
  template <class RowOf>
  [[gnu::always_inline]] static inline void transpose_bytes(const RowOf& row_of, std::byte* to,
                                                            std::size_t width) noexcept {
    __m128i now[16], next[16];
    for (unsigned i = 0; i < 16; ++i) {
      now[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row_of(i)));
    }
    for (unsigned turn = 0; turn < 2; ++turn) {
      for (unsigned i = 0; i < 8; ++i) {
        next[2 * i] = _mm_unpacklo_epi8(now[i], now[i + 8]);
        next[2 * i + 1] = _mm_unpackhi_epi8(now[i], now[i + 8]);
      }
      for (unsigned i = 0; i < 8; ++i) {
        now[2 * i] = _mm_unpacklo_epi8(next[i], next[i + 8]);
        now[2 * i + 1] = _mm_unpackhi_epi8(next[i], next[i + 8]);
      }
    }
    for (unsigned i = 0; i < 16; ++i) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i * width), now[i]);
    }
  }
};

}  // namespace sluice::crypto::sm4
