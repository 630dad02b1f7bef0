#include "crypto/sm4/tier/expand.h"

#include <bit>
#include <cstring>

#include "crypto/secret.h"
#include "crypto/sm4/tier/basis.h"

namespace sluice::crypto::sm4 {
namespace {
/// The bytes of a word in the basis, with what belongs to a key added.
std::uint32_t into_basis(std::uint32_t word) noexcept {
  return multiply_bytes<kToBasis>(word) ^ 0x01010101u * kKeyConstant;
}

/// The S-box on four bytes, from a tier's a, which is the S-box rotated by 2, in the basis.
std::uint32_t s_box_of(std::uint32_t a) noexcept {
  const std::uint32_t rotated = multiply_bytes<kFromBasis>(a);
  // The constant that stands for those of all five terms gives way to that of the S-box itself.
  constexpr std::uint32_t kInstead =
      0x01010101u * (multiply(kFromBasis, kAConstant) ^ std::rotl(std::uint8_t{0xd3}, 2));
  const std::uint32_t bytes = rotated ^ kInstead;
  return (bytes >> 2 & 0x3f3f3f3f) | (bytes << 6 & 0xc0c0c0c0);
}

/// Hides the round keys, given in the order of use.
Schedule hide(const std::uint32_t (&keys)[kRounds]) noexcept {
  std::uint32_t c[kRounds + 4] = {};
  for (unsigned i = 0; i < kRounds; ++i)
    c[i + 3] = __builtin_bswap32(into_basis(keys[i])) ^ c[i + 1] ^ c[i + 2];
  Schedule schedule;
  for (unsigned i = 0; i < kRounds; ++i) schedule.words[kFirstD + i] = c[i] ^ c[i + 4];
  schedule.words[kC3] = c[3];
  for (unsigned i = 0; i < 3; ++i) schedule.words[kC32 + i] = c[kRounds + i];
  wipe(c, sizeof c);
  return schedule;
}
}  // namespace

void expand_in_basis(const std::byte* key, std::uint32_t (*substitute)(std::uint32_t word) noexcept,
                     Schedule& encrypts, Schedule& decrypts) noexcept {
  std::uint32_t k[kRounds + 4];
  for (unsigned i = 0; i < 4; ++i) {
    std::uint32_t word;
    std::memcpy(&word, key + 4 * i, 4);
    k[i] = __builtin_bswap32(word) ^ kSystem[i];
  }
  for (unsigned i = 0; i < kRounds; ++i) {
    const std::uint32_t mixed = k[i + 1] ^ k[i + 2] ^ k[i + 3] ^ constant_of(i);
    const std::uint32_t s = s_box_of(substitute(into_basis(mixed)));
    k[i + 4] = k[i] ^ s ^ std::rotl(s, 13) ^ std::rotl(s, 23);
  }
  std::uint32_t forward[kRounds], backward[kRounds];
  for (unsigned i = 0; i < kRounds; ++i) {
    forward[i] = backward[kRounds - 1 - i] = k[i + 4];
  }
  encrypts = hide(forward);
  decrypts = hide(backward);
  wipe(k, sizeof k);
  wipe(forward, sizeof forward);
  wipe(backward, sizeof backward);
}

}  // namespace sluice::crypto::sm4
