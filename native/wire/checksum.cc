#include "wire/checksum.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace sluice::wire {

namespace {

// Both 32-bit halves of a word, added without a carry chain: 2^31 words would be needed to overflow
// the sum.
inline std::uint64_t halves(std::uint64_t word) noexcept {
  return (word & 0xffffffff) + (word >> 32);
}

/// The sum of all whole 32 bytes, four words side by side.
[[gnu::always_inline]] inline std::uint64_t sum_blocks(const std::byte*& bytes,
                                                       std::size_t& n) noexcept {
#if defined(__AVX2__)
  const __m256i low = _mm256_set1_epi64x(0xffffffff);
  __m256i sums = _mm256_setzero_si256();
  for (; n >= 32; n -= 32, bytes += 32) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
    sums = _mm256_add_epi64(sums, _mm256_and_si256(words, low));
    sums = _mm256_add_epi64(sums, _mm256_srli_epi64(words, 32));
  }
  const __m128i two =
      _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  return static_cast<std::uint64_t>(_mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1));
#else
  std::uint64_t sums[4] = {};
  for (; n >= 32; n -= 32, bytes += 32) {
    for (unsigned k = 0; k < 4; ++k) {
      sums[k] += halves(detail::load_raw<std::uint64_t>(bytes + 8 * k));
    }
  }
  return sums[0] + sums[1] + sums[2] + sums[3];
#endif
}

}  // namespace

std::uint32_t checksum_partial(const std::byte* bytes, std::size_t n, std::uint32_t seed) noexcept {
  // Words are summed as they lie in memory; the one's complement sum of swapped words is
  // the swapped sum, so one swap at the end is enough.
  std::uint64_t sum = sum_blocks(bytes, n);
  for (; n >= 8; n -= 8, bytes += 8) sum += halves(detail::load_raw<std::uint64_t>(bytes));
  if (__builtin_expect(n != 0, 0)) {
    if (n >= 4) {
      sum += detail::load_raw<std::uint32_t>(bytes);
      bytes += 4;
      n -= 4;
    }
    if (n >= 2) {
      sum += detail::load_raw<std::uint16_t>(bytes);
      bytes += 2;
      n -= 2;
    }
    if (n != 0) {
      const std::byte last[2] = {*bytes, std::byte{0}};
      sum += detail::load_raw<std::uint16_t>(last);
    }
  }
  // Swapping the octets of a word is multiplying it by 256, where carries go round.
  sum = halves(halves(sum)) << (detail::kLittle ? 8 : 0);
  const std::uint64_t whole = halves(sum + seed);
  return static_cast<std::uint32_t>((whole & 0xffff) + (whole >> 16));
}

}  // namespace sluice::wire
