// SM3's compression function in each tier, behind one table. Pure: no state but the caller's.
#pragma once
#include <cstddef>
#include <cstdint>

#include "crypto/tier.h"

namespace sluice::crypto::sm3 {

inline constexpr std::size_t kStateWords = 8;
inline constexpr std::size_t kBlockBytes = 64;
inline constexpr unsigned kMaxLanes = 16;

struct Kernels {
  /// One stream: takes `count` blocks, one behind the other at any alignment, into the state.
  void (*compress)(std::uint32_t* state, const std::byte* blocks, std::size_t count) noexcept;
  /// Streams that the next function takes at once; 1 where a tier has no such function.
  unsigned lanes;
  /// Takes `count` blocks of each lane, which begin at blocks[lane], into its state.
  /// @param states  word i of a lane's state at [i * lanes + lane].
  void (*compress_lanes)(std::uint32_t* states, const std::byte* const* blocks,
                         std::size_t count) noexcept;
};

/// Of a tier that this processor can run. Threads: any.
const Kernels& kernels(Tier tier) noexcept;

/// The functions behind the table; those with a tier's name need that tier's processor.
void compress_portable(std::uint32_t* state, const std::byte* blocks, std::size_t count) noexcept;
#if defined(__x86_64__)
void compress_avx2(std::uint32_t* state, const std::byte* blocks, std::size_t count) noexcept;
void compress_lanes_avx2(std::uint32_t* states, const std::byte* const* blocks,
                         std::size_t count) noexcept;
void compress_lanes_avx512(std::uint32_t* states, const std::byte* const* blocks,
                           std::size_t count) noexcept;
#elif defined(__aarch64__)
void compress_armv8(std::uint32_t* state, const std::byte* blocks, std::size_t count) noexcept;
#endif

}  // namespace sluice::crypto::sm3
