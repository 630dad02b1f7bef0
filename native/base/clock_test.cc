#include "base/clock.h"

#include <gtest/gtest.h>

#include <ctime>

namespace sluice {
namespace {

Nanoseconds system_now(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return static_cast<Nanoseconds>(now.tv_sec) * 1'000'000'000 +
         static_cast<Nanoseconds>(now.tv_nsec);
}

TEST(Clock, NeverGoesBack) {
  const Clock& clock = Clock::machine();
  Nanoseconds last = clock.now();
  for (int i = 0; i < 100'000; ++i) {
    const Nanoseconds now = clock.now();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(Clock, AgreesWithTheSystemsClock) {
  const Clock& clock = Clock::machine();
  // One part in a thousand is far above what calibration leaves and far below a wrong unit.
  const Nanoseconds before = system_now(CLOCK_MONOTONIC);
  const Nanoseconds ours = clock.now();
  const Nanoseconds after = system_now(CLOCK_MONOTONIC);
  const Nanoseconds slack = 1'000'000'000;
  EXPECT_GE(ours + slack, before);
  EXPECT_LE(ours, after + slack);
  EXPECT_GT(clock.tsc_hz(), 1'000'000U);
}

TEST(Clock, ConvertsSpansExactly) {
  const Clock& clock = Clock::machine();
  const std::uint64_t hour = clock.tsc_hz() * 3600;
  const Nanoseconds ns = clock.cycles_to_ns(hour);
  EXPECT_NEAR(static_cast<double>(ns), 3600e9, 3600e9 * 1e-6);
  const std::uint64_t start = tsc();
  const Nanoseconds from_start = clock.to_nanoseconds(start + hour) - clock.to_nanoseconds(start);
  EXPECT_LE(from_start - ns, 1U) << "a span is as long from any start, but for rounding";
}

TEST(Clock, TakesTicksFromBeforeItsStart) {
  const std::uint64_t early = tsc();
  const Clock clock;
  EXPECT_LT(clock.to_nanoseconds(early), clock.now());
}

TEST(Clock, OffsetLeadsToTheWallClock) {
  const Clock& clock = Clock::machine();
  const Nanoseconds ours = clock.now() + clock.realtime_offset();
  const Nanoseconds wall = system_now(CLOCK_REALTIME);
  EXPECT_NEAR(static_cast<double>(wall) - static_cast<double>(ours), 0.0, 10e9);
}

}  // namespace
}  // namespace sluice
