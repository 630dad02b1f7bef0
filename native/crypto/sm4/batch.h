// Many messages at once, each with a key of its own: their blocks share the vectors that one short
// message leaves half empty. Objects are the caller's; a call is for any thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "crypto/sm4/sm4.h"

namespace sluice::crypto {

/// One message of SM4-GCM, sealed or opened in place.
struct Sm4GcmJob {
  const Sm4GcmKey* key;
  const std::byte* iv;  ///< kSm4GcmIvBytes
  std::span<const std::byte> aad;
  std::span<std::byte> data;
  std::byte* tag;  ///< kSm4TagBytes: written when sealed, read when opened
  bool opens = false;
  /// Set by the call. False: the tag of a message to be opened does not hold, and its data are
  /// zeros.
  bool holds = false;
};

/// Seals and opens messages of any lengths, in any order and mixture. Data of different jobs must
/// not overlap. @return  how many hold; those that were sealed always do.
std::size_t sm4_gcm_batch(std::span<Sm4GcmJob> jobs, Tier tier = active_tier()) noexcept;

/// One message to be encrypted with SM4-CBC in place. (One is decrypted as fast alone.)
struct Sm4CbcJob {
  const Sm4Key* key;
  std::byte* chain;           ///< the initialization vector, and then the last block of ciphertext
  std::span<std::byte> data;  ///< whole blocks
};

void sm4_cbc_encrypt_batch(std::span<const Sm4CbcJob> jobs, Tier tier = active_tier()) noexcept;

}  // namespace sluice::crypto
