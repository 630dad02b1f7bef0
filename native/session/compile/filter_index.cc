#include "session/compile/filter_index.h"

#include <algorithm>

namespace sluice {
namespace {

constexpr std::uint16_t kHighest = 0xffff;

std::size_t append(std::vector<std::byte>& out, const void* from, std::size_t bytes) {
  const std::size_t at = out.size();
  const auto* const first = static_cast<const std::byte*>(from);
  out.insert(out.end(), first, first + bytes);
  return at;
}

}  // namespace

class FilterIndex::Maker {
 public:
  Maker(std::span<const FilterRange> ranges, unsigned dimensions, std::vector<std::byte>& out)
      : ranges_(ranges), dimensions_(dimensions), filters_(ranges.size() / dimensions), out_(out) {}

  void make() {
    out_.resize(sizeof(FilterIndex));
    index_.words_ = static_cast<std::uint16_t>((filters_ + 63) / 64);
    for (unsigned d = 0; d < dimensions_; ++d) {
      if (d < kLanes) enclose(d);
      if (!(d < kLanes ? is_common(d) : is_any(d))) add(d);
    }
    if (index_.count_ == 0) add(0);  // all take the same
    out_.resize((out_.size() + 63) & ~std::size_t{63});
    index_.bytes_ = static_cast<std::uint32_t>(out_.size());
    std::memcpy(out_.data(), &index_, sizeof(index_));
  }

 private:
  const FilterRange& of(std::size_t filter, unsigned dimension) const noexcept {
    return ranges_[filter * dimensions_ + dimension];
  }
  bool is_common(unsigned d) const noexcept {
    for (std::size_t i = 1; i < filters_; ++i)
      if (of(i, d) != of(0, d)) return false;
    return true;
  }
  bool is_any(unsigned d) const noexcept {
    return is_common(d) && of(0, d) == FilterRange{0, kHighest};
  }
  void enclose(unsigned d) noexcept {
    FilterRange all = of(0, d);
    for (std::size_t i = 1; i < filters_; ++i)
      all = {std::min(all.low, of(i, d).low), std::max(all.high, of(i, d).high)};
    index_.low_[d] = all.low;
    index_.high_[d] = all.high;
  }

  /// The last values of all ranges but the last, in order.
  void find_ends(unsigned d) {
    ends_.clear();
    for (std::size_t i = 0; i < filters_; ++i) {
      const FilterRange& range = of(i, d);
      if (range.low != 0) ends_.push_back(static_cast<std::uint16_t>(range.low - 1));
      if (range.high != kHighest) ends_.push_back(range.high);
    }
    std::sort(ends_.begin(), ends_.end());
    ends_.erase(std::unique(ends_.begin(), ends_.end()), ends_.end());
  }

  /// The filters of a range that ends before `next`.
  std::uint64_t mask(unsigned d, std::size_t word, unsigned next) const noexcept {
    std::uint64_t mask = 0;
    for (std::size_t i = word * 64; i < std::min(filters_, word * 64 + 64); ++i) {
      const FilterRange& range = of(i, d);
      mask |= std::uint64_t{range.low <= next && next <= range.high} << i % 64;
    }
    return mask;
  }

  /// No value is above what fills up the last step, so that each ends in one.
  void add(unsigned d) {
    find_ends(d);
    const std::size_t steps = ends_.size() / kStep + 1;
    const std::size_t pivots = (steps - 1 + kStep - 1) / kStep;
    const std::size_t ranges = steps * kStep;
    ends_.resize(ranges, kHighest);
    std::vector<std::uint16_t> laid(pivots * kStep, kHighest);
    for (std::size_t k = 0; k + 1 < steps; ++k) laid[k] = ends_[k * kStep + kStep - 1];
    for (std::size_t k = steps; k-- > 0;) {
      const auto from = ends_.begin() + static_cast<std::ptrdiff_t>(k * kStep);
      laid.insert(laid.end(), from, from + kStep);
    }
    std::vector<std::uint64_t> masks;
    for (std::size_t word = 0; word < index_.words_; ++word) {
      // Of a range with its end the end itself is a value.
      for (std::size_t r = ranges; r-- > 0;) masks.push_back(mask(d, word, ends_[r]));
    }
    // Steps lie the highest first; the way to the highest is by the pivots that fill up.
    const std::size_t unused = pivots * kStep - (steps - 1);
    Dimension& to = index_.dimensions_[index_.count_++];
    to.number = static_cast<std::uint16_t>(d);
    to.pivots = static_cast<std::uint16_t>(pivots);
    to.plane = static_cast<std::uint32_t>(ranges * 8);
    to.first_pivots = static_cast<std::int32_t>(append(out_, laid.data(), laid.size() * 2));
    to.ends = to.first_pivots + static_cast<std::int32_t>(pivots * kStepBytes) -
              static_cast<std::int32_t>(unused * kStepBytes);
    // At least one end, and at most all of a step, is not below.
    to.masks = static_cast<std::int32_t>(append(out_, masks.data(), masks.size() * 8)) -
               static_cast<std::int32_t>(unused * kStep * 8) - 8;
    out_.resize((out_.size() + 31) & ~std::size_t{31});
  }

  std::span<const FilterRange> ranges_;
  unsigned dimensions_;
  std::size_t filters_;
  std::vector<std::byte>& out_;
  std::vector<std::uint16_t> ends_;
  FilterIndex index_{};
};

void FilterIndex::make(std::span<const FilterRange> ranges, unsigned dimensions,
                       std::vector<std::byte>& out) {
  out.clear();
  if (ranges.size() / dimensions <= kFiltersMax) Maker(ranges, dimensions, out).make();
}

}  // namespace sluice
