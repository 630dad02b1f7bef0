// SM4 with AVX2, GFNI and PCLMULQDQ: two blocks a vector.
#if defined(__x86_64__)
#include "crypto/sm4/tier/modes.h"
#include "crypto/sm4/tier/words.h"
#include "crypto/sm4/tier/x86/blocks.h"
#include "crypto/sm4/tier/x86/rows_avx2.h"

namespace sluice::crypto::sm4 {
namespace {
struct Avx2Gfni : Avx2Rows, Gfni128, PclmulHash, Bytes128, Words128 {
  [[gnu::always_inline]] static inline V matrices(Matrix m) noexcept {
    return _mm256_set1_epi64x(static_cast<long long>(m));
  }
  [[gnu::always_inline]] static inline V to_basis(V v) noexcept {
    return _mm256_gf2p8affine_epi64_epi8(v, matrices(kToBasis), 0);
  }
  [[gnu::always_inline]] static inline V from_basis(V v) noexcept {
    return _mm256_gf2p8affine_epi64_epi8(v, matrices(kFromBasis), 0);
  }
  [[gnu::always_inline]] static inline void substitute(const V* t, V* a, V* b) noexcept {
    for (unsigned j = 0; j < 4; ++j) {
      a[j] = _mm256_gf2p8affineinv_epi64_epi8(t[j], matrices(kA), kAConstant);
      b[j] = _mm256_gf2p8affineinv_epi64_epi8(t[j], matrices(kB), 0);
    }
  }
  static constexpr unsigned kFewBlocks = Words<Avx2Gfni>::kFewBlocks;
  static constexpr auto encrypt_few = Words<Avx2Gfni>::encrypt_few;
  static constexpr auto chain = Words<Avx2Gfni>::chain;
  static constexpr auto substitute_word = Words<Avx2Gfni>::substitute_word;
};
}  // namespace

constinit const Kernels kAvx2GfniKernels = Modes<Avx2Gfni>::kernels();

}  // namespace sluice::crypto::sm4
#endif
