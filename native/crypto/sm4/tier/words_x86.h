// SM4 by words, for chains, in which each block waits for the one before, and for the few blocks
// that a small message has: word i of up to four blocks is in register i of a set. Nothing has to
// be cut into slices, and keys are used as they lie. A tier's operations `E` give substitute128(t,
// a, b), the S-box with a and b of basis.h, to_basis128 and from_basis128. Included by tiers'
// sources alone.
#pragma once
#include <immintrin.h>

#include <cstring>

#include "crypto/sm4/tier/kernels.h"

namespace sluice::crypto::sm4 {

template <class E>
struct Words {
  [[gnu::always_inline]] static inline __m128i word(std::uint32_t number) noexcept {
    return _mm_cvtsi32_si128(static_cast<int>(number));
  }
  /// Each word's bytes rotated, byte j becoming byte j + kBy.
  template <int kBy>
  [[gnu::always_inline]] static inline __m128i rotate(__m128i x) noexcept {
    constexpr int kWord = (kBy + 3) % 4 << 24 | (kBy + 2) % 4 << 16 | (kBy + 1) % 4 << 8 | kBy % 4;
    constexpr int kNext = 0x04040404;
    return _mm_shuffle_epi8(
        x, _mm_set_epi32(kWord + 3 * kNext, kWord + 2 * kNext, kWord + kNext, kWord));
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

  [[gnu::always_inline]] static inline __m128i each(std::uint32_t number) noexcept {
    return _mm_set1_epi32(static_cast<int>(number));
  }
  /// Words of blocks to blocks of words, and back.
  [[gnu::always_inline]] static inline void transpose(__m128i (&x)[4]) noexcept {
    const __m128i low01 = _mm_unpacklo_epi32(x[0], x[1]), high01 = _mm_unpackhi_epi32(x[0], x[1]);
    const __m128i low23 = _mm_unpacklo_epi32(x[2], x[3]), high23 = _mm_unpackhi_epi32(x[2], x[3]);
    x[0] = _mm_unpacklo_epi64(low01, low23);
    x[1] = _mm_unpackhi_epi64(low01, low23);
    x[2] = _mm_unpacklo_epi64(high01, high23);
    x[3] = _mm_unpackhi_epi64(high01, high23);
  }

  /// Encrypts 4 * kSets blocks in place.
  template <unsigned kSets>
  [[gnu::always_inline]] static inline void encrypt_sets(const Schedule& key,
                                                         std::byte* blocks) noexcept {
    const std::uint32_t* k = key.words;
    auto* const at = reinterpret_cast<__m128i*>(blocks);
    __m128i x[kSets][4];
    for (unsigned set = 0; set < kSets; ++set) {
      for (unsigned i = 0; i < 4; ++i) {
        x[set][i] = E::to_basis128(_mm_loadu_si128(at + set * 4 + i));
      }
      transpose(x[set]);
      x[set][3] = add(x[set][3], each(k[kC3]));
    }
    for (unsigned i = 0; i < 32; i += 4) {
      for (unsigned j = 0; j < 4; ++j) {
        const __m128i d = each(k[i + j]);
        for (unsigned set = 0; set < kSets; ++set) {
          __m128i(&w)[4] = x[set];
          const __m128i t = add(add(w[(j + 1) % 4], w[(j + 2) % 4]), w[(j + 3) % 4]);
          w[j] = round(add(w[j], d), t);
        }
      }
    }
    for (unsigned set = 0; set < kSets; ++set) {
      __m128i y[4] = {x[set][3], add(x[set][2], each(k[kC34])), add(x[set][1], each(k[kC33])),
                      add(x[set][0], each(k[kC32]))};
      transpose(y);
      for (unsigned i = 0; i < 4; ++i) _mm_storeu_si128(at + set * 4 + i, E::from_basis128(y[i]));
    }
  }

  /// Encrypts up to kFewBlocks blocks in place; what is behind them there is written to.
  static constexpr unsigned kFewBlocks = 16;
  static void encrypt_few(const Schedule& key, std::byte* blocks, std::size_t count) noexcept {
    if (count <= 4) return encrypt_sets<1>(key, blocks);
    if (count <= 8) return encrypt_sets<2>(key, blocks);
    encrypt_sets<4>(key, blocks);
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
