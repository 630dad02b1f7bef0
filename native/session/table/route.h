// A framed route: a prefix behind a UE. Pure; any thread.
#pragma once
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
    const unsigned from = i * 32;
    if (length <= from) return 0;
    return length - from >= 32 ? ~0u : ~0u << (32 - (length - from));
  }
  /// As a key of 64 bits, length and family in it.
  std::uint64_t fold() const noexcept {
    std::uint64_t key = std::uint64_t{length} << 1 | (is_v6 ? 1u : 0u);
    for (const std::uint32_t word : words) {
      key = (key ^ word) * 0x9e3779b97f4a7c15;
      key ^= key >> 29;
    }
    return key;
  }
};
static_assert(sizeof(Route) == 20);

}  // namespace sluice
