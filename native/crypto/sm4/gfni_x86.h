// SM4's S-box and basis with GFNI, on 128 bits. Included by tiers' sources alone.
#pragma once
#include <immintrin.h>

#include "crypto/sm4/basis.h"

namespace sluice::crypto::sm4 {

struct Gfni128 {
  [[gnu::always_inline]] static inline __m128i matrix(Matrix m) noexcept {
    return _mm_set1_epi64x(static_cast<long long>(m));
  }
  [[gnu::always_inline]] static inline void substitute128(__m128i t, __m128i& a,
                                                          __m128i& b) noexcept {
    a = _mm_gf2p8affineinv_epi64_epi8(t, matrix(kA), kAConstant);
    b = _mm_gf2p8affineinv_epi64_epi8(t, matrix(kB), 0);
  }
  [[gnu::always_inline]] static inline __m128i to_basis128(__m128i x) noexcept {
    return _mm_gf2p8affine_epi64_epi8(x, matrix(kToBasis), 0);
  }
  [[gnu::always_inline]] static inline __m128i from_basis128(__m128i x) noexcept {
    return _mm_gf2p8affine_epi64_epi8(x, matrix(kFromBasis), 0);
  }
};

}  // namespace sluice::crypto::sm4
