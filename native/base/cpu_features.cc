#include "base/cpu_features.h"

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace sluice {
namespace {
CpuFeatures detect() noexcept {
  CpuFeatures features;
#if defined(__x86_64__)
  // The compiler's run-time checks look at CPUID and XCR0 both.
  features.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                  __builtin_cpu_supports("bmi2");
  features.avx512bw = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl");
  features.aes = __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
  features.gfni = __builtin_cpu_supports("gfni");
  features.vpclmulqdq = __builtin_cpu_supports("vpclmulqdq");
#elif defined(__aarch64__)
  const unsigned long told = getauxval(AT_HWCAP);
  features.pmull = (told & HWCAP_AES) != 0 && (told & HWCAP_PMULL) != 0;
  features.sm3 = (told & HWCAP_SM3) != 0;
  features.sm4 = (told & HWCAP_SM4) != 0;
#endif
  return features;
}
}  // namespace

const CpuFeatures& cpu_features() noexcept {
  static const CpuFeatures features = detect();
  return features;
}

}  // namespace sluice
