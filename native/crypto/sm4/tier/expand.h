// The key schedule of the tiers that compute in the basis (basis.h). Pure; any thread.
#pragma once
#include <cstddef>
#include <cstdint>

#include "crypto/sm4/schedule.h"

namespace sluice::crypto::sm4 {

/// Source: GB/T 32907-2016 clause 7.3.
inline constexpr std::uint32_t kSystem[4] = {0xa3b1bac6, 0x56aa3350, 0x677d9197, 0xb27022dc};
inline constexpr unsigned kRounds = 32;

/// CK, whose bytes are 7 times their number.
constexpr std::uint32_t constant_of(unsigned round) noexcept {
  std::uint32_t word = 0;
  for (unsigned j = 0; j < 4; ++j) word = word << 8 | ((28 * round + 7 * j) & 0xff);
  return word;
}

/// @param key         kSm4KeyBytes bytes.
/// @param substitute  a tier's a (basis.h) of four bytes in the basis.
void expand_in_basis(const std::byte* key, std::uint32_t (*substitute)(std::uint32_t word) noexcept,
                     Schedule& encrypts, Schedule& decrypts) noexcept;

}  // namespace sluice::crypto::sm4
