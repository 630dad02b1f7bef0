#include "crypto/sm4/schedule.h"

#include "crypto/secret.h"
#include "crypto/sm4/tier/kernels.h"

namespace sluice::crypto {

Sm4Key::Sm4Key(std::span<const std::byte, kSm4KeyBytes> key, Tier tier) noexcept {
  sm4::kernels(tier).expand(key.data(), encrypts_, decrypts_);
}

Sm4Key::~Sm4Key() { wipe(this, sizeof *this); }

}  // namespace sluice::crypto
