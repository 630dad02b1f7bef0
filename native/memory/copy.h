// Copies of a few pointers or handles, as bursts are: in place, since a call of memcpy(), and still
// more the string instructions that the compiler makes of it, cost more to begin than they take.
#pragma once
#include <cstddef>
#include <cstring>
#include <type_traits>

namespace sluice {

/// At once, where the tier has registers so wide: the compiler by itself takes two.
[[gnu::always_inline]] inline void copy32(void* to, const void* from) noexcept {
  using Wide [[gnu::vector_size(32), gnu::aligned(1), gnu::may_alias]] = char;
  *static_cast<Wide*>(to) = *static_cast<const Wide*>(from);
}

/// @param n  a few dozen at most; the two don't overlap.
template <class T>
[[gnu::always_inline]] inline void copy_burst(T* to, const T* from, std::size_t n) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
  if (__builtin_constant_p(n) && n == 1) {
    *to = *from;
  } else if constexpr (32 % sizeof(T) == 0) {
    constexpr std::size_t kStep = 32 / sizeof(T);
    for (; n >= kStep; n -= kStep, to += kStep, from += kStep) copy32(to, from);
    for (; n != 0; --n) {
      *to++ = *from++;
      asm("" : "+r"(to));  // a loop that the compiler sees through becomes a call again
    }
  } else {
    std::memcpy(static_cast<void*>(to), from, n * sizeof(T));
  }
}

}  // namespace sluice
