#include "crypto/esp/association.h"

#include <algorithm>
#include <cstring>

#include "crypto/secret.h"

namespace sluice::crypto {
namespace {
/// Numbers that are left when it is time for a new key: a 64th of the short ones, so that a crash,
/// which may skip 2^24, does not lead to the last of them unasked.
constexpr std::uint64_t kNumbersForRekeying = 1 << 26;

bool is_reached(std::uint64_t value, std::uint64_t limit) noexcept {
  return limit != 0 && value >= limit;
}
std::uint64_t end_of(std::uint64_t limit) noexcept {
  return limit == 0 ? ~std::uint64_t{0} : limit;
}
std::uint64_t last_number_of(bool extended) noexcept {
  return extended ? ~std::uint64_t{0} : 0xffffffff;
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

std::size_t esp_sealed_bytes(EspSuite suite, std::size_t bytes) noexcept {
  const EspShape shape = esp_shape(suite);
  return kEspHeaderBytes + shape.iv + bytes + esp_padding(shape, bytes) + kEspTrailerBytes +
         shape.icv;
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
                         const EspUse& used, Tier tier) noexcept
    : spi_(parameters.spi),
      extended_(parameters.extended_sequence),
      lifetime_(lifetime),
      end_{std::min(last_number_of(extended_), end_of(lifetime.packets_hard)),
           end_of(lifetime.bytes_hard)},
      number_(used.number),
      bytes_(used.bytes),
      number_allowed_(end_.number),
      bytes_allowed_(end_.bytes),
      keys_(parameters, tier) {}

void EspOutbound::use_up_to(const EspUse& allowed) noexcept {
  number_allowed_ = std::min(allowed.number, end_.number);
  bytes_allowed_ = std::min(allowed.bytes, end_.bytes);
}

bool EspOutbound::wants_rekeying() const noexcept {
  return is_reached(number_, lifetime_.packets_soft) || is_reached(bytes_, lifetime_.bytes_soft) ||
         last_number_of(extended_) - number_ < kNumbersForRekeying;
}

std::uint64_t EspOutbound::take_number(std::size_t bytes) noexcept {
  if (!may_take(bytes)) return refuse(bytes);
  bytes_ += bytes;
  return ++number_;
}

bool EspOutbound::has_expired() const noexcept {
  return expired_ || number_ >= end_.number || bytes_ >= end_.bytes;
}

/// Once a packet was too long for what is left, shorter ones do not pass either: an association
/// that seals some of its packets would look as if it lived.
std::uint64_t EspOutbound::refuse(std::size_t bytes) noexcept {
  if (number_ >= end_.number || bytes_ + bytes > end_.bytes) expired_ = true;
  return 0;
}

EspInbound::EspInbound(const EspParameters& parameters, unsigned window, Tier tier) noexcept
    : spi_(parameters.spi),
      extended_(parameters.extended_sequence),
      window_(window),
      keys_(parameters, tier) {}

}  // namespace sluice::crypto
