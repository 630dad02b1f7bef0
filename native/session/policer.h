// Token buckets without division, exact from 1 kbit/s to 400 Gbit/s: the unit is µbit,
// because 1 kbit/s is 1 µbit per nanosecond. Owner: the session's worker.
#pragma once
#include <algorithm>
#include <cstdint>

#include "base/types.h"

namespace sluice {

inline constexpr std::uint64_t kMicrobitsPerByte = 8'000'000;
inline constexpr std::uint64_t kBucketNanoseconds = 50'000'000;  ///< depth: 50 ms of the rate …
inline constexpr std::uint64_t kBucketBytesMin = 2 * 1500;       ///< … and at least two packets
/// Rates above are held to it: 536 Gbit/s.
inline constexpr std::uint32_t kRateMaxKbps = (1u << 29) - 1;
/// Above this span rate × time could leave 64 bits (2^34 ns × 2^29 kbit/s).
inline constexpr std::uint64_t kRefillShortNanoseconds = 1ull << 34;

/// µbit that a bucket of this rate holds when full.
inline std::uint64_t bucket_depth(std::uint32_t rate_kbps) noexcept {
  return std::max(rate_kbps * kBucketNanoseconds, kBucketBytesMin * kMicrobitsPerByte);
}

/// Tokens after `elapsed` at the rate, never more than the depth.
inline std::uint64_t refill(std::uint64_t tokens, std::uint32_t rate_kbps,
                            Nanoseconds elapsed) noexcept {
  const std::uint64_t depth = bucket_depth(rate_kbps);
  if (__builtin_expect(elapsed >= kRefillShortNanoseconds, 0)) {
    const auto exact = static_cast<unsigned __int128>(rate_kbps) * elapsed + tokens;
    return exact > depth ? depth : static_cast<std::uint64_t>(exact);
  }
  return std::min(depth, tokens + rate_kbps * elapsed);
}

/// A bucket beyond those in FlowState.
struct Bucket {
  std::uint64_t tokens;
  Nanoseconds refilled_at;
  std::uint32_t rate_kbps;
  std::uint32_t reserved;
};

}  // namespace sluice
