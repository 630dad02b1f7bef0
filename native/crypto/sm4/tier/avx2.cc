// SM4 with AVX2, AES-NI and PCLMULQDQ: the inversion is that of AESENCLAST, whose affine map is
// taken back by the tables of half bytes that follow it.
#if defined(__x86_64__)
#include "crypto/sm4/tier/blocks_x86.h"
#include "crypto/sm4/tier/modes.h"
#include "crypto/sm4/tier/rows_avx2.h"
#include "crypto/sm4/tier/words_x86.h"

namespace sluice::crypto::sm4 {
namespace {
/// The inverse of the matrix that AES's S-box ends with; it adds 0x63 behind it.
constexpr Matrix kFromAes = 0xa44992254a942952;
constexpr std::uint8_t kAesConstant = 0x63;

/// A linear map, with a constant, of a byte's lower and upper half.
struct Halves {
  alignas(16) std::uint8_t low[16], high[16];

  /// first·x ^ constant, or second·(first·(x ^ added)) ^ constant.
  constexpr Halves(Matrix second, Matrix first, std::uint8_t added, std::uint8_t constant) noexcept
      : low{}, high{} {
    for (unsigned i = 0; i < 16; ++i) {
      const auto lower = static_cast<std::uint8_t>(i);
      const auto upper = static_cast<std::uint8_t>(i << 4);
      low[i] = static_cast<std::uint8_t>(
          multiply(second, multiply(first, static_cast<std::uint8_t>(lower ^ added))) ^ constant);
      high[i] = multiply(second, multiply(first, upper));
    }
  }
};
constexpr Matrix kIdentity = 0x0102040810204080;
constexpr Halves kAOfAes(kA, kFromAes, kAesConstant, kAConstant);
constexpr Halves kBOfAes(kB, kFromAes, kAesConstant, 0);
constexpr Halves kIntoBasis(kToBasis, kIdentity, 0, 0);
constexpr Halves kOutOfBasis(kFromBasis, kIdentity, 0, 0);

struct Avx2 : Avx2Rows, PclmulHash, Bytes128 {
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

  /// Where AES's ShiftRows takes each byte from, taken back.
  [[gnu::always_inline]] static inline __m128i unshifted() noexcept {
    return _mm_set_epi8(3, 6, 9, 12, 15, 2, 5, 8, 11, 14, 1, 4, 7, 10, 13, 0);
  }
  [[gnu::always_inline]] static inline V aes_of(V t) noexcept {
    t = _mm256_shuffle_epi8(t, _mm256_broadcastsi128_si256(unshifted()));
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
  [[gnu::always_inline]] static inline void substitute128(__m128i t, __m128i& a,
                                                          __m128i& b) noexcept {
    const __m128i s = _mm_aesenclast_si128(_mm_shuffle_epi8(t, unshifted()), _mm_setzero_si128());
    a = map128(kAOfAes, s);
    b = map128(kBOfAes, s);
  }
  [[gnu::always_inline]] static inline __m128i to_basis128(__m128i x) noexcept {
    return map128(kIntoBasis, x);
  }
  [[gnu::always_inline]] static inline __m128i from_basis128(__m128i x) noexcept {
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
