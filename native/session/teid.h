// How a session is found without a search: TEID = bucket ‖ keyed permutation of
// {generation, slot in the bucket}. The same arithmetic is in src/session (allocation).
#pragma once
#include <array>
#include <cstdint>

#include "base/types.h"

namespace sluice {

/// A session's place in the tables: bucket * slots_per_bucket + slot; below 2^24.
using SessionIndex = std::uint32_t;
inline constexpr SessionIndex kNoSession = 0xffffffff;
inline constexpr SessionIndex kSessionIndexMax = (1u << 24) - 1;
inline constexpr unsigned kBuckets = 256;

/// Decodes TEIDs; immutable, any thread.
class TeidScheme {
 public:
  TeidScheme(const std::array<std::uint32_t, 4>& key, unsigned slot_bits,
             std::uint32_t slots_per_bucket) noexcept
      : xor_(key[0] & kMask),
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
    x = (x * inverse_[0] & kMask) ^ xor_;
    const std::uint32_t slot = x & slot_mask_;
    return slot < slots_per_bucket_ ? (value >> 24) * slots_per_bucket_ + slot : kNoSession;
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
  std::array<std::uint32_t, 3> inverse_;
  std::uint32_t slot_mask_;
  std::uint32_t slots_per_bucket_;
  std::uint64_t reciprocal_;
};

}  // namespace sluice
