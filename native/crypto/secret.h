// What secrets ask for beside the algorithms: to be forgotten, and to be compared without telling
// by the time where they differ.
#pragma once
#include <cstddef>
#include <cstring>

namespace sluice::crypto {

/// Overwrites memory that nothing reads any more, which the compiler would otherwise leave out.
inline void wipe(void* memory, std::size_t bytes) noexcept {
  std::memset(memory, 0, bytes);
  asm volatile("" : : "r"(memory) : "memory");
}

/// Whether `bytes` bytes are the same; the time depends on their number only.
inline bool equal_in_constant_time(const std::byte* a, const std::byte* b,
                                   std::size_t bytes) noexcept {
  unsigned difference = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    difference |= static_cast<unsigned>(a[i] ^ b[i]);
    // Keeps the compiler from leaving the loop at the first difference.
    asm volatile("" : "+r"(difference));
  }
  return difference == 0;
}

}  // namespace sluice::crypto
