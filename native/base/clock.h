// Time from the processor's counter: read once a burst, turned into nanoseconds by one
// multiplication. Threads: any; a Clock never changes after it was made.
#pragma once
#include <cstdint>
#if defined(__x86_64__)
#include <x86intrin.h>
#elif !defined(__aarch64__)
#include <ctime>
#endif

#include "base/types.h"

namespace sluice {

/// The processor's counter, in ticks of Clock::tsc_hz(). Not ordered with other instructions.
inline std::uint64_t tsc() noexcept {
#if defined(__x86_64__)
  return __rdtsc();
#elif defined(__aarch64__)
  std::uint64_t ticks;
  asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#else
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
#endif
}

/// Tells the processor that this is a loop that waits for another core.
inline void spin_pause() noexcept {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

class Clock {
 public:
  /// Measures the counter against the system's clock for about 20 ms.
  Clock();
  /// The one clock of the process, made at first use.
  static const Clock& machine();

  std::uint64_t tsc_hz() const noexcept { return tsc_hz_; }
  /// True when the counter runs at one rate in every power state; else now() asks the system.
  bool invariant() const noexcept { return invariant_; }

  /// Nanoseconds on a clock that starts near the system's monotonic one, never goes back on
  /// one core, and knows nothing of steps of the wall clock.
  Nanoseconds now() const noexcept {
    return invariant_ ? to_nanoseconds(tsc()) : system_monotonic();
  }
  /// The same for a value of tsc() read earlier, on any core.
  Nanoseconds to_nanoseconds(std::uint64_t ticks) const noexcept {
    // Signed: another core's counter may be a little behind the one that set the start.
    const auto since = static_cast<std::int64_t>(ticks - start_ticks_);
    return start_ns_ +
           static_cast<Nanoseconds>((static_cast<__int128>(since) * ns_per_tick_q32_) >> 32);
  }
  /// Length of a span of ticks.
  Nanoseconds cycles_to_ns(std::uint64_t ticks) const noexcept {
    return static_cast<Nanoseconds>(
        (static_cast<unsigned __int128>(ticks) * static_cast<std::uint64_t>(ns_per_tick_q32_)) >>
        32);
  }
  /// What to add to now() for nanoseconds since 1970, as the wall clock stands at this call.
  /// A step of the wall clock shows in the next call, never in now().
  std::uint64_t realtime_offset() const noexcept;

 private:
  static Nanoseconds system_monotonic() noexcept;

  std::uint64_t start_ticks_ = 0;
  Nanoseconds start_ns_ = 0;
  std::int64_t ns_per_tick_q32_ = 0;  // nanoseconds a tick, 32 bits after the point
  std::uint64_t tsc_hz_ = 0;
  bool invariant_ = false;
};

}  // namespace sluice
