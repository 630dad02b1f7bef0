// How a session is found without a search: TEID = bucket ‖ keyed permutation of
// {generation, slot in the bucket}, another one in each bucket, so that a TEID says nothing of
// those in other buckets. The same arithmetic is in src/session (allocation).
#pragma once
#include <array>
#include <cstdint>

#include "base/types.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace sluice {

/// A session's place in the tables: bucket * slots_per_bucket + slot; below 2^24.
using SessionIndex = std::uint32_t;
inline constexpr SessionIndex kNoSession = 0xffffffff;
inline constexpr SessionIndex kSessionIndexMax = (1u << 24) - 1;
inline constexpr unsigned kBuckets = 256;

/// Decodes TEIDs; immutable, any thread.
class TeidScheme {
 public:
  TeidScheme(const std::array<std::uint32_t, 5>& key, unsigned slot_bits,
             std::uint32_t slots_per_bucket) noexcept
      : xor_(key[0] & kMask),
        step_(key[4]),
        inverse_{inverse(key[1] | 1), inverse(key[2] | 1), inverse(key[3] | 1)},
        slot_mask_((1u << slot_bits) - 1),
        slots_per_bucket_(slots_per_bucket),
        reciprocal_(((1ull << kReciprocalShift) + slots_per_bucket - 1) / slots_per_bucket) {}

  /// The only session whose direct TEID this can be, or kNoSession. The caller compares the
  /// TEID that is stored there, generation included.
  SessionIndex candidate(Teid teid) const noexcept {
    const auto value = static_cast<std::uint32_t>(teid);
    std::uint32_t x = (value & kMask) * inverse_[2] & kMask;
    x ^= x >> 12;
    x = x * inverse_[1] & kMask;
    x ^= x >> 12;
    const std::uint32_t bucket = value >> 24;
    const std::uint32_t slot = (x * inverse_[0] ^ xor_ ^ bucket * step_) & slot_mask_;
    return slot < slots_per_bucket_ ? bucket * slots_per_bucket_ + slot : kNoSession;
  }

  /// The same for a burst, eight at a time.
  /// @param teids, sessions  arrays with room for `count` rounded up to eight; what lies behind
  ///   `count` is read and written, and means nothing.
  void candidates(const std::uint32_t* teids, SessionIndex* sessions,
                  unsigned count) const noexcept {
#if defined(__AVX2__)
    const auto all = [](std::uint32_t v) { return _mm256_set1_epi32(static_cast<int>(v)); };
    const __m256i mask = all(kMask), slots = all(slots_per_bucket_);
    const auto times = [&](__m256i x, std::uint32_t factor) {
      return _mm256_and_si256(_mm256_mullo_epi32(x, all(factor)), mask);
    };
    const auto mixed = [](__m256i x) { return _mm256_xor_si256(x, _mm256_srli_epi32(x, 12)); };
    for (unsigned i = 0; i < count; i += 8) {
      const __m256i value = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(teids + i));
      // Upper bits don't reach the lower ones of a product, so they need not be cleared before.
      const __m256i x =
          times(mixed(times(mixed(times(value, inverse_[2])), inverse_[1])), inverse_[0]);
      const __m256i bucket = _mm256_srli_epi32(value, 24);
      const __m256i own = _mm256_mullo_epi32(bucket, all(step_));
      const __m256i plain = _mm256_xor_si256(_mm256_xor_si256(x, all(xor_)), own);
      const __m256i slot = _mm256_and_si256(plain, all(slot_mask_));
      const __m256i index = _mm256_add_epi32(_mm256_mullo_epi32(bucket, slots), slot);
      // kNoSession is all ones.
      const __m256i beyond = _mm256_xor_si256(_mm256_cmpgt_epi32(slots, slot), all(0xffffffff));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(sessions + i), _mm256_or_si256(index, beyond));
    }
#else
    for (unsigned i = 0; i < count; ++i) sessions[i] = candidate(Teid{teids[i]});
#endif
  }

  /// Bucket of a session, without a division (exact below 2^24).
  unsigned bucket(SessionIndex index) const noexcept {
    return static_cast<unsigned>((index * reciprocal_) >> kReciprocalShift);
  }
  std::uint32_t sessions() const noexcept { return slots_per_bucket_ * kBuckets; }

 private:
  static constexpr std::uint32_t kMask = 0xffffff;
  static constexpr unsigned kReciprocalShift = 40;
  /// Inverse of an odd number modulo 2^24 (five Newton steps double the correct bits).
  static constexpr std::uint32_t inverse(std::uint32_t odd) noexcept {
    std::uint32_t x = odd;
    for (int i = 0; i < 5; ++i) x *= 2 - odd * x;
    return x & kMask;
  }

  std::uint32_t xor_;
  /// Times the bucket it goes into the first step of the permutation; 0 in stores from before
  /// each bucket had one of its own.
  std::uint32_t step_;
  std::array<std::uint32_t, 3> inverse_;
  std::uint32_t slot_mask_;
  std::uint32_t slots_per_bucket_;
  std::uint64_t reciprocal_;
};

}  // namespace sluice
