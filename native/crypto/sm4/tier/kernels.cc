#include "crypto/sm4/tier/kernels.h"

namespace sluice::crypto::sm4 {

const Kernels& kernels(Tier tier) noexcept {
#if defined(__x86_64__)
  switch (tier) {
    case Tier::Avx512:
      return kAvx512Kernels;
    case Tier::Avx2Gfni:
      return kAvx2GfniKernels;
    case Tier::Avx2:
      return kAvx2Kernels;
    case Tier::Portable:
      break;
  }
#endif
  static_cast<void>(tier);
  return kPortableKernels;
}

}  // namespace sluice::crypto::sm4
