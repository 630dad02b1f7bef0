// Words of one stream: plain numbers. Every operation takes the same time whatever the values.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "crypto/sm3/rounds.h"

namespace sluice::crypto::sm3 {

inline std::uint32_t load_word(const std::byte* bytes) noexcept {
  std::uint32_t word;
  std::memcpy(&word, bytes, sizeof word);
  return std::endian::native == std::endian::little ? __builtin_bswap32(word) : word;
}
inline void store_word(std::byte* bytes, std::uint32_t word) noexcept {
  if (std::endian::native == std::endian::little) word = __builtin_bswap32(word);
  std::memcpy(bytes, &word, sizeof word);
}

struct ScalarOps {
  using Word = std::uint32_t;
  static Word constant(std::uint32_t value) noexcept { return value; }
  static Word add(Word a, Word b) noexcept { return a + b; }
  static Word xor2(Word a, Word b) noexcept { return a ^ b; }
  static Word xor3(Word a, Word b, Word c) noexcept { return a ^ b ^ c; }
  /// Keeps the compiler from taking a sum apart to add it in another order.
  static Word as_it_is(Word a) noexcept {
    asm("" : "+r"(a));
    return a;
  }
  // The terms of both have no bit in common, so that each can be added when it is there.
  static Word add_majority(Word sum, Word a, Word b, Word c) noexcept {
    return as_it_is(as_it_is(sum + (a & b)) + (c & (a ^ b)));
  }
  static Word add_choose(Word sum, Word a, Word b, Word c) noexcept {
    return as_it_is(as_it_is(sum + (a & b)) + (~a & c));
  }
  template <int kBits>
  static Word rotate(Word a) noexcept {
    return std::rotl(a, kBits);
  }
};

inline State<ScalarOps> load_state(const std::uint32_t* s) noexcept {
  return {s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]};
}
inline void store_state(std::uint32_t* s, const State<ScalarOps>& state) noexcept {
  std::memcpy(s, &state, sizeof state);
}

}  // namespace sluice::crypto::sm3
