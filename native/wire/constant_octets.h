// Headers of which most octets are constant and others are lengths, checked by one masked compare.
// Pure; any thread.
#pragma once
#include <cstddef>
#include <cstdint>

#include "wire/bytes.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace sluice::wire {

/// Two windows of 32 octets, compared at once.
/// @tparam kSecond  where the second window starts, an even number; the first starts at 0.
template <unsigned kSecond>
class ConstantOctets {
 public:
  static_assert(kSecond % 2 == 0);
  constexpr ConstantOctets() noexcept {
    for (std::uint8_t& octet : order_) octet = kNone;
  }
  constexpr void set(unsigned at, std::uint8_t value, std::uint8_t mask = 0xff) noexcept {
    value_[place(at)] = value;
    mask_[place(at)] = mask;
  }
  constexpr void set32(unsigned at, std::uint32_t value) noexcept {
    for (unsigned k = 0; k < 4; ++k) {
      set(at + k, static_cast<std::uint8_t>(value >> (24 - 8 * k)));
    }
  }
  /// Two octets say how long the packet is from octet `from` on.
  /// @param at  an even number.
  constexpr void set_length(unsigned at, std::uint16_t from) noexcept {
    const unsigned first = place(at);
    before_[first / 2] = from;
    for (unsigned k = 0; k < 2; ++k) {
      order_[first + k] = static_cast<std::uint8_t>((first + 1 - k) % 16);
      mask_[first + k] = 0xff;
    }
  }
  /// @param p  as many bytes as the second window's end.
  bool match(const std::byte* p) const noexcept { return match<false>(p, 0); }
  /// The same, and whether the lengths are those of a packet that has so many octets.
  bool match(const std::byte* p, unsigned length) const noexcept { return match<true>(p, length); }

 private:
  template <bool kLengths>
  [[gnu::always_inline]] bool match(const std::byte* p, unsigned length) const noexcept {
#if defined(__AVX2__)
    const auto load = [](const void* from) {
      return _mm256_loadu_si256(static_cast<const __m256i*>(from));
    };
    const __m256i all = _mm256_set1_epi16(static_cast<short>(length));
    const auto differs = [&](unsigned at, unsigned from) {
      __m256i difference = _mm256_xor_si256(load(p + from), load(value_ + at));
      if constexpr (kLengths) {
        const __m256i left = _mm256_sub_epi16(all, load(before_ + at / 2));
        difference = _mm256_xor_si256(difference, _mm256_shuffle_epi8(left, load(order_ + at)));
      }
      return _mm256_and_si256(difference, load(mask_ + at));
    };
    const __m256i both = _mm256_or_si256(differs(0, 0), differs(32, kSecond));
    return _mm256_testz_si256(both, both) != 0;
#else
    unsigned difference = 0;
    for (unsigned i = 0; i < 64; ++i) {
      const unsigned left = (length - before_[i / 2]) & 0xffff;
      unsigned wanted = value_[i];
      if (kLengths && order_[i] != kNone) wanted = i % 2 == 0 ? left >> 8 : left & 0xff;
      difference |= (load8(p + (i < 32 ? i : i - 32 + kSecond)) ^ wanted) & mask_[i];
    }
    return difference == 0;
#endif
  }

  static constexpr std::uint8_t kNone = 0x80;  ///< as the shuffle has it
  constexpr unsigned place(unsigned at) const noexcept { return at < 32 ? at : at - kSecond + 32; }

  alignas(32) std::uint8_t value_[64] = {};
  alignas(32) std::uint8_t mask_[64] = {};
  /// Octets of the packet before those that a length counts, and where its own octets come from:
  /// each the other one's.
  alignas(32) std::uint16_t before_[32] = {};
  alignas(32) std::uint8_t order_[64] = {};
};

}  // namespace sluice::wire
