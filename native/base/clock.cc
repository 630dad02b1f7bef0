#include "base/clock.h"

#include <ctime>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace sluice {
namespace {
constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

Nanoseconds read(clockid_t clock) noexcept {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<Nanoseconds>(now.tv_sec) * kNsPerSecond +
         static_cast<Nanoseconds>(now.tv_nsec);
}

struct Pair {
  std::uint64_t ticks;
  Nanoseconds ns;
};

// The counter and a system clock at the same moment: of several tries the one that took the
// least time, so that an interrupt in between does not count.
Pair read_pair(clockid_t clock) noexcept {
  Pair best{};
  std::uint64_t best_span = UINT64_MAX;
  for (int i = 0; i < 32; ++i) {
    const std::uint64_t before = tsc();
    const Nanoseconds ns = read(clock);
    const std::uint64_t after = tsc();
    if (after - before < best_span) {
      best_span = after - before;
      best = {before + best_span / 2, ns};
    }
  }
  return best;
}

bool counter_is_invariant() noexcept {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(0x8000'0007, &a, &b, &c, &d) != 0 && (d & (1U << 8)) != 0;
#else
  return true;  // aarch64's generic timer is so by its architecture; else tsc() is the clock
#endif
}

std::uint64_t measure_hz() noexcept {
#if defined(__aarch64__)
  std::uint64_t hz;
  asm volatile("mrs %0, cntfrq_el0" : "=r"(hz));
  return hz;
#elif defined(__x86_64__)
  constexpr Nanoseconds kSpan = 20'000'000;
  const Pair first = read_pair(CLOCK_MONOTONIC);
  timespec pause{0, static_cast<long>(kSpan)};
  nanosleep(&pause, nullptr);
  const Pair last = read_pair(CLOCK_MONOTONIC);
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(last.ticks - first.ticks) *
                                    kNsPerSecond / (last.ns - first.ns));
#else
  return kNsPerSecond;
#endif
}
}  // namespace

Clock::Clock() : tsc_hz_(measure_hz()), invariant_(counter_is_invariant()) {
  ns_per_tick_q32_ = static_cast<std::int64_t>(
      ((static_cast<unsigned __int128>(kNsPerSecond) << 32) + tsc_hz_ / 2) / tsc_hz_);
  const Pair start = read_pair(CLOCK_MONOTONIC);
  start_ticks_ = start.ticks;
  start_ns_ = start.ns;
}

const Clock& Clock::machine() {
  static const Clock clock;
  return clock;
}

Nanoseconds Clock::system_monotonic() noexcept { return read(CLOCK_MONOTONIC); }

std::uint64_t Clock::realtime_offset() const noexcept {
  if (!invariant_) return read(CLOCK_REALTIME) - system_monotonic();
  const Pair wall = read_pair(CLOCK_REALTIME);
  return wall.ns - to_nanoseconds(wall.ticks);
}

}  // namespace sluice
