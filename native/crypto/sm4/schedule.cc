#include "crypto/sm4/schedule.h"

#include <bit>
#include <cstring>

#include "crypto/secret.h"
#include "crypto/sm4/tier/basis.h"
#include "crypto/sm4/tier/kernels.h"

namespace sluice::crypto {
namespace {
constexpr unsigned kRounds = 32;
constexpr std::uint32_t kSystem[4] = {0xa3b1bac6, 0x56aa3350, 0x677d9197, 0xb27022dc};

/// CK, whose bytes are 7 times their number.
constexpr std::uint32_t constant_of(unsigned round) noexcept {
  std::uint32_t word = 0;
  for (unsigned j = 0; j < 4; ++j) word = word << 8 | ((28 * round + 7 * j) & 0xff);
  return word;
}

/// The bytes of a word in the basis, with what belongs to a key added.
std::uint32_t into_basis(std::uint32_t word) noexcept {
  return sm4::multiply_bytes<sm4::kToBasis>(word) ^ 0x01010101u * sm4::kKeyConstant;
}

/// The S-box on four bytes: from the kernels' a, which is the S-box rotated by 2, in the basis.
std::uint32_t substitute(std::uint32_t word, const sm4::Kernels& kernels) noexcept {
  const std::uint32_t rotated =
      sm4::multiply_bytes<sm4::kFromBasis>(kernels.substitute(into_basis(word)));
  // The constant that stands for those of all five terms gives way to that of the S-box itself.
  constexpr std::uint32_t kInstead =
      0x01010101u *
      (sm4::multiply(sm4::kFromBasis, sm4::kAConstant) ^ std::rotl(std::uint8_t{0xd3}, 2));
  const std::uint32_t bytes = rotated ^ kInstead;
  return (bytes >> 2 & 0x3f3f3f3f) | (bytes << 6 & 0xc0c0c0c0);
}

/// Hides the round keys, given in the order of use.
sm4::Schedule hide(const std::uint32_t (&keys)[kRounds]) noexcept {
  std::uint32_t c[kRounds + 4] = {};
  for (unsigned i = 0; i < kRounds; ++i)
    c[i + 3] = __builtin_bswap32(into_basis(keys[i])) ^ c[i + 1] ^ c[i + 2];
  sm4::Schedule schedule;
  for (unsigned i = 0; i < kRounds; ++i) schedule.words[sm4::kFirstD + i] = c[i] ^ c[i + 4];
  schedule.words[sm4::kC3] = c[3];
  for (unsigned i = 0; i < 3; ++i) schedule.words[sm4::kC32 + i] = c[kRounds + i];
  wipe(c, sizeof c);
  return schedule;
}
}  // namespace

Sm4Key::Sm4Key(std::span<const std::byte, kSm4KeyBytes> key, Tier tier) noexcept {
  const sm4::Kernels& kernels = sm4::kernels(tier);
  std::uint32_t k[kRounds + 4];
  for (unsigned i = 0; i < 4; ++i) {
    std::uint32_t word;
    std::memcpy(&word, key.data() + 4 * i, 4);
    k[i] = __builtin_bswap32(word) ^ kSystem[i];
  }
  for (unsigned i = 0; i < kRounds; ++i) {
    const std::uint32_t s = substitute(k[i + 1] ^ k[i + 2] ^ k[i + 3] ^ constant_of(i), kernels);
    k[i + 4] = k[i] ^ s ^ std::rotl(s, 13) ^ std::rotl(s, 23);
  }
  std::uint32_t forward[kRounds], backward[kRounds];
  for (unsigned i = 0; i < kRounds; ++i) {
    forward[i] = backward[kRounds - 1 - i] = k[i + 4];
  }
  encrypts_ = hide(forward);
  decrypts_ = hide(backward);
  wipe(k, sizeof k);
  wipe(forward, sizeof forward);
  wipe(backward, sizeof backward);
}

Sm4Key::~Sm4Key() { wipe(this, sizeof *this); }

}  // namespace sluice::crypto
