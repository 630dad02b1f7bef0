#include "crypto/sm4/tier/kernels.h"

namespace sluice::crypto::sm4 {

const Kernels& kernels(Tier tier) noexcept {
  switch (tier) {
#if defined(__x86_64__)
    case Tier::Avx512:
      return kAvx512Kernels;
    case Tier::Avx2Gfni:
      return kAvx2GfniKernels;
    case Tier::Avx2:
      return kAvx2Kernels;
#elif defined(__aarch64__)
    case Tier::Armv8Sm4:
      return kArmv8Sm4Kernels;
    case Tier::Armv8Aes:
      return kArmv8AesKernels;
#endif
    default:
      return kPortableKernels;
  }
}

}  // namespace sluice::crypto::sm4
