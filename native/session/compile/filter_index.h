// Many filters at once: in every dimension in which they differ, the ranges that values fall into,
// and for every range the filters that it is inside of. A packet's filters are what its ranges have
// in common, so that the hundredth costs little more than the tenth. Lies behind the filters of a
// FilterSet; immutable, made by the control thread, read by workers.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace sluice {

/// What a filter takes in a dimension; low above high: nothing.
struct FilterRange {
  std::uint16_t low, high;
  bool operator==(const FilterRange&) const = default;
};

class alignas(64) FilterIndex {
 public:
  static constexpr unsigned kLanes = 8;           ///< dimensions of a packet's operand, the first
  static constexpr unsigned kDimensionsMax = 24;  ///< with two addresses of IPv6
  static constexpr std::size_t kFiltersMax = 256;

  std::size_t bytes() const noexcept { return bytes_; }

  /// The position of the first filter that takes a packet; kNone.
  /// @param lanes     its values in the first dimensions.
  /// @param value_of  its value in one of the others.
  /// @param accepts   asked of a filter, by its position, that takes it as far as ranges go.
  template <typename ValueOf, typename Accepts>
  [[gnu::always_inline]] unsigned first(const std::uint16_t (&lanes)[kLanes], ValueOf&& value_of,
                                        Accepts&& accepts) const noexcept {
    if (!is_inside(lanes)) return kNone;
    const auto* const base = reinterpret_cast<const std::byte*>(this);
    const std::byte* rows[kDimensionsMax];
    std::uint64_t common = ~std::uint64_t{0};
    for (std::size_t i = 0; i < count_; ++i) {
      const Dimension& d = dimensions_[i];
      const auto value = d.number < kLanes ? lanes[d.number] : value_of(d.number - kLanes);
      std::ptrdiff_t beyond = 0;
      for (std::size_t p = 0; p < d.pivots; ++p)
        beyond += not_below(base + d.first_pivots + p * kStepBytes, value);
      const std::byte* const step = base + d.ends + beyond * std::ptrdiff_t{kStepBytes / 2};
      rows[i] = base + d.masks + beyond * 64 + not_below(step, value) * 4;
      common &= mask_at(rows[i]);
    }
    for (unsigned word = 0;;) {
      for (; common != 0; common &= common - 1) {
        const unsigned at = word * 64 + static_cast<unsigned>(std::countr_zero(common));
        if (__builtin_expect(accepts(at), 1)) return at;
      }
      if (++word == words_) return kNone;
      common = ~std::uint64_t{0};
      for (std::size_t i = 0; i < count_; ++i)
        common &= mask_at(rows[i] + std::size_t{dimensions_[i].plane} * word);
    }
  }
  static constexpr unsigned kNone = ~0u;

  /// @param ranges  `dimensions` of the first filter, then of the next.
  /// @param out     the index, or empty: there are too many for one.
  static void make(std::span<const FilterRange> ranges, unsigned dimensions,
                   std::vector<std::byte>& out);

 private:
  // Ends of ranges lie in steps that one compare looks at, the highest step first: how many ends
  // are not below a value is the way to its step, and to the filters of its range in there.
  static constexpr std::size_t kStep = 16;
  static constexpr std::size_t kStepBytes = kStep * 2;

  struct Dimension {
    std::uint16_t number;
    std::uint16_t pivots;  ///< steps with the highest end of each other step; 0: there is but one
    // Bytes from here, as they are when no end is below: of the pivots, the ends, the filters.
    std::int32_t first_pivots, ends, masks;
    std::uint32_t plane;  ///< bytes from 64 filters to the next
  };
  class Maker;

  /// Twice how many of 16 ends a value is not above.
  static std::ptrdiff_t not_below(const std::byte* step, std::uint16_t value) noexcept {
#if defined(__AVX2__)
    const __m256i ends = _mm256_load_si256(reinterpret_cast<const __m256i*>(step));
    const __m256i values = _mm256_set1_epi16(static_cast<std::int16_t>(value));
    const __m256i reached = _mm256_cmpeq_epi16(_mm256_max_epu16(values, ends), ends);
    return std::popcount(static_cast<std::uint32_t>(_mm256_movemask_epi8(reached)));
#else
    const auto* const ends = reinterpret_cast<const std::uint16_t*>(step);
    std::ptrdiff_t count = 0;
    for (std::size_t i = 0; i < kStep; ++i) count += ends[i] >= value;
    return 2 * count;
#endif
  }
  static std::uint64_t mask_at(const std::byte* row) noexcept {
    return *reinterpret_cast<const std::uint64_t*>(row);
  }
  /// Outside of what any filter takes no index is needed.
  bool is_inside(const std::uint16_t (&lanes)[kLanes]) const noexcept {
#if defined(__AVX2__)
    const auto load = [](const std::uint16_t* from) {
      return _mm_load_si128(reinterpret_cast<const __m128i*>(from));
    };
    const __m128i x = load(lanes);
    const __m128i inside = _mm_and_si128(_mm_cmpeq_epi16(_mm_max_epu16(x, load(low_)), x),
                                         _mm_cmpeq_epi16(_mm_min_epu16(x, load(high_)), x));
    return _mm_movemask_epi8(inside) == 0xffff;
#else
    for (unsigned i = 0; i < kLanes; ++i)
      if (lanes[i] < low_[i] || lanes[i] > high_[i]) return false;
    return true;
#endif
  }

  std::uint16_t low_[kLanes], high_[kLanes];
  std::uint32_t bytes_;
  std::uint16_t words_;  ///< of 64 filters
  std::uint16_t count_;  ///< of dimensions, at least one
  Dimension dimensions_[kDimensionsMax];
};

}  // namespace sluice
