// What the tests of cryptography share: the tiers of this machine, text to bytes, random bytes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/tier.h"

namespace sluice::crypto::test {

using Bytes = std::vector<std::byte>;

inline std::vector<Tier> tiers_here() {
  std::vector<Tier> tiers;
  for (const Tier tier : kTiers) {
    if (tier_runs_on(tier, cpu_features())) tiers.push_back(tier);
  }
  return tiers;
}

inline Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

/// Bytes of an even number of hexadecimal digits.
inline Bytes from_hex(std::string_view text) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(
        static_cast<std::byte>(std::stoul(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

inline Bytes random_bytes(std::mt19937_64& random, std::size_t size) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

}  // namespace sluice::crypto::test
