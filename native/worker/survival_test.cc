// Usage after the end of a process: killed at any moment, stopped in order, killed again while
// it restores. A kill is a copy of the region's file as it is at that moment.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "worker/datapath_fixture_test.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
const std::uint32_t kTeid = direct_teid(3, 5, 1);
constexpr SessionIndex kSession = 3 * 64 + 5;
constexpr std::uint32_t kTermination = kTriggerTermination;

class SurvivalTest : public DatapathTest {
 protected:
  SurvivalConfig survival() const override {
    return {name_ + std::to_string(run_), (folder_ / "usage").string()};
  }
  void SetUp() override {
    fs::create_directories(folder_);
    if (!fs::exists("/dev/shm")) GTEST_SKIP() << "no /dev/shm";
    open();
    end_restore();
    if (HasFatalFailure()) return;
    ASSERT_TRUE(path_->start());
  }
  void TearDown() override {
    path_.reset();
    fs::remove_all(folder_);
    for (unsigned run = 0; run <= run_; ++run) {
      fs::remove("/dev/shm/" + name_ + std::to_string(run));
    }
  }
  std::string file() const { return "/dev/shm/" + survival().name; }
  bool snapshot() const { return fs::exists(survival().snapshot); }
  void end_restore() {
    Status ended = path_->end_restore();
    ASSERT_TRUE(ended) << ended.error().message;
  }
  /// The process is gone: what a new one finds is a copy of the file, under its own name.
  void kill() {
    const std::string old = file();
    ++run_;
    fs::copy_file(old, file());
    // What the living one does at its end is nobody's business.
    fs::copy(folder_, folder_.string() + ".kept", fs::copy_options::recursive);
    path_.reset();
    fs::remove(old);
    fs::remove_all(folder_);
    fs::rename(folder_.string() + ".kept", folder_);
    events_.clear();
    open();
  }
  void stop() {
    path_->stop();
    EXPECT_FALSE(fs::exists(file()));
    EXPECT_TRUE(snapshot());
    events_.clear();
    open();
  }
  /// Sessions are back and the store has what came: on with it.
  void live() {
    collect_events();
    end_restore();
    ASSERT_TRUE(path_->start());
  }
  static SessionSpec metered(std::uint64_t threshold = 0, std::uint64_t quota = 0) {
    SessionSpec spec = plain_session(kTeid);
    UrrSpec urr;
    urr.threshold[0] = threshold;
    urr.quota[0] = quota;
    spec.urrs = {urr};
    spec.pdrs[0].urrs = spec.pdrs[1].urrs = {0};
    return spec;
  }
  void traffic(unsigned up, unsigned down) {
    for (unsigned i = 0; i < up; ++i) send(0, gtpu(kTeid, ipv4({.bytes = 100})));
    for (unsigned i = 0; i < down; ++i)
      send(1, ipv4({.source = kServer, .destination = kUe, .bytes = 60}));
  }
  Event last() {
    EXPECT_FALSE(events_.empty());
    return events_.empty() ? Event{} : events_.back();
  }
  UrrState& urr() { return path_->sessions().view(kSession).account->urrs()[0]; }

  const std::string name_ = "sluice-durable-test-" + std::to_string(getpid()) + "-";
  fs::path folder_ = fs::temp_directory_path() / (name_ + "data");
  unsigned run_ = 0;
};

TEST_F(SurvivalTest, AKilledRunGoesOnWhereItWas) {
  const SessionSpec spec = metered(1000, 5000);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  traffic(12, 3);  // 1,380 octets: one report at 1,000
  ASSERT_EQ(events_.size(), 0u);
  collect_events();
  ASSERT_EQ(events_.size(), 1u);
  const Event before = last();
  path_->release(1);
  kill();
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  EXPECT_TRUE(events_.empty()) << "released is in the store";
  live();
  EXPECT_FALSE(snapshot());
  EXPECT_EQ(urr().quota_left[kTotal], 5000u - 1380);
  EXPECT_EQ(remove(kSession), PrepareStatus::Ok);
  EXPECT_EQ(last().sequence, before.sequence + 1);
  EXPECT_EQ(last().bytes[0] + before.bytes[0], 1200u);
  EXPECT_EQ(last().bytes[1] + before.bytes[1], 180u);
  EXPECT_EQ(last().packets[0] + last().packets[1] + before.packets[0] + before.packets[1], 15u);
  EXPECT_GE(last().start_time, before.end_time - 1'000'000);
}

TEST_F(SurvivalTest, AnOrderlyStopLeavesTheSame) {
  const SessionSpec spec = metered(0, 1000);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  traffic(11, 0);  // the quota covers 10
  stop();
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  live();
  expect_drop(0, gtpu(kTeid, ipv4({.bytes = 40})), DropReason::QuotaExhausted);
  ASSERT_FALSE(events_.empty());
  EXPECT_EQ(events_[0].triggers, kTriggerVolumeQuota) << "it waited in the ring";
  EXPECT_EQ(events_[0].bytes[0], 1000u);
  EXPECT_EQ(remove(kSession), PrepareStatus::Ok);
  EXPECT_EQ(last().bytes[0], 0u);
  EXPECT_EQ(last().sequence, 1u);
}

TEST_F(SurvivalTest, ClocksRunOn) {
  SessionSpec spec = metered();
  spec.urrs[0].duration = true;
  spec.urrs[0].time_quota_ms = spec.urrs[0].period_ms = 3'600'000;
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  traffic(1, 0);
  const auto clock = [&] { return path_->sessions().view(kSession).account->clocks()[0]; };
  const UrrClock before = clock();
  ASSERT_TRUE(before.runs());
  kill();
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  live();
  const UrrClock after = clock();
  // The two offsets to the time since 1970 were read at different moments.
  EXPECT_NEAR(static_cast<double>(after.running_since), static_cast<double>(before.running_since),
              1e6);
  EXPECT_NEAR(static_cast<double>(after.next_period), static_cast<double>(before.next_period), 1e6);
  EXPECT_EQ(after.quota_left, before.quota_left);
  EXPECT_EQ(after.seen, before.seen);
  EXPECT_TRUE(path_->sessions().view(kSession).account->timer.waiting());
  traffic(1, 0);
  EXPECT_EQ(remove(kSession), PrepareStatus::Ok);
  EXPECT_EQ(last().packets[0], 2u);
  EXPECT_NEAR(static_cast<double>(last().duration_ns),
              static_cast<double>(Clock::machine().now() - before.running_since), 1e9);
}

TEST_F(SurvivalTest, WhatCameBeforeAMonitoringTimeStaysApart) {
  for (const bool is_changed : {false, true}) {
    const auto now = Clock::machine().now() + Clock::machine().realtime_offset();
    SessionSpec spec = metered(10'000, 50'000);
    spec.urrs[0].quota_validity_ms = 3'600'000;
    ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
    traffic(3, 0);
    spec.urrs[0].monitors = {
        {.time_s = static_cast<std::uint32_t>(now / 1'000'000'000 - 1), .threshold = {2000, 0, 0}}};
    ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
    traffic(2, 0);
    const auto watch = [&] { return *path_->sessions().view(kSession).account->watch(urr()); };
    const Nanoseconds valid_until = watch().valid_until;
    kill();
    if (is_changed) spec.urrs[0].period_ms = 3'600'000;
    ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
    live();
    if (!is_changed) {
      EXPECT_EQ(urr().threshold[0], 2000u) << "the one from then on";
      EXPECT_NEAR(static_cast<double>(watch().valid_until), static_cast<double>(valid_until), 1e6);
      ASSERT_EQ(remove(kSession), PrepareStatus::Ok);
    }
    ASSERT_EQ(events_.size(), 2u);
    for (unsigned i = 0; i < 2; ++i) {
      EXPECT_EQ(events_[i].part, i + 1);
      EXPECT_EQ(events_[i].triggers, i == 0 ? kTriggerMonitoringTime : kTermination);
      EXPECT_EQ(events_[i].bytes[0], i == 0 ? 300u : 200u);
      EXPECT_EQ(events_[i].sequence, i);
    }
    path_->release(2);
  }
}

TEST_F(SurvivalTest, EventsComeAgainUntilTheyAreReleased) {
  const SessionSpec spec = metered(100);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  traffic(5, 0);
  collect_events();
  ASSERT_EQ(events_.size(), 5u);
  path_->release(2);
  const std::vector<Event> seen = events_;
  kill();
  // The store got the third, and the process ended before it could say so.
  path_->already_written(&seen[2], 1);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  live();
  ASSERT_EQ(events_.size(), 2u);
  EXPECT_EQ(events_[0].sequence, 3u);
  EXPECT_EQ(events_[1].sequence, 4u);
  EXPECT_EQ(events_[1].ticket, 0u);
}

TEST_F(SurvivalTest, AKillWhileRestoringLosesNothing) {
  const SessionSpec spec = metered(250);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  traffic(7, 0);
  for (unsigned attempt = 0; attempt < 3; ++attempt) {
    kill();
    EXPECT_TRUE(snapshot());
    ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
    ASSERT_EQ(events_.size(), 2u) << "attempt " << attempt;
  }
  // The same with an orderly end, as when the next session can't be restored.
  path_->stop();
  events_.clear();
  open();
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  live();
  EXPECT_EQ(remove(kSession), PrepareStatus::Ok);
  std::uint64_t bytes = 0;
  for (const Event& e : events_) bytes += e.bytes[0];
  EXPECT_EQ(bytes, 700u);
}

TEST_F(SurvivalTest, AChangeThatWasStoredAndNotAppliedEndsTheOldUrr) {
  ASSERT_EQ(create(kSession, metered(1000)), PrepareStatus::Ok);
  traffic(3, 0);
  kill();
  SessionSpec changed = metered(2000);
  ASSERT_EQ(create(kSession, changed), PrepareStatus::Ok);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(last().triggers, kTermination);
  EXPECT_EQ(last().bytes[0], 300u);
  EXPECT_EQ(urr().bytes[0], 0u);
  const Event written = last();
  kill();
  path_->already_written(&written, 1);
  ASSERT_EQ(create(kSession, changed), PrepareStatus::Ok);
  EXPECT_TRUE(events_.empty()) << "a restart in between had it stored";
}

TEST_F(SurvivalTest, ADeletionThatWasNotStoredComesBackBehindItsReport) {
  const SessionSpec spec = metered();
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  traffic(2, 0);
  ASSERT_EQ(remove(kSession), PrepareStatus::Ok);
  ASSERT_EQ(last().bytes[0], 200u);
  kill();
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(last().bytes[0], 200u);
  EXPECT_EQ(last().sequence, 0u);
  live();
  traffic(1, 0);
  EXPECT_EQ(remove(kSession), PrepareStatus::Ok);
  EXPECT_EQ(last().bytes[0], 100u);
  EXPECT_EQ(last().sequence, 1u);
}

TEST_F(SurvivalTest, AStepThatWasCutShortNeverBegan) {
  const SessionSpec spec = metered(1000);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  traffic(4, 0);
  Worker& worker = *path_->workers()[0];
  SessionView view = path_->sessions().view(kSession);
  worker.begin_step(view);
  usage_fold(view);
  ASSERT_TRUE(usage_report(view, view.account->urrs()[0], kTriggerPeriodic, 0, 1, worker));
  collect_events();
  EXPECT_TRUE(events_.empty()) << "nobody sees a report of a step that is not done";
  kill();
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  EXPECT_TRUE(events_.empty());
  EXPECT_EQ(urr().bytes[0], 400u);
  EXPECT_EQ(urr().sequence, 0u);
}

TEST_F(SurvivalTest, AReportThatFoundNoRoomIsSentAtTheNextStart) {
  const SessionSpec spec = metered(1000);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  traffic(4, 0);
  urr().pending = kTriggerPeriodic;
  kill();
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(last().triggers, kTriggerPeriodic);
  EXPECT_EQ(last().bytes[0], 400u);
  EXPECT_EQ(urr().sequence, 1u);
  EXPECT_EQ(urr().pending, 0u);
}

TEST_F(SurvivalTest, PlacesHoldWhenThereAreMoreSlots) {
  const SessionSpec spec = metered(100);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  traffic(1, 0);
  traffic(0, 1);
  slots_per_bucket_ = 100;
  kill();
  constexpr SessionIndex moved = 3 * 100 + 5;
  ASSERT_EQ(create(moved, spec), PrepareStatus::Ok);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(last().session, moved);
  EXPECT_EQ(path_->sessions().view(moved).account->urrs()[0].bytes[1], 60u);
}

TEST_F(SurvivalTest, AnotherSessionInThePlaceGetsNothing) {
  SessionSpec spec = metered();
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  traffic(3, 0);
  kill();
  spec.incarnation = 2;
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  EXPECT_EQ(urr().bytes[0], 0u);
  end_restore();
  EXPECT_NE(path_->warnings().back().find("1 sessions of the last run that the store doesn't"),
            std::string::npos);
}

TEST_F(SurvivalTest, WhatMakesNoSenseIsOneWarning) {
  ASSERT_EQ(create(kSession, metered()), PrepareStatus::Ok);
  traffic(1, 0);
  path_->stop();
  {
    std::fstream snapshot(survival().snapshot, std::ios::in | std::ios::out | std::ios::binary);
    snapshot.seekp(-8, std::ios::end);
    snapshot.put('x');
  }
  open();
  ASSERT_FALSE(path_->warnings().empty());
  EXPECT_NE(path_->warnings().front().find("is damaged"), std::string::npos);
  end_restore();
  path_.reset();
  fs::remove(survival().snapshot);
  std::ofstream(file()) << "not a region";
  open();
  ASSERT_FALSE(path_->warnings().empty());
  EXPECT_NE(path_->warnings().front().find("too short to be a memory region"), std::string::npos);
  end_restore();
}

TEST_F(SurvivalTest, ARegionInUseIsNotTakenOver) {
  DatapathConfig second;
  second.workers = 0;
  second.hugepages = PagePolicy::Off;
  second.sessions.slots_per_bucket = 64;
  second.sessions.slot_bits = kSlotBits;
  second.survival = survival();
  auto made = Datapath::create(std::move(second));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().field, "store.path");
  EXPECT_NE(made.error().message.find("another process uses"), std::string::npos);
  EXPECT_TRUE(fs::exists(file()));
}

TEST_F(SurvivalTest, WhatMakesNoSenseIsGivenUpAlone) {
  const SessionSpec spec = metered(1000);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  traffic(11, 0);  // a report, which waits
  ASSERT_EQ(path_->workers()[0]->events()->size(), 1u);
  SessionView session = path_->sessions().view(kSession);
  session.account->sets(Direction::Uplink)[0].granted = std::numeric_limits<std::int32_t>::min();
  const_cast<Event&>(path_->workers()[0]->events()->at(0)).kind = EventKind{99};
  kill();
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  ASSERT_EQ(path_->warnings().size(), 1u);
  EXPECT_NE(path_->warnings()[0].find("2 sessions and reports"), std::string::npos)
      << path_->warnings()[0];
  live();
  EXPECT_TRUE(events_.empty());
  EXPECT_EQ(remove(kSession), PrepareStatus::Ok);
  EXPECT_EQ(last().bytes[0], 0u);
}

TEST_F(SurvivalTest, RulesAreThoseOfTheSessionNotOfTheMemory) {
  const SessionSpec spec = metered();
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  traffic(2, 0);
  urr().flags |= kUrrDuration;  // it has no clock
  kill();
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  live();
  EXPECT_EQ(urr().flags & kUrrDuration, 0);
  EXPECT_EQ(remove(kSession), PrepareStatus::Ok);
  EXPECT_EQ(last().bytes[0], 200u);
}

}  // namespace
}  // namespace sluice::test
