// What the processor and the operating system offer beyond the baseline that all code is compiled
// for (docs/decisions/0009).
#pragma once

namespace sluice {

/// Each is true only where the operating system knows of it too: of x86, keeps the registers
/// (XCR0); of Arm, tells it in HWCAP.
struct CpuFeatures {
  bool avx2 = false;        ///< with BMI1 and BMI2, as in x86-64-v3
  bool avx512bw = false;    ///< AVX-512 F, BW and VL
  bool aes = false;         ///< AES-NI and PCLMULQDQ
  bool gfni = false;        ///< in the widths of the others above
  bool vpclmulqdq = false;  ///< likewise
  bool pmull = false;       ///< of Armv8: the instructions for AES, and PMULL of 64 bits
  bool sm3 = false;         ///< likewise: those for SM3
  bool sm4 = false;         ///< likewise: those for SM4
};

/// Of the machine that this runs on; asked once. Threads: any.
const CpuFeatures& cpu_features() noexcept;

}  // namespace sluice
