// A key of SM4 as a tier's kernels want it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "crypto/tier.h"

namespace sluice::crypto {

inline constexpr std::size_t kSm4KeyBytes = 16;
inline constexpr std::size_t kSm4BlockBytes = 16;

namespace sm4 {
/// Words of a prepared key in most tiers. The round keys k[i], in a basis, are hidden in the state:
/// with numbers c such that c[i + 1] ^ c[i + 2] ^ c[i + 3] = k[i], and c[i] added to each word i,
/// a round's input has its key already, and its output takes d[i] = c[i] ^ c[i + 4] among the terms
/// that it adds up anyway. c[0] to c[2] and c[35] are 0.
enum Word : unsigned { kFirstD = 0, kC3 = 32, kC32 = 33, kC33 = 34, kC34 = 35, kWords = 36 };

/// One direction of a key, in the form of the tier that it was made for; byte 0 (least significant)
/// of each word goes with byte 0 of a block's.
struct Schedule {
  std::uint32_t words[kWords];
};
}  // namespace sm4

/// A key of SM4 for both directions, 288 bytes; wiped at its end. Threads: any may read it.
class Sm4Key {
 public:
  /// @param tier  in which it will be used, and in no other.
  explicit Sm4Key(std::span<const std::byte, kSm4KeyBytes> key, Tier tier = active_tier()) noexcept;
  ~Sm4Key();
  Sm4Key(const Sm4Key&) = default;
  Sm4Key& operator=(const Sm4Key&) = default;

  const sm4::Schedule& encrypts() const noexcept { return encrypts_; }
  const sm4::Schedule& decrypts() const noexcept { return decrypts_; }

 private:
  sm4::Schedule encrypts_;
  sm4::Schedule decrypts_;
};

}  // namespace sluice::crypto
