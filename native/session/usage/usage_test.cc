// Credits against a model that looks at every URR for every packet: thresholds and quotas
// are exact to the packet, whoever shares a URR, and a full event ring loses nothing.
#include "session/usage/usage.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

namespace sluice {
namespace {

struct Sink : EventSink {
  bool push(const Event& event) noexcept override {
    if (refuses) return false;
    events.push_back(event);
    return true;
  }
  void remember(SessionView& session) noexcept override { remembered |= session.index == 7; }
  std::uint64_t realtime_offset() const noexcept override { return 1000; }
  void schedule(TimerNode&, Nanoseconds) noexcept override {}
  void cancel(TimerNode&) noexcept override {}
  bool refuses = false;
  bool remembered = false;
  std::vector<Event> events;
};

struct Report {
  std::uint32_t id, triggers;
  std::uint64_t bytes[2], packets[2];
  bool operator==(const Report&) const = default;
};

/// What the specification says, one packet at a time.
struct ModelUrr {
  std::uint64_t threshold[3], quota[3];
  std::uint64_t bytes[2] = {}, packets[2] = {};
  bool exhausted = false;
};
struct Model {
  std::vector<ModelUrr> urrs;
  std::vector<Report> reports;

  void report(unsigned n, std::uint32_t triggers) {
    ModelUrr& u = urrs[n];
    reports.push_back({n + 1, triggers, {u.bytes[0], u.bytes[1]}, {u.packets[0], u.packets[1]}});
    for (unsigned d = 0; d < 2; ++d) u.bytes[d] = u.packets[d] = 0;
  }
  bool packet(std::uint64_t mask, unsigned d, std::uint32_t bytes) {
    bool covered = true;
    for (unsigned n = 0; n < urrs.size(); ++n) {
      ModelUrr& u = urrs[n];
      if ((mask >> n & 1) == 0) continue;
      if (!u.exhausted && (u.quota[kTotal] < bytes || u.quota[1 + d] < bytes)) {
        u.exhausted = true;
        covered = false;
        report(n, kTriggerVolumeQuota);
      } else if (u.exhausted) {
        covered = false;
      }
    }
    if (!covered) return false;
    for (unsigned n = 0; n < urrs.size(); ++n) {
      ModelUrr& u = urrs[n];
      if ((mask >> n & 1) == 0) continue;
      u.bytes[d] += bytes;
      ++u.packets[d];
      for (const unsigned v : {0u, 1 + d}) {
        if (u.quota[v] != kUnlimited) u.quota[v] -= bytes;
      }
      std::uint32_t triggers = 0;
      if (u.bytes[0] + u.bytes[1] >= u.threshold[kTotal] || u.bytes[0] >= u.threshold[kUplink] ||
          u.bytes[1] >= u.threshold[kDownlink]) {
        triggers |= kTriggerVolumeThreshold;
      }
      if (u.quota[0] == 0 || u.quota[1] == 0 || u.quota[2] == 0) {
        triggers |= kTriggerVolumeQuota;
        u.exhausted = true;
      }
      if (triggers != 0) report(n, triggers);
    }
    return true;
  }
};

class UsageTest : public ::testing::Test {
 protected:
  /// Sets of URR masks by direction, and the limits of each URR.
  void make(const std::vector<std::uint64_t> (&sets)[2], const std::vector<ModelUrr>& urrs) {
    const auto n0 = static_cast<unsigned>(sets[0].size()),
               n1 = static_cast<unsigned>(sets[1].size());
    const auto count = static_cast<unsigned>(urrs.size());
    Account counts{};
    counts.urr_count = static_cast<std::uint8_t>(count);
    counts.set_count[0] = static_cast<std::uint8_t>(n0);
    counts.set_count[1] = static_cast<std::uint8_t>(n1);
    counts.bytes = counts.size();
    memory_.assign((counts.bytes + 7) / 8, 0);
    auto* account = reinterpret_cast<Account*>(memory_.data());
    *account = counts;
    for (unsigned d = 0; d < 2; ++d) {
      for (std::size_t i = 0; i < sets[d].size(); ++i) {
        account->sets(static_cast<Direction>(d))[i].urrs = sets[d][i];
      }
      flows_[d] = Flow{};
    }
    for (unsigned n = 0; n < count; ++n) {
      UrrState& u = account->urrs()[n];
      u.id = n + 1;
      u.flags = kUrrVolume;
      std::copy_n(urrs[n].threshold, 3, u.threshold);
      std::copy_n(urrs[n].quota, 3, u.quota_left);
    }
    session_ = {7, {&flows_[0], &flows_[1]}, account};
    model_ = {urrs, {}};
    usage_grant(session_);
  }
  /// As the pipeline does: spend the credit, and look closer only when it is gone.
  bool packet(unsigned d, unsigned set, std::uint32_t bytes) {
    FlowState& state = flows_[d].state;
    std::int32_t left;
    if (set == 1) {
      left = state.usage_left -= static_cast<std::int32_t>(bytes);
      ++state.usage_packets;
    } else {
      UsageSet& more = session_.account->sets(static_cast<Direction>(d))[set - 1];
      left = more.left -= static_cast<std::int32_t>(bytes);
      ++more.packets;
    }
    if (left >= 0) return true;
    ++slow_;
    return usage_count_slow(session_, static_cast<Direction>(d), set, bytes, ++now_, sink_).passes;
  }
  static std::vector<Report> reports_of(const std::vector<Event>& events) {
    std::vector<Report> out;
    for (const Event& e : events) {
      out.push_back({e.id, e.triggers, {e.bytes[0], e.bytes[1]}, {e.packets[0], e.packets[1]}});
    }
    return out;
  }
  std::uint64_t limit(std::uint64_t scale) {
    return random_() % 2 ? kUnlimited : 1 + random_() % scale;
  }
  /// Random URRs, and random sets of them in both directions.
  void make_random(bool quotas) {
    sets_[0].clear();
    sets_[1].clear();
    std::vector<ModelUrr> urrs(1 + random_() % 6);
    for (ModelUrr& u : urrs) {
      for (unsigned v = 0; v < 3; ++v) {
        u.threshold[v] = limit(200'000);
        u.quota[v] = quotas && random_() % 4 == 0 ? limit(3'000'000) : kUnlimited;
      }
    }
    for (auto& sets : sets_) {
      for (unsigned i = random_() % 4 + 1; i != 0; --i) {
        sets.push_back(1 + random_() % ((1u << urrs.size()) - 1));
      }
    }
    make(sets_, urrs);
  }
  std::uint32_t packet_bytes() {
    return 20 + static_cast<std::uint32_t>(random_() % (random_() % 4 ? 1480 : 64));
  }

  std::vector<std::uint64_t> memory_;
  std::vector<std::uint64_t> sets_[2];
  Flow flows_[2];
  SessionView session_{};
  Model model_;
  Sink sink_;
  Nanoseconds now_ = 1;
  std::uint64_t slow_ = 0;
  std::mt19937_64 random_{21};
};

TEST_F(UsageTest, EveryPacketAsTheModelSays) {
  std::size_t reports = 0, refused = 0, packets = 0;
  for (unsigned round = 0; round < 300; ++round) {
    make_random(true);
    sink_.events.clear();
    for (unsigned i = 0; i < 3000; ++i, ++packets) {
      const auto d = static_cast<unsigned>(random_() % 2);
      const auto set = static_cast<unsigned>(1 + random_() % sets_[d].size());
      const std::uint32_t bytes = packet_bytes();
      const bool wanted = model_.packet(sets_[d][set - 1], d, bytes);
      ASSERT_EQ(packet(d, set, bytes), wanted) << round << " " << i;
      ASSERT_EQ(sink_.events.size(), model_.reports.size()) << round << " " << i;
      refused += !wanted;
      // Folding and granting at any moment, as commands do, changes nothing.
      if (random_() % 64 == 0) {
        usage_fold(session_);
        usage_grant(session_);
      }
    }
    ASSERT_EQ(reports_of(sink_.events), model_.reports);
    usage_fold(session_);
    for (unsigned n = 0; n < model_.urrs.size(); ++n) {
      for (unsigned d = 0; d < 2; ++d) {
        ASSERT_EQ(session_.account->urrs()[n].bytes[d], model_.urrs[n].bytes[d]);
        ASSERT_EQ(session_.account->urrs()[n].packets[d], model_.urrs[n].packets[d]);
      }
    }
    reports += model_.reports.size();
  }
  EXPECT_GT(reports, 10'000u);
  EXPECT_GT(refused, 10'000u);
  EXPECT_LT(slow_, packets) << "some packets took the short way";
}

TEST_F(UsageTest, ASequenceNumbersReports) {
  make({{1}, {1}}, {{{1000, kUnlimited, kUnlimited}, {kUnlimited, kUnlimited, kUnlimited}}});
  for (unsigned i = 0; i < 10; ++i) EXPECT_TRUE(packet(i % 2, 1, 500));
  ASSERT_EQ(sink_.events.size(), 5u);
  for (std::uint32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(sink_.events[i].sequence, i);
    EXPECT_EQ(sink_.events[i].session, 7u);
    EXPECT_EQ(sink_.events[i].bytes[0] + sink_.events[i].bytes[1], 1000u);
    if (i != 0) {
      EXPECT_EQ(sink_.events[i].start_time, sink_.events[i - 1].end_time);
    }
  }
}

TEST_F(UsageTest, AnUnlimitedUrrIsLookedAtRarely) {
  make({{1}, {1}}, {{{kUnlimited, kUnlimited, kUnlimited}, {kUnlimited, kUnlimited, kUnlimited}}});
  constexpr unsigned kPackets = 3'000'000;
  for (unsigned i = 0; i < kPackets; ++i) ASSERT_TRUE(packet(0, 1, 1500));
  EXPECT_LE(slow_, 10u);
  usage_fold(session_);
  EXPECT_EQ(session_.account->urrs()[0].bytes[0], 1500ull * kPackets);
  EXPECT_EQ(session_.account->urrs()[0].packets[0], kPackets);
}

TEST_F(UsageTest, AFullRingLosesNothing) {
  std::size_t refusals = 0;
  for (unsigned round = 0; round < 200; ++round) {
    make_random(true);
    sink_ = {};
    std::vector<std::uint64_t> bytes(model_.urrs.size()), packets(model_.urrs.size());
    for (unsigned i = 0; i < 2000; ++i) {
      const auto d = static_cast<unsigned>(random_() % 2);
      const auto set = static_cast<unsigned>(1 + random_() % sets_[d].size());
      const std::uint32_t length = packet_bytes();
      if (random_() % 40 == 0) sink_.refuses = !sink_.refuses;
      const bool passes = packet(d, set, length);
      // Quotas do not wait for reports.
      ASSERT_EQ(passes, model_.packet(sets_[d][set - 1], d, length)) << round << " " << i;
      for (std::uint64_t m = passes ? sets_[d][set - 1] : 0; m != 0; m &= m - 1) {
        bytes[static_cast<std::size_t>(std::countr_zero(m))] += length;
        ++packets[static_cast<std::size_t>(std::countr_zero(m))];
      }
      if (random_() % 100 == 0) usage_retry(session_, ++now_, sink_);
    }
    refusals += sink_.remembered;
    sink_.refuses = true;
    bool pending = false;
    for (unsigned n = 0; n < model_.urrs.size(); ++n) {
      pending |= session_.account->urrs()[n].pending != 0;
    }
    EXPECT_EQ(usage_retry(session_, ++now_, sink_), !pending);
    sink_.refuses = false;
    EXPECT_TRUE(usage_retry(session_, ++now_, sink_));
    for (unsigned n = 0; n < model_.urrs.size(); ++n) {
      ASSERT_EQ(session_.account->urrs()[n].pending, 0u);
    }
    usage_fold(session_);
    for (unsigned n = 0; n < model_.urrs.size(); ++n) {
      const UrrState& u = session_.account->urrs()[n];
      std::uint64_t seen_bytes = u.bytes[0] + u.bytes[1];
      std::uint64_t seen_packets = u.packets[0] + u.packets[1];
      std::uint32_t next = 0;
      bool quota_told = false;
      for (const Event& e : sink_.events) {
        if (e.id != n + 1) continue;
        EXPECT_EQ(e.sequence, next++);
        quota_told |= (e.triggers & kTriggerVolumeQuota) != 0;
        seen_bytes += e.bytes[0] + e.bytes[1];
        seen_packets += e.packets[0] + e.packets[1];
      }
      ASSERT_EQ(seen_bytes, bytes[n]) << round;
      ASSERT_EQ(seen_packets, packets[n]) << round;
      ASSERT_EQ(quota_told, model_.urrs[n].exhausted) << round;
    }
  }
  EXPECT_GT(refusals, 50u);
}

/// One URR with a clock, its deadlines in `sink_.due`.
class UsageClockTest : public ::testing::Test {
 protected:
  static constexpr Nanoseconds kSecond = 1'000'000'000;
  struct TimedSink final : Sink {
    void schedule(TimerNode&, Nanoseconds deadline) noexcept override { due = deadline; }
    void cancel(TimerNode&) noexcept override { due = kNever; }
    Nanoseconds due = kNever;
  };
  UsageClockTest() {
    Account counts{};
    counts.urr_count = counts.clock_count = 1;
    counts.set_count[0] = 1;
    memory_.assign(counts.size() / 8, 0);
    account_ = reinterpret_cast<Account*>(memory_.data());
    *account_ = counts;
    account_->sets(Direction::Uplink)[0].urrs = 1;
    UrrState& urr = account_->urrs()[0];
    urr.id = urr.clock = 1;
    urr.flags = kUrrVolume | kUrrDuration;
    std::fill_n(urr.threshold, 3, kUnlimited);
    std::fill_n(urr.quota_left, 3, kUnlimited);
    *account_->clock(urr) = {.threshold = kNever,
                             .period = kNever,
                             .inactivity = kNever,
                             .quota_left = kNever,
                             .running_since = kNever,
                             .next_period = kNever};
    session_ = {7, {&flows_[0], &flows_[1]}, account_};
  }
  UrrClock& clock() { return account_->clocks()[0]; }
  bool packet(std::uint32_t bytes, Nanoseconds now) {
    FlowState& state = flows_[0].state;
    state.usage_left -= static_cast<std::int32_t>(bytes);
    ++state.usage_packets;
    if (state.usage_left >= 0) return true;
    ++slow_;
    return usage_count_slow(session_, Direction::Uplink, 1, bytes, now, sink_).passes;
  }
  std::vector<std::uint64_t> memory_;
  Flow flows_[2];
  Account* account_;
  SessionView session_{};
  TimedSink sink_;
  unsigned slow_ = 0;
};

TEST_F(UsageClockTest, OnlyTheFirstPacketIsLookedAt) {
  usage_grant(session_);
  for (unsigned i = 0; i < 1000; ++i) EXPECT_TRUE(packet(1000, kSecond + i));
  EXPECT_EQ(slow_, 1u);
  clock().inactivity = 8 * kSecond;
  EXPECT_EQ(usage_due(session_, 2 * kSecond, sink_), 3 * kSecond) << "a look";
  EXPECT_EQ(clock().measured, kSecond);
  for (unsigned i = 0; i < 1000; ++i) EXPECT_TRUE(packet(1000, 2 * kSecond + i));
  EXPECT_EQ(slow_, 1u);
  EXPECT_EQ(usage_due(session_, 3 * kSecond, sink_), 4 * kSecond);
  for (unsigned i = 4; i <= 11; ++i) usage_due(session_, i * kSecond, sink_);
  ASSERT_EQ(sink_.events.size(), 1u) << "eight seconds after the look that saw the last packet";
  EXPECT_EQ(sink_.events[0].kind, EventKind::Inactivity);
  EXPECT_TRUE(packet(1000, 20 * kSecond));
  EXPECT_EQ(slow_, 2u);
}

TEST_F(UsageClockTest, APacketBringsTheTimerForward) {
  clock().threshold = 5 * kSecond;
  clock().quota_left = 3 * kSecond;
  usage_grant(session_);
  EXPECT_EQ(usage_due(session_, kSecond, sink_), kNever);
  EXPECT_TRUE(packet(100, 2 * kSecond));
  EXPECT_EQ(sink_.due, 5 * kSecond);
}

TEST_F(UsageClockTest, AFullRingKeepsWhatTimeBrought) {
  UrrState& urr = account_->urrs()[0];
  urr.flags |= kUrrReportStop;
  clock().threshold = 2 * kSecond;
  clock().inactivity = 8 * kSecond;
  usage_grant(session_);
  EXPECT_TRUE(packet(100, kSecond));
  sink_.refuses = true;
  EXPECT_EQ(usage_due(session_, 3 * kSecond, sink_), 4 * kSecond) << "no deadline in the past";
  usage_due(session_, 9 * kSecond, sink_);
  EXPECT_TRUE(sink_.remembered);
  EXPECT_FALSE(usage_retry(session_, 10 * kSecond, sink_));
  EXPECT_TRUE(packet(300, 11 * kSecond)) << "traffic starts again before the report is out";
  sink_.refuses = false;
  EXPECT_TRUE(usage_retry(session_, 12 * kSecond, sink_));
  ASSERT_EQ(sink_.events.size(), 2u);
  EXPECT_EQ(sink_.events[0].triggers, kTriggerTimeThreshold | kTriggerStop);
  EXPECT_EQ(sink_.events[0].bytes[0], 400u);
  EXPECT_EQ(sink_.events[0].duration_ns, 9 * kSecond) << "8 up to the stop, and 1";
  EXPECT_EQ(sink_.events[1].kind, EventKind::Inactivity);
  EXPECT_EQ(urr.pending, 0u);
  EXPECT_EQ(sink_.due, 12 * kSecond + kSecond) << "a look, before the next threshold";
}

}  // namespace
}  // namespace sluice
