// SM4 with AVX2, AES-NI and PCLMULQDQ: the inversion is that of AESENCLAST, whose affine map is
// taken back by the tables of half bytes that follow it.
#if defined(__x86_64__)
#include "crypto/sm4/tier/halves.h"
#include "crypto/sm4/tier/modes.h"
#include "crypto/sm4/tier/words.h"
#include "crypto/sm4/tier/x86/blocks.h"
#include "crypto/sm4/tier/x86/rows_avx2.h"

namespace sluice::crypto::sm4 {
namespace {
struct Avx2 : Avx2Rows, PclmulHash, Bytes128, Words128 {
  [[gnu::always_inline]] static inline __m128i half(const std::uint8_t* table) noexcept {
    return _mm_load_si128(reinterpret_cast<const __m128i*>(table));
  }
  [[gnu::always_inline]] static inline V look_up(const std::uint8_t* table, V at) noexcept {
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(half(table)), at);
  }
  [[gnu::always_inline]] static inline V lower(V v) noexcept {
    return _mm256_and_si256(v, _mm256_set1_epi8(0x0f));
  }
  [[gnu::always_inline]] static inline V upper(V v) noexcept {
    return lower(_mm256_srli_epi16(v, 4));
  }
  [[gnu::always_inline]] static inline V map(const Halves& by, V v) noexcept {
    return add(look_up(by.low, lower(v)), look_up(by.high, upper(v)));
  }
  [[gnu::always_inline]] static inline V to_basis(V v) noexcept { return map(kIntoBasis, v); }
  [[gnu::always_inline]] static inline V from_basis(V v) noexcept { return map(kOutOfBasis, v); }

  [[gnu::always_inline]] static inline V aes_of(V t) noexcept {
    t = _mm256_shuffle_epi8(t, _mm256_broadcastsi128_si256(half(kUnshifted)));
    const __m128i none = _mm_setzero_si128();
    return _mm256_set_m128i(_mm_aesenclast_si128(_mm256_extracti128_si256(t, 1), none),
                            _mm_aesenclast_si128(_mm256_castsi256_si128(t), none));
  }
  [[gnu::always_inline]] static inline void substitute(const V* t, V* a, V* b) noexcept {
    for (unsigned j = 0; j < 4; ++j) {
      const V s = aes_of(t[j]), low = lower(s), high = upper(s);
      a[j] = add(look_up(kAOfAes.low, low), look_up(kAOfAes.high, high));
      b[j] = add(look_up(kBOfAes.low, low), look_up(kBOfAes.high, high));
    }
  }

  [[gnu::always_inline]] static inline __m128i map128(const Halves& by, __m128i x) noexcept {
    const __m128i mask = _mm_set1_epi8(0x0f);
    return _mm_xor_si128(
        _mm_shuffle_epi8(half(by.low), _mm_and_si128(x, mask)),
        _mm_shuffle_epi8(half(by.high), _mm_and_si128(_mm_srli_epi16(x, 4), mask)));
  }
  [[gnu::always_inline]] static inline void substitute_words(__m128i t, __m128i& a,
                                                             __m128i& b) noexcept {
    const __m128i s =
        _mm_aesenclast_si128(_mm_shuffle_epi8(t, half(kUnshifted)), _mm_setzero_si128());
    a = map128(kAOfAes, s);
    b = map128(kBOfAes, s);
  }
  [[gnu::always_inline]] static inline __m128i words_to_basis(__m128i x) noexcept {
    return map128(kIntoBasis, x);
  }
  [[gnu::always_inline]] static inline __m128i words_from_basis(__m128i x) noexcept {
    return map128(kOutOfBasis, x);
  }
  static constexpr unsigned kFewBlocks = Words<Avx2>::kFewBlocks;
  static constexpr auto encrypt_few = Words<Avx2>::encrypt_few;
  static constexpr auto chain = Words<Avx2>::chain;
  static constexpr auto substitute_word = Words<Avx2>::substitute_word;
};
}  // namespace

constinit const Kernels kAvx2Kernels = Modes<Avx2>::kernels();

}  // namespace sluice::crypto::sm4
#endif
