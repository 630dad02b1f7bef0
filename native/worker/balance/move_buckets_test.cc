// Buckets change their worker while packets pass: nothing is lost, overtaken or counted twice, and
// what sessions hold and wait for goes along.
#include <algorithm>

#include "worker/workers_fixture_test.h"

namespace sluice::test {
namespace {

constexpr unsigned kSessions = 8;

class MoveBucketsTest : public WorkersTest {
 protected:
  void SetUp() override {
    WorkersTest::SetUp();
    if (workers() < 2) GTEST_SKIP() << "one core: there is nobody to move to";
  }
  unsigned owner(unsigned n) const { return path_->bucket_owners()[n]; }

  /// Until it is done: a report that nobody has taken yet puts it off.
  void move(std::vector<std::uint8_t> buckets, unsigned to) {
    BucketMove moved;
    do {
      collect_events();
      moved = path_->move_buckets(buckets, to);
    } while (moved == BucketMove::Busy);
    ASSERT_EQ(moved, BucketMove::Done);
  }
  /// What left by a queue; of each session in order, without a gap.
  void take(unsigned queue) {
    for (const Bytes& b : collect(1, queue)) {
      const unsigned n = wire::load32(b.data() + 12) - kUe;
      ASSERT_LT(n, kSessions);
      ASSERT_EQ(wire::load32(b.data() + kTagOffset), next_[0][n]++) << "uplink of " << n;
    }
    for (const Bytes& b : collect(0, queue)) {
      const std::byte* inner = b.data() + b.size() - 64;
      const unsigned n = wire::load32(inner + 16) - kUe;
      ASSERT_LT(n, kSessions);
      ASSERT_EQ(wire::load32(inner + kTagOffset), next_[1][n]++) << "downlink of " << n;
    }
  }
  void take_all() {
    for (unsigned q = 0; q < workers(); ++q) take(q);
    collect_events();
  }
  std::uint64_t counted(unsigned direction) const {
    std::uint64_t bytes = 0;
    for (const Event& e : events_) bytes += e.bytes[direction];
    return bytes;
  }

  std::uint32_t next_[2][kSessions] = {};
};

SessionSpec counting(std::uint32_t teid, std::uint32_t ue) {
  SessionSpec spec = plain_session(teid, ue);
  UrrSpec urr;
  urr.threshold[0] = 10'000;
  spec.urrs = {urr};
  for (auto& pdr : spec.pdrs) pdr.urrs = {0};
  return spec;
}

TEST_F(MoveBucketsTest, NothingIsLostOrOvertaken) {
  for (unsigned n = 0; n < kSessions; ++n) {
    ASSERT_EQ(create(session(n), counting(teid(n), ue(n))), PrepareStatus::Ok);
  }
  constexpr std::uint32_t kRounds = 2000;
  const auto drain = [&] { take_all(); };
  for (std::uint32_t r = 0; r < kRounds; ++r) {
    for (unsigned n = 0; n < kSessions; ++n) {
      inject_all(0, uplink(n, r), n % 2, drain);
      inject_all(1, downlink(n, r), n / 2 % 2, drain);
    }
    if (r % 8 == 0) {
      const auto bucket = static_cast<std::uint8_t>(r / 8 % kSessions);
      const unsigned from = owner(bucket);
      const auto other = static_cast<std::uint8_t>((bucket + 2) % kSessions);
      move({bucket, other}, 1 - from);
      ASSERT_EQ(owner(bucket), 1 - from);
      // All that the old owner sent is there before any of the new one's is looked at.
      take(from);
    }
    take_all();
  }
  settle(drain);
  for (unsigned n = 0; n < kSessions; ++n) {
    EXPECT_EQ(next_[0][n], kRounds);
    EXPECT_EQ(next_[1][n], kRounds);
    ASSERT_EQ(remove(session(n)), PrepareStatus::Ok);
  }
  collect_events();
  EXPECT_EQ(counted(0), std::uint64_t{64} * kRounds * kSessions);
  EXPECT_EQ(counted(1), std::uint64_t{64} * kRounds * kSessions);
  EXPECT_EQ(path_->pool().available(), path_->pool().capacity());
}

TEST_F(MoveBucketsTest, HeldPacketsGoAlongAndLeaveInOrder) {
  SessionSpec holding = plain_session(teid(0), ue(0));
  holding.fars[1] = FarSpec{};
  holding.fars[1].id = 2;
  holding.fars[1].action = record::far::kBuffer;
  ASSERT_EQ(create(session(0), holding), PrepareStatus::Ok);
  constexpr std::uint32_t kPackets = 500;
  const auto drain = [&] { take_all(); };
  for (std::uint32_t tag = 0; tag < kPackets; ++tag) {
    inject_all(1, downlink(0, tag), 0, drain);
    if (tag % 50 == 49) move({0}, 1 - owner(0));
  }
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (path_->statistics().held != kPackets) {
    ASSERT_LT(std::chrono::steady_clock::now(), patience);
    std::this_thread::yield();
  }
  move({0}, 1 - owner(0));
  ASSERT_EQ(update(session(0), plain_session(teid(0), ue(0))), PrepareStatus::Ok);
  move({0}, 1 - owner(0));
  settle(drain);
  EXPECT_EQ(next_[1][0], kPackets);
  ASSERT_EQ(remove(session(0)), PrepareStatus::Ok);
  EXPECT_EQ(path_->pool().available(), path_->pool().capacity());
}

TEST_F(MoveBucketsTest, TimersFireOnceWhereverTheyWait) {
  SessionSpec spec = counting(teid(0), ue(0));
  spec.urrs[0].period_ms = 200;
  ASSERT_EQ(create(session(0), spec), PrepareStatus::Ok);
  const auto start = std::chrono::steady_clock::now();
  const auto age_ms = [&] {
    const auto age = std::chrono::steady_clock::now() - start;
    return std::chrono::duration_cast<std::chrono::milliseconds>(age).count();
  };
  while (age_ms() < 1100) {
    move({0}, 1 - owner(0));
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
  collect_events();
  const auto reports = std::count_if(events_.begin(), events_.end(),
                                     [](const Event& e) { return e.kind == EventKind::Usage; });
  EXPECT_GE(reports, 5);
  EXPECT_LE(reports, age_ms() / 200 + 1);
}

TEST_F(MoveBucketsTest, OnlyToAWorkerThatThereIs) {
  const std::uint8_t bucket = 3;
  EXPECT_EQ(path_->move_buckets({&bucket, 1}, workers()), BucketMove::NoWorker);
  EXPECT_EQ(owner(bucket), bucket % workers());
  move({bucket}, owner(bucket));
  EXPECT_EQ(owner(bucket), bucket % workers());
}

}  // namespace
}  // namespace sluice::test
