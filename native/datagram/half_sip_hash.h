// HalfSipHash-1-3 with 64 bits out: tells equal payloads from others when whoever sends them
// does not know the key. The same function as src/n4/transport/half-sip-hash.ts. Pure.
// Source: J.-P. Aumasson, D. J. Bernstein, SipHash, and the reference code of HalfSipHash.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sluice::datagram {

/// @tparam kCompression  rounds a word
/// @tparam kFinal        rounds for each half of the result
template <unsigned kCompression = 1, unsigned kFinal = 3>
class HalfSipHash {
 public:
  constexpr HalfSipHash(std::uint32_t key0, std::uint32_t key1) noexcept
      : key0_(key0), key1_(key1) {}

  /// High half first in significance.
  std::uint64_t operator()(const std::byte* bytes, std::size_t length) const noexcept {
    State s{key0_, key1_ ^ 0xee, key0_ ^ 0x6c796765, key1_ ^ 0x74656462};
    const std::size_t whole = length & ~std::size_t{3};
    for (std::size_t at = 0; at < whole; at += 4) {
      std::uint32_t word;
      std::memcpy(&word, bytes + at, 4);
      if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap32(word);
      s.compress(word);
    }
    auto last = static_cast<std::uint32_t>(length) << 24;
    for (std::size_t i = 0; i < (length & 3); ++i) {
      last |= static_cast<std::uint32_t>(bytes[whole + i]) << (8 * i);
    }
    s.compress(last);
    s.v2 ^= 0xee;
    for (unsigned i = 0; i < kFinal; ++i) s.round();
    const std::uint32_t low = s.v1 ^ s.v3;
    s.v1 ^= 0xdd;
    for (unsigned i = 0; i < kFinal; ++i) s.round();
    return std::uint64_t{s.v1 ^ s.v3} << 32 | low;
  }

 private:
  struct State {
    std::uint32_t v0, v1, v2, v3;
    void round() noexcept {
      v0 += v1;
      v1 = std::rotl(v1, 5) ^ v0;
      v0 = std::rotl(v0, 16);
      v2 += v3;
      v3 = std::rotl(v3, 8) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 7) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 13) ^ v2;
      v2 = std::rotl(v2, 16);
    }
    void compress(std::uint32_t word) noexcept {
      v3 ^= word;
      for (unsigned i = 0; i < kCompression; ++i) round();
      v0 ^= word;
    }
  };
  std::uint32_t key0_, key1_;
};

}  // namespace sluice::datagram
