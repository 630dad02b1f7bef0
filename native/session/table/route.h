// A framed route: a prefix behind a UE. Pure; any thread.
#pragma once
#include <algorithm>
#include <cstdint>

namespace sluice {

/// A prefix; words as in a record, bits behind the length are 0.
struct Route {
  std::uint32_t words[4];
  std::uint8_t length;
  bool is_v6;
  std::uint16_t reserved;
  bool operator==(const Route&) const = default;

  bool contains(const std::uint32_t (&address)[4], bool v6) const noexcept {
    if (v6 != is_v6) return false;
    std::uint32_t difference = 0;
    for (unsigned i = 0; i < 4; ++i) difference |= (address[i] & mask(i)) ^ words[i];
    return difference == 0;
  }
  /// The bits of word `i` that count.
  std::uint32_t mask(unsigned i) const noexcept {
    const int bits = std::clamp(int{length} - static_cast<int>(i * 32), 0, 32);
    return static_cast<std::uint32_t>(~0ull << (32 - bits));
  }
  /// As a key of 64 bits, length and family in it. Of IPv4 no two are alike.
  std::uint64_t fold() const noexcept {
    if (!is_v6) return std::uint64_t{words[0]} << 16 | std::uint64_t{length} << 8 | 4;
    // Multiplied, or the length would cancel out against the low bits of the first word.
    std::uint64_t key = (std::uint64_t{length} + 1) * 0xff51afd7ed558ccd;
    for (const std::uint32_t word : words) {
      key = (key ^ word) * 0x9e3779b97f4a7c15;
      key ^= key >> 29;
    }
    return key;
  }
};
static_assert(sizeof(Route) == 20);

}  // namespace sluice
