#if defined(__x86_64__)
#include <immintrin.h>

#include "crypto/sm3/kernels.h"
#include "crypto/sm3/lanes.h"
#include "crypto/sm3/scalar.h"

namespace sluice::crypto::sm3 {
namespace {
struct Avx2Ops {
  using Word = __m256i;
  static constexpr unsigned kLanes = 8;

  static Word load(const std::uint32_t* numbers) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(numbers));
  }
  static void store(std::uint32_t* numbers, Word word) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(numbers), word);
  }
  static Word constant(std::uint32_t value) noexcept {
    return _mm256_set1_epi32(static_cast<int>(value));
  }
  static Word add(Word a, Word b) noexcept { return _mm256_add_epi32(a, b); }
  static Word xor2(Word a, Word b) noexcept { return _mm256_xor_si256(a, b); }
  static Word xor3(Word a, Word b, Word c) noexcept { return xor2(xor2(a, b), c); }
  static Word majority(Word a, Word b, Word c) noexcept {
    return _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, _mm256_or_si256(a, b)));
  }
  static Word choose(Word a, Word b, Word c) noexcept {
    return xor2(c, _mm256_and_si256(a, xor2(b, c)));
  }
  template <int kBits>
  static Word rotate(Word a) noexcept {
    return _mm256_or_si256(_mm256_slli_epi32(a, kBits), _mm256_srli_epi32(a, 32 - kBits));
  }

  static void load_block(const std::byte* const* blocks, std::size_t offset,
                         Word (&w)[16]) noexcept {
    load_half(blocks, offset, w);
    load_half(blocks, offset + kBlockBytes / 2, w + 8);
  }

  /// Transposes 8 words of 8 lanes: in w[i], word i of every lane.
  static void load_half(const std::byte* const* blocks, std::size_t offset, Word* w) noexcept {
    const __m256i swap = _mm256_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3, 12,
                                         13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    // Each vector has a quarter of lane i below and of lane i + 4 above.
    const auto pair = [&](int lane, int quarter) {
      const auto at = [&](int of) {
        return _mm_loadu_si128(
            reinterpret_cast<const __m128i*>(blocks[of] + offset + 16 * quarter));
      };
      return _mm256_shuffle_epi8(_mm256_set_m128i(at(lane + 4), at(lane)), swap);
    };
    for (int quarter = 0; quarter < 2; ++quarter) {
      const __m256i p0 = pair(0, quarter);
      const __m256i p1 = pair(1, quarter);
      const __m256i p2 = pair(2, quarter);
      const __m256i p3 = pair(3, quarter);
      const __m256i low01 = _mm256_unpacklo_epi32(p0, p1);
      const __m256i low23 = _mm256_unpacklo_epi32(p2, p3);
      const __m256i high01 = _mm256_unpackhi_epi32(p0, p1);
      const __m256i high23 = _mm256_unpackhi_epi32(p2, p3);
      w[4 * quarter] = _mm256_unpacklo_epi64(low01, low23);
      w[4 * quarter + 1] = _mm256_unpackhi_epi64(low01, low23);
      w[4 * quarter + 2] = _mm256_unpacklo_epi64(high01, high23);
      w[4 * quarter + 3] = _mm256_unpackhi_epi64(high01, high23);
    }
  }
};

/// The expanded messages of 8 blocks that follow each other, word by word.
struct alignas(32) Expanded {
  std::uint32_t words[kRounds + 4][Avx2Ops::kLanes];
  std::uint32_t pairs[kRounds][Avx2Ops::kLanes];  ///< W_j ^ W_{j+4}
};

/// Message expansion does not wait for the state, so that 8 blocks of one stream do it at once.
void expand_blocks(const std::byte* blocks, Expanded& out) noexcept {
  const std::byte* lanes[Avx2Ops::kLanes];
  for (unsigned i = 0; i < Avx2Ops::kLanes; ++i) lanes[i] = blocks + i * kBlockBytes;
  __m256i w[16];
  Avx2Ops::load_block(lanes, 0, w);
  for (int j = 0; j < 16; ++j) Avx2Ops::store(out.words[j], w[j]);
  for (int j = 0; j < 12; ++j) Avx2Ops::store(out.pairs[j], Avx2Ops::xor2(w[j], w[j + 4]));
#pragma GCC unroll 52
  for (int j = 16; j < kRounds + 4; ++j) {
    w[j % 16] = expand<Avx2Ops>(w[j % 16], w[(j - 13) % 16], w[(j - 9) % 16], w[(j - 6) % 16],
                                w[(j - 3) % 16]);
    Avx2Ops::store(out.words[j], w[j % 16]);
    Avx2Ops::store(out.pairs[j - 4], Avx2Ops::xor2(w[(j - 4) % 16], w[j % 16]));
  }
}
}  // namespace

void compress_avx2(std::uint32_t* state, const std::byte* blocks, std::size_t count) noexcept {
  if (count >= Avx2Ops::kLanes) {
    State<ScalarOps> s = load_state(state);
    for (; count >= Avx2Ops::kLanes; count -= Avx2Ops::kLanes) {
      Expanded expanded;
      expand_blocks(blocks, expanded);
      for (unsigned i = 0; i < Avx2Ops::kLanes; ++i) {
        all_rounds<ScalarOps>(
            s, [&](auto at) { return expanded.words[at][i]; },
            [&](auto at) { return expanded.pairs[at][i]; });
      }
      blocks += Avx2Ops::kLanes * kBlockBytes;
    }
    store_state(state, s);
  }
  compress_portable(state, blocks, count);
}

void compress_lanes_avx2(std::uint32_t* states, const std::byte* const* blocks,
                         std::size_t count) noexcept {
  compress_in_lanes<Avx2Ops>(states, blocks, count);
}

}  // namespace sluice::crypto::sm3
#endif
