// The modes of SM4 over one message. Functions are for any thread; input and output may be the same
// memory, and overlap in no other way. Many messages at once: batch.h. How it is computed:
// slices.h, and a source per tier. Sources: GB/T 32907-2016, NIST SP 800-38A (ECB, CBC, CTR), SP
// 800-38D (GCM), SP 800-38C (CCM).
#pragma once
#include <cstddef>
#include <span>

#include "crypto/sm4/schedule.h"
#include "crypto/sm4/tier/kernels.h"
#include "crypto/tier.h"

namespace sluice::crypto {

inline constexpr std::size_t kSm4TagBytes = 16;
inline constexpr std::size_t kSm4GcmIvBytes = 12;  ///< the length that is fast, and usual

/// @param in  whole blocks; `out` has room for as many.
void sm4_ecb_encrypt(const Sm4Key& key, std::span<const std::byte> in, std::byte* out,
                     Tier tier = active_tier()) noexcept;
void sm4_ecb_decrypt(const Sm4Key& key, std::span<const std::byte> in, std::byte* out,
                     Tier tier = active_tier()) noexcept;

/// @param chain  16 bytes: the initialization vector, and then the last block of ciphertext, with
///               which a message goes on.
/// @param in     whole blocks.
void sm4_cbc_encrypt(const Sm4Key& key, std::byte* chain, std::span<const std::byte> in,
                     std::byte* out, Tier tier = active_tier()) noexcept;
void sm4_cbc_decrypt(const Sm4Key& key, std::byte* chain, std::span<const std::byte> in,
                     std::byte* out, Tier tier = active_tier()) noexcept;

/// Encrypts, and decrypts.
/// @param counter  16 bytes, a number of 128 bits, most significant byte first; it is left at the
///                 next block. A message goes on only where its parts before were whole blocks.
void sm4_ctr(const Sm4Key& key, std::byte* counter, std::span<const std::byte> in, std::byte* out,
             Tier tier = active_tier()) noexcept;

/// A key of SM4-GCM, prepared: 640 bytes; wiped at its end. Threads: any may read it.
class Sm4GcmKey {
 public:
  /// @param tier  in which it will be used, and in no other.
  explicit Sm4GcmKey(std::span<const std::byte, kSm4KeyBytes> key,
                     Tier tier = active_tier()) noexcept;
  ~Sm4GcmKey();
  Sm4GcmKey(const Sm4GcmKey&) = default;
  Sm4GcmKey& operator=(const Sm4GcmKey&) = default;

  const sm4::Schedule& schedule() const noexcept { return schedule_; }
  const sm4::HashPowers& powers() const noexcept { return powers_; }

 private:
  sm4::HashPowers powers_;
  sm4::Schedule schedule_;
};

/// Encrypts and writes the whole tag, of which a caller may send less.
/// @param iv  1 byte or more, never the same twice under one key.
void sm4_gcm_seal(const Sm4GcmKey& key, std::span<const std::byte> iv,
                  std::span<const std::byte> aad, std::span<const std::byte> in, std::byte* out,
                  std::byte* tag, Tier tier = active_tier()) noexcept;
/// Decrypts if the tag holds, which is compared in constant time.
/// @param tag  4 to 16 bytes.
/// @return  false: it does not, and `out` has nothing but zeros.
[[nodiscard]] bool sm4_gcm_open(const Sm4GcmKey& key, std::span<const std::byte> iv,
                                std::span<const std::byte> aad, std::span<const std::byte> in,
                                std::byte* out, std::span<const std::byte> tag,
                                Tier tier = active_tier()) noexcept;

/// CCM, likewise.
/// @param nonce  7 to 13 bytes; a message has less than 2^(8·(15 - nonce's bytes)) bytes.
/// @param tag    4, 6 … 16 bytes, to be written whole.
/// @return  false: a length is none of these, and nothing is written.
[[nodiscard]] bool sm4_ccm_seal(const Sm4Key& key, std::span<const std::byte> nonce,
                                std::span<const std::byte> aad, std::span<const std::byte> in,
                                std::byte* out, std::span<std::byte> tag,
                                Tier tier = active_tier()) noexcept;
[[nodiscard]] bool sm4_ccm_open(const Sm4Key& key, std::span<const std::byte> nonce,
                                std::span<const std::byte> aad, std::span<const std::byte> in,
                                std::byte* out, std::span<const std::byte> tag,
                                Tier tier = active_tier()) noexcept;

namespace sm4 {
/// The block that GCM counts from. Source: SP 800-38D clause 7.1, step 2.
void gcm_first_counter(const HashPowers& powers, std::span<const std::byte> iv, std::byte* counter,
                       const Kernels& kernels) noexcept;
/// GHASH of a whole message's ciphertext, the block of lengths included.
void gcm_hash(const HashPowers& powers, std::span<const std::byte> aad,
              std::span<const std::byte> data, std::byte* hash, const Kernels& kernels) noexcept;
}  // namespace sm4

}  // namespace sluice::crypto
