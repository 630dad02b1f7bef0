// The one source here that is compiled for more than the baseline (CMakeLists.txt).
#if defined(__x86_64__)
#include <immintrin.h>

#include "crypto/sm3/kernels.h"
#include "crypto/sm3/lanes.h"

namespace sluice::crypto::sm3 {
namespace {
struct Avx512Ops {
  using Word = __m512i;
  static constexpr unsigned kLanes = 16;

  static Word load(const std::uint32_t* numbers) noexcept { return _mm512_loadu_si512(numbers); }
  static void store(std::uint32_t* numbers, Word word) noexcept {
    _mm512_storeu_si512(numbers, word);
  }
  static Word constant(std::uint32_t value) noexcept {
    return _mm512_set1_epi32(static_cast<int>(value));
  }
  static Word add(Word a, Word b) noexcept { return _mm512_add_epi32(a, b); }
  static Word xor2(Word a, Word b) noexcept { return _mm512_xor_si512(a, b); }
  // The last argument is the truth table, with a as the highest bit of the row's number.
  static Word xor3(Word a, Word b, Word c) noexcept {
    return _mm512_ternarylogic_epi32(a, b, c, 0x96);
  }
  static Word add_majority(Word sum, Word a, Word b, Word c) noexcept {
    return add(sum, _mm512_ternarylogic_epi32(a, b, c, 0xe8));
  }
  static Word add_choose(Word sum, Word a, Word b, Word c) noexcept {
    return add(sum, _mm512_ternarylogic_epi32(a, b, c, 0xca));
  }
  static Word as_it_is(Word a) noexcept { return a; }
  template <int kBits>
  static Word rotate(Word a) noexcept {
    return _mm512_rol_epi32(a, kBits);
  }

  /// Transposes 16 words of 16 lanes: in w[i], word i of every lane.
  static void load_block(const std::byte* const* blocks, std::size_t offset,
                         Word (&w)[16]) noexcept {
    const __m512i swap =
        _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);  // within each word
    __m512i rows[16];
    for (int i = 0; i < 16; ++i) {
      rows[i] = _mm512_shuffle_epi8(_mm512_loadu_si512(blocks[i] + offset), swap);
    }
    // Squares of 4 by 4 words within each quarter of the vectors …
    __m512i squares[16];
    for (int i = 0; i < 16; i += 4) {
      const __m512i low01 = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
      const __m512i low23 = _mm512_unpacklo_epi32(rows[i + 2], rows[i + 3]);
      const __m512i high01 = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
      const __m512i high23 = _mm512_unpackhi_epi32(rows[i + 2], rows[i + 3]);
      squares[i] = _mm512_unpacklo_epi64(low01, low23);
      squares[i + 1] = _mm512_unpackhi_epi64(low01, low23);
      squares[i + 2] = _mm512_unpacklo_epi64(high01, high23);
      squares[i + 3] = _mm512_unpackhi_epi64(high01, high23);
    }
    // … and then the quarters themselves: squares[i + 4k] has word i + 4q of lanes 4k to 4k + 3 in
    // its quarter q.
    for (int i = 0; i < 4; ++i) {
      const __m512i even01 = _mm512_shuffle_i32x4(squares[i], squares[i + 4], 0x88);
      const __m512i odd01 = _mm512_shuffle_i32x4(squares[i], squares[i + 4], 0xdd);
      const __m512i even23 = _mm512_shuffle_i32x4(squares[i + 8], squares[i + 12], 0x88);
      const __m512i odd23 = _mm512_shuffle_i32x4(squares[i + 8], squares[i + 12], 0xdd);
      w[i] = _mm512_shuffle_i32x4(even01, even23, 0x88);
      w[i + 4] = _mm512_shuffle_i32x4(odd01, odd23, 0x88);
      w[i + 8] = _mm512_shuffle_i32x4(even01, even23, 0xdd);
      w[i + 12] = _mm512_shuffle_i32x4(odd01, odd23, 0xdd);
    }
  }
};
}  // namespace

void compress_lanes_avx512(std::uint32_t* states, const std::byte* const* blocks,
                           std::size_t count) noexcept {
  compress_in_lanes<Avx512Ops>(states, blocks, count);
}

}  // namespace sluice::crypto::sm3
#endif
