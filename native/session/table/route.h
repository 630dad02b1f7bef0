// A framed route: a prefix behind a UE. Pure; any thread.
#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>

namespace sluice {

/// An address as a row of bits, so that both families are looked at alike; of IPv4 the first 32.
struct AddressBits {
  std::uint64_t high, low;

  static AddressBits of(const std::uint32_t (&words)[4], bool is_v6) noexcept {
    const std::uint64_t first = std::uint64_t{words[0]} << 32;
    return is_v6 ? AddressBits{first | words[1], std::uint64_t{words[2]} << 32 | words[3]}
                 : AddressBits{first, 0};
  }
  /// How many bits of both are alike before the first that is not; 128: all.
  unsigned common(const AddressBits& other) const noexcept {
    const std::uint64_t difference = high ^ other.high;
    return static_cast<unsigned>(difference != 0 ? std::countl_zero(difference)
                                                 : 64 + std::countl_zero(low ^ other.low));
  }
  /// So many bits from a position on, which is in the same half for all of them; behind the half's
  /// end, zeros.
  template <unsigned kBits>
  unsigned at(unsigned position) const noexcept {
    return static_cast<unsigned>((position < 64 ? high : low) << (position % 64) >> (64 - kBits));
  }
  /// The bits before a position, with others behind it.
  template <unsigned kBits>
  AddressBits with(unsigned position, unsigned bits) const noexcept {
    const std::uint64_t behind = ~0ull >> (position % 64);
    const std::uint64_t put = std::uint64_t{bits} << (64 - kBits) >> (position % 64);
    return position < 64 ? AddressBits{(high & ~behind) | put, 0}
                         : AddressBits{high, (low & ~behind) | put};
  }
};

/// A prefix; words as in a record, bits behind the length are 0.
struct Route {
  std::uint32_t words[4];
  std::uint8_t length;
  bool is_v6;
  std::uint16_t reserved;
  bool operator==(const Route&) const = default;
  AddressBits bits() const noexcept { return AddressBits::of(words, is_v6); }

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
};
static_assert(sizeof(Route) == 20);

}  // namespace sluice
