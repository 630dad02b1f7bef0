// SM3 and HMAC-SM3 of many messages with lengths and keys of their own, as many at once as the tier
// has lanes. Any thread; pure.
#pragma once
#include <span>

#include "crypto/sm3/sm3.h"

namespace sluice::crypto {

struct Sm3Job {
  std::span<const std::byte> message;
  const HmacSm3Key* key;  ///< null: the plain digest
  std::byte* out;         ///< 32 bytes; may lie in no message of the batch
};

/// Does all jobs, in an order of its own.
void sm3_batch(std::span<const Sm3Job> jobs, Tier tier = active_tier()) noexcept;

}  // namespace sluice::crypto
