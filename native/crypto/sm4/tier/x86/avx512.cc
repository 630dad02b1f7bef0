// SM4 with AVX-512, GFNI and VPCLMULQDQ: four blocks a vector.
#if defined(__x86_64__)
#include <immintrin.h>

#include "crypto/sm4/tier/modes.h"
#include "crypto/sm4/tier/words.h"
#include "crypto/sm4/tier/x86/blocks.h"

namespace sluice::crypto::sm4 {
namespace {
/// Of these bases, it has the operations on one block.
struct Avx512 : Gfni128, PclmulHash, Bytes128, Words128 {
  using V = __m512i;
  static constexpr unsigned kBlocks = 4;

  [[gnu::always_inline]] static inline V load(const std::byte* at) noexcept {
    return _mm512_loadu_si512(at);
  }
  [[gnu::always_inline]] static inline void store(std::byte* at, V v) noexcept {
    _mm512_storeu_si512(at, v);
  }
  [[gnu::always_inline]] static inline V add(V a, V b) noexcept { return _mm512_xor_si512(a, b); }
  [[gnu::always_inline]] static inline V add3(V a, V b, V c) noexcept {
    return _mm512_ternarylogic_epi32(a, b, c, 0x96);
  }
  [[gnu::always_inline]] static inline V interleave_low(V a, V b) noexcept {
    return _mm512_unpacklo_epi8(a, b);
  }
  [[gnu::always_inline]] static inline V interleave_high(V a, V b) noexcept {
    return _mm512_unpackhi_epi8(a, b);
  }
  [[gnu::always_inline]] static inline V matrices(Matrix m) noexcept {
    return _mm512_set1_epi64(static_cast<long long>(m));
  }
  [[gnu::always_inline]] static inline V to_basis(V v) noexcept {
    return _mm512_gf2p8affine_epi64_epi8(v, matrices(kToBasis), 0);
  }
  [[gnu::always_inline]] static inline V from_basis(V v) noexcept {
    return _mm512_gf2p8affine_epi64_epi8(v, matrices(kFromBasis), 0);
  }
  [[gnu::always_inline]] static inline void substitute(const V* t, V* a, V* b) noexcept {
    for (unsigned j = 0; j < 4; ++j) {
      a[j] = _mm512_gf2p8affineinv_epi64_epi8(t[j], matrices(kA), kAConstant);
      b[j] = _mm512_gf2p8affineinv_epi64_epi8(t[j], matrices(kB), 0);
    }
  }
  template <unsigned kWidth>
  [[gnu::always_inline]] static inline V key(const std::byte* row) noexcept {
    if constexpr (kWidth == 64) return _mm512_load_si512(row);
    return _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(row)));
  }
  [[gnu::always_inline]] static inline void spread(std::uint32_t word,
                                                   std::byte (*rows)[16]) noexcept {
    const V order =
        _mm512_set_epi64(0x0303030303030303, 0x0303030303030303, 0x0202020202020202,
                         0x0202020202020202, 0x0101010101010101, 0x0101010101010101, 0, 0);
    store(rows[0], _mm512_shuffle_epi8(_mm512_set1_epi32(static_cast<int>(word)), order));
  }

  [[gnu::always_inline]] static inline V reverse_last_word() noexcept {
    return _mm512_set4_epi32(0x0c0d0e0f, 0x0b0a0908, 0x07060504, 0x03020100);
  }
  [[gnu::always_inline]] static inline V counter(const std::byte* block) noexcept {
    const V blocks =
        _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block)));
    const V numbers = _mm512_set_epi32(3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0);
    return _mm512_add_epi32(_mm512_shuffle_epi8(blocks, reverse_last_word()), numbers);
  }
  [[gnu::always_inline]] static inline V counted(V first, std::uint32_t blocks) noexcept {
    const V more = _mm512_maskz_set1_epi32(0x8888, static_cast<int>(blocks));
    return _mm512_shuffle_epi8(_mm512_add_epi32(first, more), reverse_last_word());
  }

  using C = __m512i;
  static constexpr unsigned kHashBlocks = 4;

  [[gnu::always_inline]] static inline C zero() noexcept { return _mm512_setzero_si512(); }
  [[gnu::always_inline]] static inline C add_hash(C a, C b) noexcept { return add(a, b); }
  [[gnu::always_inline]] static inline C reversed(C blocks) noexcept {
    return _mm512_shuffle_epi8(blocks,
                               _mm512_set4_epi32(0x00010203, 0x04050607, 0x08090a0b, 0x0c0d0e0f));
  }
  [[gnu::always_inline]] static inline C load_power(const std::byte* at) noexcept {
    return load(at);
  }
  [[gnu::always_inline]] static inline C load_hash(const std::byte* in) noexcept {
    return reversed(load(in));
  }
  [[gnu::always_inline]] static inline C load_part(const std::byte* in,
                                                   std::size_t bytes) noexcept {
    const std::size_t skipped = 64 - (bytes + 15) / 16 * 16;
    const auto mask = static_cast<__mmask64>((~0ull >> (64 - bytes)) << skipped);
    return reversed(_mm512_maskz_loadu_epi8(mask, in - skipped));
  }
  [[gnu::always_inline]] static inline C block_in(unsigned n, __m128i block) noexcept {
    return _mm512_maskz_broadcast_i32x4(static_cast<__mmask16>(0xf << 4 * n), block);
  }
  [[gnu::always_inline]] static inline C state_in(unsigned n, const std::byte* hash) noexcept {
    return block_in(n, PclmulHash::load_hash(hash));
  }
  [[gnu::always_inline]] static inline C power_in(unsigned n, const std::byte* at) noexcept {
    return block_in(n, PclmulHash::load_power(at));
  }
  [[gnu::always_inline]] static inline C low(C x, C y) noexcept {
    return _mm512_clmulepi64_epi128(x, y, 0x00);
  }
  [[gnu::always_inline]] static inline C high(C x, C y) noexcept {
    return _mm512_clmulepi64_epi128(x, y, 0x11);
  }
  [[gnu::always_inline]] static inline C middle(C x, C y) noexcept {
    return add(_mm512_clmulepi64_epi128(x, y, 0x01), _mm512_clmulepi64_epi128(x, y, 0x10));
  }
  /// The sum of the four blocks.
  [[gnu::always_inline]] static inline __m128i folded(C x) noexcept {
    const __m256i half =
        _mm256_xor_si256(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  }
  [[gnu::always_inline]] static inline __m128i reduce(C low, C high, C middle) noexcept {
    return PclmulHash::reduce(folded(low), folded(high), folded(middle));
  }
  static constexpr unsigned kFewBlocks = Words<Avx512>::kFewBlocks;
  static constexpr auto encrypt_few = Words<Avx512>::encrypt_few;
  static constexpr auto chain = Words<Avx512>::chain;
  static constexpr auto substitute_word = Words<Avx512>::substitute_word;
};
}  // namespace

constinit const Kernels kAvx512Kernels = Modes<Avx512>::kernels();

}  // namespace sluice::crypto::sm4
#endif
