#include "base/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace sluice {
namespace {

constexpr Nanoseconds kMs = 1'000'000;
constexpr Nanoseconds kSecond = 1000 * kMs;

struct Owner {
  std::uint64_t first_word = 0;
  TimerNode timer;
};

// Nodes in one array, as in a session table; the first is left out since it lies at the base.
struct Nodes {
  explicit Nodes(std::size_t n) : owners(n + 1) {}
  std::byte* base() { return reinterpret_cast<std::byte*>(owners.data()); }
  TimerNode& operator[](std::size_t i) { return owners[i + 1].timer; }
  std::vector<Owner> owners;
};

TEST(TimerWheel, FiresAfterItsDeadlineAndWithinATick) {
  Nodes nodes(1);
  const Nanoseconds start = 12'345'678'901'234;
  TimerWheel wheel(nodes.base(), start);
  for (Nanoseconds wait : {Nanoseconds{1}, kMs, 20 * kMs, kSecond, 3600 * kSecond}) {
    Nanoseconds now = start + wait;
    TimerWheel fresh(nodes.base(), start);
    fresh.schedule(nodes[0], now);
    EXPECT_TRUE(nodes[0].waiting());
    auto count = [](TimerNode&) {};
    EXPECT_EQ(fresh.expire(now - 1, 100, count), 0U);
    EXPECT_EQ(fresh.expire(now + TimerWheel::kTick, 100, count), 1U);
    EXPECT_FALSE(nodes[0].waiting());
    EXPECT_EQ(fresh.waiting(), 0U);
  }
}

TEST(TimerWheel, WhatIsPastFiresAtOnce) {
  Nodes nodes(1);
  TimerWheel wheel(nodes.base(), 10 * kSecond);
  wheel.schedule(nodes[0], kSecond);
  EXPECT_LE(wheel.next_deadline(20 * kSecond), 10 * kSecond);
  EXPECT_EQ(wheel.expire(10 * kSecond, 1, [](TimerNode&) {}), 1U);
}

TEST(TimerWheel, CancelAndRescheduleKeepListsWhole) {
  Nodes nodes(5);
  TimerWheel wheel(nodes.base(), 0);
  for (unsigned i = 0; i < 5; ++i) wheel.schedule(nodes[i], kSecond);
  EXPECT_TRUE(wheel.cancel(nodes[2]));   // in the middle
  EXPECT_FALSE(wheel.cancel(nodes[2]));  // no more
  EXPECT_TRUE(wheel.cancel(nodes[4]));   // first of the list
  EXPECT_TRUE(wheel.cancel(nodes[0]));   // last of it
  wheel.schedule(nodes[1], 2 * kSecond);
  EXPECT_EQ(wheel.waiting(), 2U);
  std::vector<TimerNode*> fired;
  auto collect = [&](TimerNode& node) { fired.push_back(&node); };
  wheel.expire(kSecond + TimerWheel::kTick, 100, collect);
  EXPECT_EQ(fired, std::vector<TimerNode*>{&nodes[3]});
  wheel.expire(3 * kSecond, 100, collect);
  EXPECT_EQ(fired.size(), 2U);
  EXPECT_EQ(wheel.next_deadline(99 * kSecond), 99 * kSecond);
}

TEST(TimerWheel, ManyAtOnceComeInBoundedPortions) {
  constexpr unsigned kTimers = 10'000;
  Nodes nodes(kTimers);
  TimerWheel wheel(nodes.base(), 0);
  for (unsigned i = 0; i < kTimers; ++i) wheel.schedule(nodes[i], 60 * kSecond);
  unsigned fired = 0;
  unsigned calls = 0;
  const Nanoseconds now = 61 * kSecond;
  while (wheel.waiting() > 0) {
    const unsigned n = wheel.expire(now, 32, [](TimerNode&) {});
    ASSERT_LE(n, 32U);
    fired += n;
    ASSERT_LT(++calls, 8 * kTimers / 32);
    if (wheel.waiting() > 0) {
      EXPECT_LE(wheel.next_deadline(now + kSecond), now);
    }
  }
  EXPECT_EQ(fired, kTimers);
}

TEST(TimerWheel, ATimerMayScheduleItselfAgain) {
  Nodes nodes(1);
  TimerWheel wheel(nodes.base(), 0);
  Nanoseconds next = 10 * kMs;
  wheel.schedule(nodes[0], next);
  unsigned fired = 0;
  for (Nanoseconds now = 0; now <= kSecond; now += kMs) {
    fired += wheel.expire(now, 100, [&](TimerNode& node) {
      next += 10 * kMs;
      wheel.schedule(node, next);
    });
  }
  EXPECT_GE(fired, 99U);
  EXPECT_LE(fired, 100U);
}

TEST(TimerWheel, SleepingUntilTheNextDeadlineMissesNothing) {
  Nodes nodes(3);
  TimerWheel wheel(nodes.base(), 0);
  wheel.schedule(nodes[0], 5 * kMs);
  wheel.schedule(nodes[1], 700 * kMs);
  wheel.schedule(nodes[2], 86'400 * kSecond);
  const Nanoseconds end = 100'000 * kSecond;
  Nanoseconds now = 0;
  unsigned wakes = 0;
  unsigned fired = 0;
  while (wheel.waiting() > 0) {
    const Nanoseconds next = wheel.next_deadline(end);
    ASSERT_LT(next, end);
    now = std::max(now, next);
    fired += wheel.expire(now, 100, [&](TimerNode& node) {
      EXPECT_GE(now, node.deadline);
      EXPECT_LT(now, node.deadline + TimerWheel::kTick);
    });
    ASSERT_LT(++wakes, 30U);
  }
  EXPECT_EQ(fired, 3U);
}

TEST(TimerWheel, FarAndEndlessDeadlinesWait) {
  Nodes nodes(2);
  TimerWheel wheel(nodes.base(), kSecond);
  wheel.schedule(nodes[0], UINT64_MAX);
  wheel.schedule(nodes[1], UINT64_MAX / 2);
  EXPECT_EQ(wheel.expire(UINT64_MAX / 4, 1000, [](TimerNode&) {}), 0U);
  EXPECT_EQ(wheel.expire(UINT64_MAX / 2 + TimerWheel::kTick, 1000, [](TimerNode&) {}), 1U);
  EXPECT_TRUE(wheel.cancel(nodes[0]));
}

// Random work against the plain truth: what fires is exactly what is due and not cancelled.
TEST(TimerWheel, AgreesWithASimpleModel) {
  std::mt19937_64 random(42);
  constexpr unsigned kTimers = 300;
  Nodes nodes(kTimers);
  Nanoseconds now = 77 * kSecond;
  TimerWheel wheel(nodes.base(), now);
  std::vector<bool> waits(kTimers, false);
  for (unsigned round = 0; round < 20'000; ++round) {
    const unsigned i = static_cast<unsigned>(random() % kTimers);
    if (random() % 4 == 0) {
      ASSERT_EQ(wheel.cancel(nodes[i]), waits[i]);
      waits[i] = false;
    } else {
      wheel.schedule(nodes[i], now + random() % (Nanoseconds{1} << (random() % 44)));
      waits[i] = true;
    }
    if (round % 8 != 0) continue;
    now += random() % (Nanoseconds{1} << (random() % 38));
    const bool bounded = random() % 2 == 0;
    const unsigned max = bounded ? static_cast<unsigned>(random() % 5) : 100'000;
    wheel.expire(now, max, [&](TimerNode& node) {
      const auto at = static_cast<std::size_t>(reinterpret_cast<std::byte*>(&node) -
                                               reinterpret_cast<std::byte*>(&nodes[0])) /
                      sizeof(Owner);
      ASSERT_TRUE(waits[at]);
      ASSERT_LE(node.deadline, now);
      waits[at] = false;
    });
    ASSERT_EQ(wheel.waiting(),
              static_cast<std::size_t>(std::count(waits.begin(), waits.end(), true)));
    for (unsigned k = 0; k < kTimers && !bounded; ++k) {
      if (waits[k]) {
        ASSERT_GT(nodes[k].deadline + TimerWheel::kTick, now);
      }
    }
  }
}

}  // namespace
}  // namespace sluice
