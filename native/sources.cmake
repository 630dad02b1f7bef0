#The one source list : CMake reads it, and binding.gyp calls CMake.
#Files are listed by folder, lowest level first.
file(GLOB SLUICE_SOURCES CONFIGURE_DEPENDS
  native/base/*.cc native/memory/*.cc native/wire/*.cc native/crypto/*.cc native/crypto/*/*.cc native/crypto/*/*/*.cc
  native/crypto/*/*/*/*.cc
  native/session/*.cc native/session/*/*.cc
  native/port/*.cc native/port/*/*.cc native/datagram/*.cc native/datagram/*/*.cc
  native/pipeline/*.cc native/pipeline/*/*.cc
  native/worker/*.cc native/worker/*/*.cc native/gnb/*.cc native/smf/*.cc)
set(SLUICE_TEST_SOURCES ${SLUICE_SOURCES})
list(FILTER SLUICE_SOURCES EXCLUDE REGEX "_test\\.cc$")
list(FILTER SLUICE_TEST_SOURCES INCLUDE REGEX "_test\\.cc$")
# Kernels for more than the baseline; native/crypto/tier.h chooses them at run time.
set(SLUICE_AVX512_SOURCES native/crypto/sm3/compress_avx512.cc native/crypto/sm4/tier/x86/avx512.cc)
set(SLUICE_GFNI_SOURCES native/crypto/sm4/tier/x86/avx2_gfni.cc)
set(SLUICE_AES_SOURCES native/crypto/sm4/tier/x86/avx2.cc)
set(SLUICE_AVX2_SOURCES native/crypto/sm3/compress_avx2.cc)
set(SLUICE_ARMV8_AES_SOURCES native/crypto/sm4/tier/arm/armv8_aes.cc)
set(SLUICE_ARMV8_SM4_SOURCES native/crypto/sm3/compress_armv8.cc native/crypto/sm4/tier/arm/armv8_sm4.cc)
# The plug-in for DPDK, which alone includes its headers.
file(GLOB SLUICE_DPDK_SOURCES CONFIGURE_DEPENDS native/port/dpdk/plugin/*.cc)
file(GLOB SLUICE_ADDON_SOURCES CONFIGURE_DEPENDS native/addon/*.cc)
file(GLOB SLUICE_FUZZ_SOURCES CONFIGURE_DEPENDS native/fuzz/*_fuzz.cc native/fuzz/*/*_fuzz.cc)
file(GLOB SLUICE_BENCH_SOURCES CONFIGURE_DEPENDS native/bench/*.cc native/bench/path/*.cc
  native/bench/through/*.cc)
