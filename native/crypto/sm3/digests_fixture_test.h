// Digests and codes of one message, for the tests of SM3.
#pragma once
#include "crypto/sm3/batch.h"
#include "crypto/sm3/sm3.h"
#include "crypto/tiers_fixture_test.h"

namespace sluice::crypto::test {

inline Bytes digest_of(std::span<const std::byte> message, Tier tier) {
  Bytes out(kSm3DigestBytes);
  Sm3 hash(tier);
  hash.update(message);
  hash.finish(out.data());
  return out;
}

inline Bytes code_of(std::span<const std::byte> key, std::span<const std::byte> message,
                     Tier tier) {
  Bytes out(kSm3DigestBytes);
  const HmacSm3Key prepared(key, tier);
  HmacSm3 code(prepared, tier);
  code.update(message);
  code.finish(out.data());
  return out;
}

}  // namespace sluice::crypto::test
