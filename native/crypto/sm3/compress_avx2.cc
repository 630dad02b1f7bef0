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
  static Word add_majority(Word sum, Word a, Word b, Word c) noexcept {
    return add(sum,
               _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, _mm256_or_si256(a, b))));
  }
  static Word add_choose(Word sum, Word a, Word b, Word c) noexcept {
    return add(sum, xor2(c, _mm256_and_si256(a, xor2(b, c))));
  }
  static Word as_it_is(Word a) noexcept { return a; }
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

constexpr unsigned kGroup = Avx2Ops::kLanes;
constexpr std::size_t kGroupBytes = kGroup * kBlockBytes;

/// The expanded messages of 8 blocks of one stream: expansion does not wait for the state, so that
/// the 8 do it at once, word by word.
class Expanded {
 public:
  std::uint32_t word(int j, unsigned block) const noexcept { return words_[j][block]; }
  /// W_j ^ W_{j+4}.
  std::uint32_t pair(int j, unsigned block) const noexcept { return pairs_[j][block]; }

  /// Takes the 16 words of each block as they are.
  void begin(const std::byte* blocks) noexcept {
    const std::byte* lanes[kGroup];
    for (unsigned i = 0; i < kGroup; ++i) lanes[i] = blocks + i * kBlockBytes;
    __m256i w[16];
    Avx2Ops::load_block(lanes, 0, w);
    for (int j = 0; j < 16; ++j) Avx2Ops::store(words_[j], w[j]);
    for (int j = 0; j < 12; ++j) Avx2Ops::store(pairs_[j], Avx2Ops::xor2(w[j], w[j + 4]));
  }
  /// Expands word 16 and those behind it, in order.
  void step(unsigned j) noexcept {
    const auto earlier = [&](unsigned by) { return Avx2Ops::load(words_[j - by]); };
    const __m256i w = expand<Avx2Ops>(earlier(16), earlier(13), earlier(9), earlier(6), earlier(3));
    Avx2Ops::store(words_[j], w);
    Avx2Ops::store(pairs_[j - 4], Avx2Ops::xor2(earlier(4), w));
  }

  /// What each of the 8 blocks does of the next group's expansion, between its own rounds; 56 words
  /// where 52 are needed.
  static constexpr unsigned kStepsPerBlock = 7;
  static constexpr unsigned kWords = 16 + kGroup * kStepsPerBlock;

 private:
  alignas(32) std::uint32_t words_[kWords][kGroup];
  alignas(32) std::uint32_t pairs_[kWords - 4][kGroup];
};

/// Rounds of 8 blocks; with kMore they expand the next 8 by the way, whose vector instructions run
/// beside those of the rounds, which wait for each other.
template <bool kMore>
void compress_group(State<ScalarOps>& state, const Expanded& now, Expanded& next) noexcept {
  for (unsigned i = 0; i < kGroup; ++i) {
    const auto word = [&](auto at) __attribute__((always_inline)) { return now.word(at, i); };
    const auto pair = [&](auto at) __attribute__((always_inline)) {
      if constexpr (kMore && at % 9 == 4) {
        next.step(16 + i * Expanded::kStepsPerBlock + at / 9);
      }
      return now.pair(at, i);
    };
    all_rounds<ScalarOps>(state, word, pair);
  }
}
}  // namespace

void compress_avx2(std::uint32_t* state, const std::byte* blocks, std::size_t count) noexcept {
  if (count >= kGroup) {
    State<ScalarOps> s = load_state(state);
    Expanded expanded[2];
    unsigned now = 0;
    expanded[now].begin(blocks);
    for (unsigned j = 16; j < Expanded::kWords; ++j) expanded[now].step(j);
    for (; count >= 2 * kGroup; count -= kGroup) {
      blocks += kGroupBytes;
      expanded[1 - now].begin(blocks);
      compress_group<true>(s, expanded[now], expanded[1 - now]);
      now = 1 - now;
    }
    compress_group<false>(s, expanded[now], expanded[1 - now]);
    blocks += kGroupBytes;
    count -= kGroup;
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
