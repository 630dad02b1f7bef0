// What tiers of Armv8 do on 128 bits, which is one block. Their operations take it as bases;
// included by their sources alone. Pure; any thread.
#pragma once
#include <arm_neon.h>

#include <cstring>

#include "crypto/sm4/tier/kernels.h"

namespace sluice::crypto::sm4 {

/// Rows of one block.
struct NeonRows {
  using V = uint8x16_t;
  static constexpr unsigned kBlocks = 1;

  [[gnu::always_inline]] static inline V load(const std::byte* at) noexcept {
    return vld1q_u8(reinterpret_cast<const std::uint8_t*>(at));
  }
  [[gnu::always_inline]] static inline void store(std::byte* at, V v) noexcept {
    vst1q_u8(reinterpret_cast<std::uint8_t*>(at), v);
  }
  [[gnu::always_inline]] static inline V add(V a, V b) noexcept { return veorq_u8(a, b); }

  /// The last word is the number, in the processor's order.
  [[gnu::always_inline]] static inline uint32x4_t counter(const std::byte* block) noexcept {
    return with_last_word_reversed(vreinterpretq_u32_u8(load(block)));
  }
  [[gnu::always_inline]] static inline V counted(uint32x4_t first, std::uint32_t blocks) noexcept {
    const uint32x4_t more = vsetq_lane_u32(blocks, vdupq_n_u32(0), 3);
    return vreinterpretq_u8_u32(with_last_word_reversed(vaddq_u32(first, more)));
  }
  [[gnu::always_inline]] static inline uint32x4_t with_last_word_reversed(uint32x4_t x) noexcept {
    const uint32x4_t reversed = vreinterpretq_u32_u8(vrev32q_u8(vreinterpretq_u8_u32(x)));
    return vcopyq_laneq_u32(x, 3, reversed, 3);
  }
  /// All 16 bytes, the last one first.
  [[gnu::always_inline]] static inline V reversed(V block) noexcept {
    const V halves = vrev64q_u8(block);
    return vextq_u8(halves, halves, 8);
  }
};

/// GHASH with PMULL, a block a vector.
struct PmullHash {
  using C = uint8x16_t;
  static constexpr unsigned kHashBlocks = 1;

  [[gnu::always_inline]] static inline C zero() noexcept { return vdupq_n_u8(0); }
  [[gnu::always_inline]] static inline C add_hash(C a, C b) noexcept { return veorq_u8(a, b); }
  [[gnu::always_inline]] static inline C load_power(const std::byte* at) noexcept {
    return NeonRows::load(at);
  }
  [[gnu::always_inline]] static inline C load_hash(const std::byte* in) noexcept {
    return NeonRows::reversed(load_power(in));
  }
  [[gnu::always_inline]] static inline C load_part(const std::byte* in,
                                                   std::size_t bytes) noexcept {
    if (bytes == kSm4BlockBytes) return load_hash(in);
    std::byte block[kSm4BlockBytes] = {};
    std::memcpy(block, in, bytes);
    return load_hash(block);
  }
  [[gnu::always_inline]] static inline C state_in(unsigned, const std::byte* hash) noexcept {
    return load_hash(hash);
  }
  [[gnu::always_inline]] static inline C power_in(unsigned, const std::byte* at) noexcept {
    return load_power(at);
  }
  [[gnu::always_inline]] static inline C low(C x, C y) noexcept {
    const poly64x2_t a = vreinterpretq_p64_u8(x), b = vreinterpretq_p64_u8(y);
    return vreinterpretq_u8_p128(vmull_p64(vgetq_lane_p64(a, 0), vgetq_lane_p64(b, 0)));
  }
  [[gnu::always_inline]] static inline C high(C x, C y) noexcept {
    return vreinterpretq_u8_p128(vmull_high_p64(vreinterpretq_p64_u8(x), vreinterpretq_p64_u8(y)));
  }
  [[gnu::always_inline]] static inline C middle(C x, C y) noexcept {
    const C exchanged = vextq_u8(y, y, 8);
    return add_hash(low(x, exchanged), high(x, exchanged));
  }
  /// Twice, the lower half is folded up by a product with the polynomial.
  [[gnu::always_inline]] static inline C reduce(C low_part, C high_part, C middle_part) noexcept {
    const C none = zero();
    const C polynomial = vreinterpretq_u8_u64(vdupq_n_u64(0xc200000000000000));
    low_part = add_hash(low_part, vextq_u8(none, middle_part, 8));
    high_part = add_hash(high_part, vextq_u8(middle_part, none, 8));
    for (unsigned i = 0; i < 2; ++i) {
      low_part = add_hash(vextq_u8(low_part, low_part, 8), low(low_part, polynomial));
    }
    return add_hash(low_part, high_part);
  }
  [[gnu::always_inline]] static inline void store_power(std::byte* to, C block) noexcept {
    NeonRows::store(to, block);
  }
  [[gnu::always_inline]] static inline void store_state(std::byte* to, C block) noexcept {
    NeonRows::store(to, NeonRows::reversed(block));
  }
};

}  // namespace sluice::crypto::sm4
