#include "crypto/sm3/kernels.h"

namespace sluice::crypto::sm3 {
namespace {
constexpr Kernels kPortable{compress_portable, 1, nullptr};
#if defined(__x86_64__)
constexpr Kernels kAvx2{compress_avx2, 8, compress_lanes_avx2};
constexpr Kernels kAvx512{compress_avx2, 16, compress_lanes_avx512};
#elif defined(__aarch64__)
constexpr Kernels kArmv8{compress_armv8, 1, nullptr};
#endif
}  // namespace

const Kernels& kernels(Tier tier) noexcept {
#if defined(__x86_64__)
  if (tier == Tier::Avx512) return kAvx512;
  if (tier == Tier::Avx2 || tier == Tier::Avx2Gfni) return kAvx2;
#elif defined(__aarch64__)
  if (tier == Tier::Armv8Sm4) return kArmv8;
#endif
  static_cast<void>(tier);
  return kPortable;
}

}  // namespace sluice::crypto::sm3
