// Latencies as counts in bands of at most 1.6 % width, so that millions cost no memory.
// One thread counts, others may read when it has ended.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "base/types.h"

namespace sluice::smf {

class Latencies {
 public:
  void add(Nanoseconds value) noexcept {
    ++bands_[band_of(value)];
    ++count_;
    if (value > most_) most_ = value;
  }
  std::uint64_t count() const noexcept { return count_; }
  Nanoseconds most() const noexcept { return most_; }
  /// What this share of all is not above, of 0 < share <= 1; 0: there is none.
  Nanoseconds quantile(double share) const noexcept {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t band = 0; band < kBands; ++band) {
      seen += bands_[band];
      if (seen > 0 && seen >= wanted) return std::min(end_of(band), most_);
    }
    return most_;
  }

 private:
  static constexpr unsigned kBits = 6;  // 64 bands a power of two
  static constexpr std::size_t kBands = (64 - kBits + 1) << kBits;

  static std::size_t band_of(Nanoseconds value) noexcept {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    if (width <= kBits + 1) return value;
    const unsigned shift = width - kBits - 1;
    return (std::size_t{shift} << kBits) + (value >> shift);
  }
  static Nanoseconds end_of(std::size_t band) noexcept {
    if (band < (std::size_t{2} << kBits)) return band;
    const std::size_t shift = (band >> kBits) - 1;
    return (((band & ((1u << kBits) - 1)) + (1u << kBits) + 1) << shift) - 1;
  }

  std::array<std::uint64_t, kBands> bands_{};
  std::uint64_t count_ = 0;
  Nanoseconds most_ = 0;
};

}  // namespace sluice::smf
