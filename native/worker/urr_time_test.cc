// URRs in time: durations, periods, time thresholds and quotas, start and stop of traffic. The
// time is the test's: it stands still but for pass().
#include <random>

#include "worker/datapath_fixture_test.h"

namespace sluice::test {
namespace {

const std::uint32_t kTeid = direct_teid(3, 5, 1);
constexpr SessionIndex kSession = 3 * 64 + 5;
constexpr Nanoseconds kMillisecond = 1'000'000, kSecond = 1000 * kMillisecond;

class UrrTimeTest : public DatapathTest {
 protected:
  UrrTimeTest() { starts_at_ = 1'800'000'000 * kSecond; }
  void make(const UrrSpec& urr) {
    spec_ = plain_session(kTeid);
    spec_.urrs = {urr};
    spec_.pdrs[0].urrs = spec_.pdrs[1].urrs = {0};
    ASSERT_EQ(create(kSession, spec_), PrepareStatus::Ok);
  }
  std::size_t up(std::uint16_t bytes = 100) {
    const std::size_t out = send(0, gtpu(kTeid, ipv4({.bytes = bytes}))).size();
    collect_events();
    return out;
  }
  std::vector<Event> take() { return std::exchange(events_, {}); }
  /// The usage of the first URR, asked for.
  Event query() {
    take();
    EXPECT_EQ(change(OperationKind::Update, kSession, &spec_, {0}), PrepareStatus::Ok);
    EXPECT_EQ(events_.size(), 1u);
    return events_.empty() ? Event{} : take().front();
  }
  /// A time that a timer has to do with is late by a tick of the wheel at most.
  static void expect_time(Nanoseconds is, Nanoseconds wanted) {
    EXPECT_GE(is, wanted);
    EXPECT_LE(is, wanted + TimerWheel::kTick);
  }
  SessionSpec spec_;
};

TEST_F(UrrTimeTest, DurationRunsFromTheFirstPacketOn) {
  UrrSpec urr;
  urr.duration = true;
  make(urr);
  pass(5 * kSecond);
  EXPECT_EQ(query().duration_ns, 0u);
  pass(kSecond);
  EXPECT_EQ(up(), 1u);
  pass(7 * kSecond);
  EXPECT_EQ(up(), 1u);
  pass(2 * kSecond);
  const Event first = query();
  EXPECT_EQ(first.duration_ns, 9 * kSecond);
  EXPECT_EQ(first.end_time - first.start_time, 10 * kSecond) << "since the report before";
  pass(3 * kSecond);
  const Event second = query();
  EXPECT_EQ(second.duration_ns, 3 * kSecond) << "packets or not";
  EXPECT_EQ(second.start_time, first.end_time);
  EXPECT_EQ(second.sequence, first.sequence + 1);
}

TEST_F(UrrTimeTest, AUrrThatMeasuresOnlyDurationReportsNoVolume) {
  UrrSpec urr;
  urr.volume = false;
  urr.duration = true;
  make(urr);
  EXPECT_EQ(up(), 1u);
  pass(4 * kSecond);
  const Event event = query();
  EXPECT_EQ(event.duration_ns, 4 * kSecond);
  EXPECT_EQ(event.bytes[0] + event.packets[0], 0u);
}

TEST_F(UrrTimeTest, PeriodsKeepThePhaseOfCreation) {
  UrrSpec urr;
  urr.period_ms = 10'000;
  urr.threshold[0] = 1000;
  make(urr);

  pass(9'999 * kMillisecond);
  EXPECT_TRUE(events_.empty());
  pass(2 * kMillisecond);
  ASSERT_EQ(events_.size(), 1u) << "also with no traffic at all";
  EXPECT_EQ(events_[0].triggers, kTriggerPeriodic);
  EXPECT_EQ(events_[0].packets[0], 0u);
  take();
  pass(4 * kSecond);
  EXPECT_EQ(up(1000), 1u);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(take()[0].triggers, kTriggerVolumeThreshold);
  EXPECT_EQ(up(400), 1u);
  pass(26 * kSecond);
  ASSERT_EQ(events_.size(), 3u) << "the periods that have passed meanwhile";

  EXPECT_EQ(events_[0].bytes[0], 400u);
  for (unsigned i = 0; i < 3; ++i) {
    EXPECT_EQ(events_[i].triggers, kTriggerPeriodic);
    EXPECT_EQ(events_[i].sequence, 2 + i);
    expect_time(events_[i].end_time - events_[0].end_time + TimerWheel::kTick / 2,
                i * 10 * kSecond);
    EXPECT_EQ(events_[i].bytes[0], i == 0 ? 400u : 0u);
  }
}

TEST_F(UrrTimeTest, TimeThresholdsAndQuotasCountTheMeasuredTime) {
  UrrSpec urr;
  urr.duration = true;
  urr.time_threshold_ms = 10'000;
  urr.time_quota_ms = 25'000;
  make(urr);
  pass(60 * kSecond);
  EXPECT_TRUE(events_.empty()) << "no packet, no time";
  EXPECT_EQ(up(), 1u);
  pass(30 * kSecond);
  ASSERT_EQ(events_.size(), 3u);
  EXPECT_EQ(events_[0].triggers, kTriggerTimeThreshold);
  expect_time(events_[0].duration_ns, 10 * kSecond);
  EXPECT_EQ(events_[0].bytes[0], 100u);
  EXPECT_EQ(events_[1].triggers, kTriggerTimeThreshold);
  expect_time(events_[1].duration_ns, 10 * kSecond);
  EXPECT_EQ(events_[2].triggers, kTriggerTimeQuota);
  EXPECT_NEAR(static_cast<double>(events_[2].duration_ns), 5e9, 1e6);
  take();
  expect_drop(0, gtpu(kTeid, ipv4({})), DropReason::QuotaExhausted);
  pass(30 * kSecond);
  EXPECT_TRUE(events_.empty()) << "no packet passes, so no time is measured";
  spec_.urrs[0].time_quota_ms = 5'000;
  ASSERT_EQ(update(kSession, spec_), PrepareStatus::Ok);
  pass(3 * kSecond);
  EXPECT_EQ(up(), 1u);
  EXPECT_TRUE(events_.empty());
  pass(6 * kSecond);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].triggers, kTriggerTimeQuota);
  EXPECT_EQ(events_[0].sequence, 3u);
  expect_time(events_[0].duration_ns, 5 * kSecond);
  expect_drop(0, gtpu(kTeid, ipv4({})), DropReason::QuotaExhausted);
}

TEST_F(UrrTimeTest, ATimeQuotaOfNothingStopsTheFirstPacket) {
  UrrSpec urr;
  urr.duration = true;
  urr.time_quota_ms = 0;
  make(urr);
  pass(kSecond);
  EXPECT_TRUE(events_.empty());
  expect_drop(0, gtpu(kTeid, ipv4({})), DropReason::QuotaExhausted);
  collect_events();
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].triggers, kTriggerTimeQuota);
}

TEST_F(UrrTimeTest, TrafficStartsAndStops) {
  UrrSpec urr;
  urr.duration = urr.report_start = urr.report_stop = true;
  urr.inactivity_ms = 8'000;
  make(urr);
  pass(7 * kSecond);
  EXPECT_TRUE(events_.empty());
  pass(2 * kSecond);
  ASSERT_EQ(events_.size(), 1u) << "none at all since creation; nothing stopped by that";
  EXPECT_EQ(take()[0].kind, EventKind::Inactivity);
  pass(100 * kSecond);
  EXPECT_TRUE(events_.empty()) << "told once";
  for (unsigned round = 0; round < 3; ++round) {
    EXPECT_EQ(up(200), 1u);
    ASSERT_EQ(events_.size(), 1u);
    EXPECT_EQ(events_[0].triggers, kTriggerStart);
    EXPECT_EQ(events_[0].bytes[0], 200u) << "the packet that started it is in the report";
    EXPECT_EQ(take()[0].duration_ns, 0u);
    for (unsigned i = 0; i < 5; ++i) {
      pass(3 * kSecond + round * 100 * kMillisecond);
      EXPECT_EQ(up(), 1u);
    }
    EXPECT_TRUE(events_.empty());
    const Nanoseconds last = 5 * (3 * kSecond + round * 100 * kMillisecond);
    pass(8 * kSecond - kMillisecond);
    EXPECT_TRUE(events_.empty());
    pass(kSecond + 2 * kMillisecond);
    ASSERT_EQ(events_.size(), 2u) << "within an eighth of the time";
    EXPECT_EQ(events_[0].kind, EventKind::Inactivity);
    EXPECT_EQ(events_[0].id, 1u);
    EXPECT_EQ(events_[1].triggers, kTriggerStop);
    EXPECT_EQ(events_[1].packets[0], 5u);
    EXPECT_GE(events_[1].duration_ns, last + 8 * kSecond);
    EXPECT_LE(events_[1].duration_ns, last + 9 * kSecond + kMillisecond);
    take();
    pass(50 * kSecond);
    EXPECT_TRUE(events_.empty());
    EXPECT_EQ(query().duration_ns, 0u) << "no time is measured while nothing comes";
  }
}

TEST_F(UrrTimeTest, StartIsToldOnceWithoutAnInactivityTime) {
  UrrSpec urr;
  urr.report_start = true;
  make(urr);
  EXPECT_EQ(up(), 1u);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(take()[0].triggers, kTriggerStart);
  pass(1000 * kSecond);
  EXPECT_EQ(up(), 1u);
  EXPECT_TRUE(events_.empty());
}

TEST_F(UrrTimeTest, AThresholdReportHidesNoPacketFromTheInactivity) {
  UrrSpec urr;
  urr.inactivity_ms = 8'000;
  urr.threshold[0] = 100;
  make(urr);
  for (unsigned i = 0; i < 20; ++i) {
    EXPECT_EQ(up(), 1u);
    pass(5 * kSecond);
  }
  ASSERT_EQ(events_.size(), 20u);
  for (const Event& event : take()) EXPECT_EQ(event.kind, EventKind::Usage);
  pass(5 * kSecond);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].kind, EventKind::Inactivity);
}

TEST_F(UrrTimeTest, AnUpdateKeepsTimesThatStay) {
  UrrSpec urr;
  urr.duration = true;
  urr.period_ms = 10'000;
  urr.time_threshold_ms = 100'000;
  urr.time_quota_ms = 30'000;
  make(urr);
  EXPECT_EQ(up(300), 1u);
  pass(4 * kSecond);
  spec_.urrs[0].time_threshold_ms = 7'000;
  ASSERT_EQ(update(kSession, spec_), PrepareStatus::Ok);
  EXPECT_TRUE(events_.empty()) << "an update reports nothing";
  pass(4 * kSecond);
  ASSERT_EQ(events_.size(), 1u) << "the new threshold counts what was measured before";
  EXPECT_EQ(events_[0].triggers, kTriggerTimeThreshold);
  expect_time(events_[0].duration_ns, 7 * kSecond);
  EXPECT_EQ(take()[0].bytes[0], 300u);
  pass(2 * kSecond + kMillisecond);
  ASSERT_EQ(events_.size(), 1u) << "the period's phase is that of creation";
  EXPECT_EQ(take()[0].triggers, kTriggerPeriodic);
  spec_.urrs[0].period_ms = 60'000;
  spec_.urrs[0].time_threshold_ms = -1;
  ASSERT_EQ(update(kSession, spec_), PrepareStatus::Ok);
  pass(21 * kSecond);
  ASSERT_EQ(events_.size(), 1u) << "the quota went on over both updates";
  EXPECT_EQ(take()[0].triggers, kTriggerTimeQuota);
  spec_.urrs[0].grant = 1;
  ASSERT_EQ(update(kSession, spec_), PrepareStatus::Ok);
  EXPECT_EQ(up(), 1u) << "a new grant of the same size";
  pass(31 * kSecond);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].triggers, kTriggerTimeQuota);
  pass(8 * kSecond + kMillisecond);
  ASSERT_EQ(events_.size(), 2u) << "a new period starts with the update";
  EXPECT_EQ(events_[1].triggers, kTriggerPeriodic);
}

TEST_F(UrrTimeTest, WhateverHappensReportsAddUp) {
  std::mt19937 random{5};
  for (unsigned round = 0; round < 20; ++round) {
    const auto maybe = [&](std::int64_t scale) -> std::int64_t {
      return random() % 2 ? -1 : static_cast<std::int64_t>(1 + random() % scale);
    };
    UrrSpec urr;
    urr.duration = true;
    urr.period_ms = maybe(9'000);
    urr.time_threshold_ms = maybe(9'000);
    urr.time_quota_ms = maybe(200'000);
    urr.inactivity_ms = maybe(5'000);
    urr.report_start = random() % 2;
    urr.report_stop = urr.inactivity_ms > 0 && random() % 2;
    urr.threshold[0] = random() % 2 ? 1 + random() % 4000 : 0;
    make(urr);
    std::uint64_t passed = 0, reported = 0, measured = 0;
    std::uint32_t next = 0;
    Nanoseconds first = 0;
    for (unsigned i = 0; i < 300; ++i) {
      const auto bytes = static_cast<std::uint16_t>(40 + random() % 1000);
      if (random() % 3 != 0 && up(bytes) == 1) {
        passed += bytes;
        if (first == 0) first = now_;
      }
      if (random() % 20 == 0) {
        ASSERT_EQ(update(kSession, spec_), PrepareStatus::Ok);
      }
      pass(random() % (random() % 8 ? 900 : 9000) * kMillisecond);
    }
    ASSERT_EQ(remove(kSession), PrepareStatus::Ok);
    std::uint64_t end = 0;
    for (const Event& e : take()) {
      if (e.kind == EventKind::Inactivity) continue;
      ASSERT_EQ(e.sequence, next++);
      if (end != 0) {
        ASSERT_EQ(e.start_time, end);
      }
      end = e.end_time;
      reported += e.bytes[0];
      measured += e.duration_ns;
      ASSERT_LE(e.duration_ns, e.end_time - e.start_time);
      if (e.triggers & kTriggerTimeThreshold) {
        expect_time(e.duration_ns, static_cast<Nanoseconds>(urr.time_threshold_ms) * kMillisecond);
      }
    }
    EXPECT_EQ(reported, passed) << round;
    if (urr.inactivity_ms < 0 && urr.time_quota_ms < 0) {
      EXPECT_EQ(measured, now_ - first) << round;
    }
    if (urr.time_quota_ms > 0) {
      EXPECT_LE(measured,
                static_cast<Nanoseconds>(urr.time_quota_ms) * kMillisecond + TimerWheel::kTick);
    }
  }
}

TEST_F(UrrTimeTest, MeasuredTimeIsUsageToWhoAsksForUsageAlone) {
  SessionSpec spec = plain_session(kTeid);
  UrrSpec urr;
  urr.duration = true;
  urr.more_flags = record::urr::kInstantStart;
  spec.urrs = {urr};
  spec.pdrs[0].urrs = {0};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const auto ask = [&] {
    events_.clear();
    EXPECT_EQ(change(OperationKind::Update, kSession, &spec, {0}, kOperationUsed),
              PrepareStatus::Ok);
    return events_.size();
  };
  EXPECT_EQ(ask(), 0u);
  pass(5 * kSecond);
  ASSERT_EQ(ask(), 1u);
  EXPECT_EQ(events_[0].duration_ns, 5 * kSecond);
  EXPECT_EQ(ask(), 0u);
}

}  // namespace
}  // namespace sluice::test
