// What benches of tables look up, the same for ours and for peers'.
#pragma once
#include <cstdint>
#include <vector>

namespace bench {

/// A million numbers below a bound, uniformly at random, the same in each run.
inline std::vector<std::uint32_t> draws(std::uint32_t below) {
  std::vector<std::uint32_t> list(1u << 20);
  std::uint64_t seed = 88172645463325252ull;
  for (auto& n : list) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    n = static_cast<std::uint32_t>(seed % below);
  }
  return list;
}

struct Prefix {
  std::uint32_t address;
  std::uint8_t length;
};

/// Different IPv4 prefixes of /16 to /28, mostly of the longer ones, none inside another of its
/// length.
inline std::vector<Prefix> prefixes(std::uint32_t count) {
  std::vector<Prefix> list;
  for (std::uint32_t n = 0; n < count; ++n) {
    const auto length = static_cast<std::uint8_t>(n % 100 == 0 ? 16 + n / 100 % 8 : 24 + n % 5);
    list.push_back({0x0a000000 + (n << 8), length});
  }
  for (Prefix& prefix : list) prefix.address &= ~0u << (32 - prefix.length);
  return list;
}

}  // namespace bench
