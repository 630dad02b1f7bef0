#include "crypto/esp/association.h"

#include <cstring>

#include "crypto/secret.h"

namespace sluice::crypto {
namespace {
/// Numbers that are left when it is time for a new key.
constexpr std::uint64_t kNumbersForRekeying = 1 << 20;

bool is_reached(std::uint64_t value, std::uint64_t limit) noexcept {
  return limit != 0 && value >= limit;
}
}  // namespace

EspShape esp_shape(EspSuite suite) noexcept {
  switch (suite) {
    case EspSuite::Sm4Gcm16:
      return {8, kSm4TagBytes, 4};
    case EspSuite::Sm4CbcSm3_96:
      return {kSm4BlockBytes, 12, kSm4BlockBytes};
    case EspSuite::Sm4CbcSm3_128:
      return {kSm4BlockBytes, 16, kSm4BlockBytes};
    case EspSuite::Sm4CbcSm3_256:
      return {kSm4BlockBytes, kSm3DigestBytes, kSm4BlockBytes};
  }
  return {};
}

EspKeys::EspKeys(const EspParameters& parameters, Tier tier) noexcept : suite_(parameters.suite) {
  std::memcpy(salt_, parameters.salt.data(), sizeof salt_);
  if (suite_ == EspSuite::Sm4Gcm16) {
    gcm_.emplace(parameters.key, tier);
  } else {
    cbc_.emplace(parameters.key, tier);
    auth_.emplace(parameters.auth_key, tier);
  }
}

void EspKeys::prefetch() const noexcept {
  const auto fetch = [](const void* at, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; i += kCacheLine) {
      __builtin_prefetch(static_cast<const std::byte*>(at) + i);
    }
  };
  if (suite_ == EspSuite::Sm4Gcm16) {
    // Of the powers of GHASH, the lower half.
    const sm4::HashPowers& powers = gcm_->powers();
    fetch(powers.of[sm4::kPowers / 2], sizeof powers / 2);
    fetch(&gcm_->schedule(), sizeof(sm4::Schedule));
  } else {
    fetch(&*cbc_, sizeof(Sm4Key));
    fetch(&*auth_, sizeof(HmacSm3Key));
  }
}

EspKeys::~EspKeys() { wipe(salt_, sizeof salt_); }

EspOutbound::EspOutbound(const EspParameters& parameters, const EspLifetime& lifetime,
                         std::uint64_t last_number, Tier tier) noexcept
    : spi_(parameters.spi),
      extended_(parameters.extended_sequence),
      lifetime_(lifetime),
      number_(last_number),
      last_allowed_(extended_ ? ~std::uint64_t{0} : 0xffffffff),
      keys_(parameters, tier) {}

bool EspOutbound::wants_rekeying() const noexcept {
  const std::uint64_t last = extended_ ? ~std::uint64_t{0} : 0xffffffff;
  return is_reached(packets_, lifetime_.packets_soft) || is_reached(bytes_, lifetime_.bytes_soft) ||
         last - number_ < kNumbersForRekeying;
}

std::uint64_t EspOutbound::take_number(std::size_t bytes) noexcept {
  const std::uint64_t last = extended_ ? ~std::uint64_t{0} : 0xffffffff;
  if (number_ >= last || number_ >= last_allowed_ || is_reached(packets_, lifetime_.packets_hard) ||
      (lifetime_.bytes_hard != 0 && bytes > lifetime_.bytes_hard - bytes_)) {
    return 0;
  }
  ++packets_;
  bytes_ += bytes;
  return ++number_;
}

EspInbound::EspInbound(const EspParameters& parameters, unsigned window, Tier tier) noexcept
    : spi_(parameters.spi),
      extended_(parameters.extended_sequence),
      window_(window),
      keys_(parameters, tier) {}

}  // namespace sluice::crypto
