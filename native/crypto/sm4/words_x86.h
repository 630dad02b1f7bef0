// SM4 on one block at a time, its words in the lowest lanes of four registers: for chains, in which
// each block waits for the one before. A tier's operations `E` give substitute128(t, a, b), the
// S-box with a and b of basis.h, to_basis128 and from_basis128. Included by tiers' sources alone.
#pragma once
#include <immintrin.h>

#include <cstring>

#include "crypto/sm4/kernels.h"

namespace sluice::crypto::sm4 {

template <class E>
struct Words {
  [[gnu::always_inline]] static inline __m128i word(std::uint32_t number) noexcept {
    return _mm_cvtsi32_si128(static_cast<int>(number));
  }
  /// Each word's bytes rotated, byte j becoming byte j + kBy.
  template <int kBy>
  [[gnu::always_inline]] static inline __m128i rotate(__m128i x) noexcept {
    constexpr int k0 = kBy % 4, k1 = (kBy + 1) % 4, k2 = (kBy + 2) % 4, k3 = (kBy + 3) % 4;
    return _mm_shuffle_epi8(x, _mm_set1_epi32(k3 << 24 | k2 << 16 | k1 << 8 | k0));
  }
  [[gnu::always_inline]] static inline __m128i add(__m128i x, __m128i y) noexcept {
    return _mm_xor_si128(x, y);
  }
  /// @param x0  the word that the round takes, with its d added already
  [[gnu::always_inline]] static inline __m128i round(__m128i x0, __m128i t) noexcept {
    __m128i a, b;
    E::substitute128(t, a, b);
    const __m128i others = add(add(rotate<1>(a), rotate<2>(a)), rotate<3>(b));
    return add(add(x0, add(a, b)), others);
  }

  static void chain(const Schedule& key, std::byte* state, const std::byte* in, std::byte* out,
                    std::size_t blocks) noexcept {
    const std::uint32_t* k = key.words;
    __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state));
    for (; blocks != 0; --blocks) {
      block = add(block, _mm_loadu_si128(reinterpret_cast<const __m128i*>(in)));
      const __m128i start = E::to_basis128(block);
      __m128i x0 = start, x1 = _mm_srli_si128(start, 4), x2 = _mm_srli_si128(start, 8);
      __m128i x3 = add(_mm_srli_si128(start, 12), word(k[kC3]));
      for (unsigned i = 0; i < 32; i += 4) {
        x0 = round(add(x0, word(k[i])), add(add(x1, x2), x3));
        x1 = round(add(x1, word(k[i + 1])), add(add(x2, x3), x0));
        x2 = round(add(x2, word(k[i + 2])), add(add(x3, x0), x1));
        x3 = round(add(x3, word(k[i + 3])), add(add(x0, x1), x2));
      }
      x0 = add(x0, word(k[kC32]));
      x1 = add(x1, word(k[kC33]));
      x2 = add(x2, word(k[kC34]));
      block = E::from_basis128(
          _mm_unpacklo_epi64(_mm_unpacklo_epi32(x3, x2), _mm_unpacklo_epi32(x1, x0)));
      in += kSm4BlockBytes;
      if (out != nullptr) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out), block);
        out += kSm4BlockBytes;
      }
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(state), block);
  }

  static std::uint32_t substitute_word(std::uint32_t number) noexcept {
    __m128i a, b;
    E::substitute128(word(number), a, b);
    return static_cast<std::uint32_t>(_mm_cvtsi128_si32(a));
  }
};

}  // namespace sluice::crypto::sm4
