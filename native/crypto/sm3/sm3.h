// SM3 and HMAC-SM3 of one message, as it comes. An object belongs to one thread at a time; none
// allocates. Many messages at once: batch.h. How it is computed: rounds.h, and a source per tier.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "crypto/sm3/kernels.h"
#include "crypto/tier.h"

namespace sluice::crypto {

inline constexpr std::size_t kSm3DigestBytes = 32;

/// The chaining value between two blocks.
struct Sm3State {
  std::uint32_t words[sm3::kStateWords];
};
/// Source: GB/T 32905-2016 clause 4.1.
inline constexpr Sm3State kSm3Initial{{0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600, 0xa96f30bc,
                                       0x163138aa, 0xe38dee4d, 0xb0fb0e4e}};

/// SM3 of a message that comes in parts of any length. Source: GB/T 32905-2016.
class Sm3 {
 public:
  explicit Sm3(Tier tier = active_tier()) noexcept : Sm3(kSm3Initial, 0, tier) {}
  /// Carries on behind `bytes` bytes, whole blocks, which led to `state`.
  Sm3(const Sm3State& state, std::uint64_t bytes, Tier tier) noexcept
      : kernels_(&sm3::kernels(tier)), state_(state), bytes_(bytes) {}
  ~Sm3();
  Sm3(const Sm3&) = default;
  Sm3& operator=(const Sm3&) = default;

  void update(std::span<const std::byte> part) noexcept;
  /// Writes the 32 bytes of the digest; the object has then done its work.
  void finish(std::byte* digest) noexcept;

 private:
  const sm3::Kernels* kernels_;
  Sm3State state_;
  std::uint64_t bytes_;
  /// The begun block, and room for the one that padding may take more.
  std::byte pending_[2 * sm3::kBlockBytes];
};

/// A key of HMAC-SM3, as the states behind its inner and outer block: 64 bytes, two blocks' work
/// saved for each message. Wiped at its end. Source: RFC 2104 section 4, GM/T 0042-2015.
class HmacSm3Key {
 public:
  /// @param key  of any length, though one of less than 32 bytes is weaker than the digest.
  explicit HmacSm3Key(std::span<const std::byte> key, Tier tier = active_tier()) noexcept;
  ~HmacSm3Key();
  HmacSm3Key(const HmacSm3Key&) = default;
  HmacSm3Key& operator=(const HmacSm3Key&) = default;

  const Sm3State& inner() const noexcept { return inner_; }
  const Sm3State& outer() const noexcept { return outer_; }

 private:
  Sm3State inner_;
  Sm3State outer_;
};

/// HMAC-SM3 of a message that comes in parts of any length. The key has to outlive it.
class HmacSm3 {
 public:
  explicit HmacSm3(const HmacSm3Key& key, Tier tier = active_tier()) noexcept
      : key_(&key), tier_(tier), inner_(key.inner(), sm3::kBlockBytes, tier) {}

  void update(std::span<const std::byte> part) noexcept { inner_.update(part); }
  /// Writes the 32 bytes of the code; the object has then done its work.
  void finish(std::byte* code) noexcept;

 private:
  const HmacSm3Key* key_;
  Tier tier_;
  Sm3 inner_;
};

namespace sm3 {
/// Pads a message of `bytes` bytes in all behind the `used` bytes (less than a block) of its last
/// one, in a buffer of two blocks. Returns how many blocks it takes, 1 or 2. Pure.
/// Source: GB/T 32905-2016 clause 5.2.
std::size_t pad(std::byte* buffer, std::size_t used, std::uint64_t bytes) noexcept;
/// A chaining value as the 32 bytes of a digest. Pure.
void write_digest(std::byte* digest, const Sm3State& state) noexcept;
}  // namespace sm3

}  // namespace sluice::crypto
