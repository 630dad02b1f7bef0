// SM4 with the instructions of Armv8 for AES, and PMULL: the inversion is that of AESE, whose
// affine map is taken back by the tables of half bytes that follow it.
#if defined(__aarch64__)
#include <array>

#include "crypto/sm4/tier/arm/blocks.h"
#include "crypto/sm4/tier/halves.h"
#include "crypto/sm4/tier/modes.h"
#include "crypto/sm4/tier/words.h"

namespace sluice::crypto::sm4 {
namespace {
/// Four words, as words.h asks for them.
struct NeonWords {
  using W = uint8x16_t;

  [[gnu::always_inline]] static inline uint32x4_t numbers(W x) noexcept {
    return vreinterpretq_u32_u8(x);
  }
  [[gnu::always_inline]] static inline W bytes(uint32x4_t x) noexcept {
    return vreinterpretq_u8_u32(x);
  }
  [[gnu::always_inline]] static inline W load_words(const std::byte* at) noexcept {
    return NeonRows::load(at);
  }
  [[gnu::always_inline]] static inline void store_words(std::byte* at, W x) noexcept {
    NeonRows::store(at, x);
  }
  [[gnu::always_inline]] static inline W word(std::uint32_t number) noexcept {
    return bytes(vsetq_lane_u32(number, vdupq_n_u32(0), 0));
  }
  [[gnu::always_inline]] static inline W each(std::uint32_t number) noexcept {
    return bytes(vdupq_n_u32(number));
  }
  [[gnu::always_inline]] static inline std::uint32_t first_word(W x) noexcept {
    return vgetq_lane_u32(numbers(x), 0);
  }
  [[gnu::always_inline]] static inline W add_words(W x, W y) noexcept { return veorq_u8(x, y); }
  template <int kBy>
  [[gnu::always_inline]] static inline W rotate(W x) noexcept {
    static constexpr auto kFrom = [] {
      std::array<std::uint8_t, 16> from{};
      for (unsigned i = 0; i < 16; ++i) {
        from[i] = static_cast<std::uint8_t>(i / 4 * 4 + (i + kBy) % 4);
      }
      return from;
    }();
    return vqtbl1q_u8(x, vld1q_u8(kFrom.data()));
  }
  template <int kCount>
  [[gnu::always_inline]] static inline W behind(W x) noexcept {
    return vextq_u8(x, vdupq_n_u8(0), 4 * kCount);
  }
  [[gnu::always_inline]] static inline W interleave_words_low(W x, W y) noexcept {
    return bytes(vzip1q_u32(numbers(x), numbers(y)));
  }
  [[gnu::always_inline]] static inline W interleave_words_high(W x, W y) noexcept {
    return bytes(vzip2q_u32(numbers(x), numbers(y)));
  }
  [[gnu::always_inline]] static inline W pairs_low(W x, W y) noexcept {
    return vreinterpretq_u8_u64(vzip1q_u64(vreinterpretq_u64_u8(x), vreinterpretq_u64_u8(y)));
  }
  [[gnu::always_inline]] static inline W pairs_high(W x, W y) noexcept {
    return vreinterpretq_u8_u64(vzip2q_u64(vreinterpretq_u64_u8(x), vreinterpretq_u64_u8(y)));
  }
};

struct Armv8Aes : NeonRows, NeonWords, PmullHash {
  [[gnu::always_inline]] static inline V add3(V a, V b, V c) noexcept { return add(add(a, b), c); }
  [[gnu::always_inline]] static inline V interleave_low(V a, V b) noexcept {
    return vzip1q_u8(a, b);
  }
  [[gnu::always_inline]] static inline V interleave_high(V a, V b) noexcept {
    return vzip2q_u8(a, b);
  }
  template <unsigned kWidth>
  [[gnu::always_inline]] static inline V key(const std::byte* row) noexcept {
    return load(row);
  }
  [[gnu::always_inline]] static inline void spread(std::uint32_t word,
                                                   std::byte (*rows)[16]) noexcept {
    for (unsigned j = 0; j < 4; ++j) {
      store(rows[j], vdupq_n_u8(static_cast<std::uint8_t>(word >> 8 * j)));
    }
  }
  template <class RowOf>
  [[gnu::always_inline]] static inline void transpose_bytes(const RowOf& row_of, std::byte* to,
                                                            std::size_t width) noexcept {
    V rows[16];
    for (unsigned i = 0; i < 16; ++i) rows[i] = load(row_of(i));
    Slices<Armv8Aes>::transpose(rows);
    for (unsigned i = 0; i < 16; ++i) store(to + i * width, rows[i]);
  }

  [[gnu::always_inline]] static inline V lower(V v) noexcept {
    return vandq_u8(v, vdupq_n_u8(0x0f));
  }
  [[gnu::always_inline]] static inline V upper(V v) noexcept { return vshrq_n_u8(v, 4); }
  [[gnu::always_inline]] static inline V look_up(const Halves& by, V low, V high) noexcept {
    return add(vqtbl1q_u8(vld1q_u8(by.low), low), vqtbl1q_u8(vld1q_u8(by.high), high));
  }
  [[gnu::always_inline]] static inline V to_basis(V v) noexcept {
    return look_up(kIntoBasis, lower(v), upper(v));
  }
  [[gnu::always_inline]] static inline V from_basis(V v) noexcept {
    return look_up(kOutOfBasis, lower(v), upper(v));
  }
  [[gnu::always_inline]] static inline void substitute_words(V t, V& a, V& b) noexcept {
    const V s = vaeseq_u8(vqtbl1q_u8(t, vld1q_u8(kUnshifted)), vdupq_n_u8(0));
    const V low = lower(s), high = upper(s);
    a = look_up(kAOfAes, low, high);
    b = look_up(kBOfAes, low, high);
  }
  [[gnu::always_inline]] static inline void substitute(const V* t, V* a, V* b) noexcept {
    for (unsigned j = 0; j < 4; ++j) substitute_words(t[j], a[j], b[j]);
  }
  [[gnu::always_inline]] static inline V words_to_basis(V x) noexcept { return to_basis(x); }
  [[gnu::always_inline]] static inline V words_from_basis(V x) noexcept { return from_basis(x); }

  static constexpr unsigned kFewBlocks = Words<Armv8Aes>::kFewBlocks;
  static constexpr auto encrypt_few = Words<Armv8Aes>::encrypt_few;
  static constexpr auto chain = Words<Armv8Aes>::chain;
  static constexpr auto substitute_word = Words<Armv8Aes>::substitute_word;
};
}  // namespace

constinit const Kernels kArmv8AesKernels = Modes<Armv8Aes>::kernels();

}  // namespace sluice::crypto::sm4
#endif
