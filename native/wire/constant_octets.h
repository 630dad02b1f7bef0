// Headers of which most octets are constant, checked by one masked compare. Pure; any thread.
#pragma once
#include <cstddef>
#include <cstdint>

#include "wire/bytes.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace sluice::wire {

/// Two windows of 32 octets, compared at once.
class ConstantOctets {
 public:
  /// @param second  where the second window starts; the first starts at 0.
  constexpr explicit ConstantOctets(unsigned second) noexcept : second_(second) {}
  constexpr void set(unsigned at, std::uint8_t value, std::uint8_t mask = 0xff) noexcept {
    const unsigned place = at < 32 ? at : at - second_ + 32;
    value_[place] = value;
    mask_[place] = mask;
  }
  constexpr void set32(unsigned at, std::uint32_t value) noexcept {
    for (unsigned k = 0; k < 4; ++k) {
      set(at + k, static_cast<std::uint8_t>(value >> (24 - 8 * k)));
    }
  }
  /// @param p  as many bytes as the second window's end.
  bool match(const std::byte* p) const noexcept {
#if defined(__AVX2__)
    const auto differs = [&](unsigned at, unsigned from) {
      const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + from));
      const __m256i value = _mm256_load_si256(reinterpret_cast<const __m256i*>(value_ + at));
      const __m256i mask = _mm256_load_si256(reinterpret_cast<const __m256i*>(mask_ + at));
      return _mm256_and_si256(_mm256_xor_si256(bytes, value), mask);
    };
    const __m256i all = _mm256_or_si256(differs(0, 0), differs(32, second_));
    return _mm256_testz_si256(all, all) != 0;
#else
    unsigned difference = 0;
    for (unsigned i = 0; i < 64; ++i) {
      difference |= (load8(p + (i < 32 ? i : i - 32 + second_)) ^ value_[i]) & mask_[i];
    }
    return difference == 0;
#endif
  }

 private:
  const unsigned second_;
  alignas(32) std::uint8_t value_[64] = {};
  alignas(32) std::uint8_t mask_[64] = {};
};

}  // namespace sluice::wire
