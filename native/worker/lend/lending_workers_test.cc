// Several workers and one driver: buckets change their worker while their flows are lent.
#include <atomic>
#include <thread>

#include "worker/lend/lending_fixture_test.h"
#include "worker/workers_fixture_test.h"

namespace sluice::test {
namespace {

class LendingWorkersTest : public LendingTest {
 protected:
  static constexpr unsigned kSessions = 4;
  static constexpr std::uint16_t kBytes = 100;
  static constexpr unsigned kRoundsATurn = 64, kRoundsAtOnce = 16;

  void SetUp() override {
    if (usable_workers() < 2) GTEST_SKIP() << "one core: there is nobody to move to";
    queues_ = usable_workers();
  }
  unsigned workers() const override { return usable_workers(); }
  static SessionIndex session_of(unsigned n) { return index_of(n, 5); }
  static std::uint32_t teid_of(unsigned n) { return direct_teid(n, 5, 1); }

  void create_all() {
    for (unsigned n = 0; n < kSessions; ++n) {
      const SessionSpec spec = simple_session(teid_of(n), kUe + n, 1'000'000, 50'000);
      ASSERT_EQ(create(session_of(n), spec), PrepareStatus::Ok);
    }
  }
  /// One packet of each session and direction.
  void send_all() {
    for (unsigned n = 0; n < kSessions; ++n) {
      const std::uint32_t ue = kUe + n;
      ran_->send(0x13, 3, gtpu(teid_of(n), numbered({.source = ue, .bytes = kBytes}, round_)));
      dn_->send(0x16, 6, numbered({.source = kServer, .destination = ue, .bytes = kBytes}, round_));
    }
    ++round_;
  }
  /// What came, in order and without a gap.
  void take_all() {
    for (unsigned d = 0; d < 2; ++d) {
      const std::size_t inner = ETH_HLEN + (d == 0 ? 0 : 44);
      for (const Bytes& frame : (d == 0 ? dn_ : ran_)->take()) {
        const std::uint32_t n = wire::load32(frame.data() + inner + (d == 0 ? 12 : 16)) - kUe;
        ASSERT_LT(n, kSessions);
        ASSERT_EQ(wire::load32(frame.data() + inner + 28), came_of_[d][n]) << d << " of " << n;
        ++came_of_[d][n];
        ++all_;
      }
    }
  }
  bool is_all_there() const { return all_ == std::uint64_t{round_} * kSessions * 2; }
  void drain() {
    while (!is_all_there() && !HasFatalFailure()) take_all();
  }

  std::uint32_t round_ = 0;
  std::uint32_t came_of_[2][kSessions] = {};
  std::uint64_t all_ = 0;
};

TEST_F(LendingWorkersTest, BucketsMoveWhileTheirFlowsAreLent) {
  on_wires([&] {
    create_all();
    ASSERT_FALSE(HasFatalFailure());
    std::atomic<bool> ends{false};
    std::thread far_ends([&] {
      while (!ends && !HasFatalFailure()) {
        send_all();
        // Flows are lent while nothing of them is on its way; some are while they are moved.
        if (round_ % kRoundsATurn < kRoundsATurn - kRoundsAtOnce) drain();
      }
      drain();
    });
    const std::vector<std::uint8_t> buckets{0, 1, 2, 3};
    std::uint64_t before = 0;
    for (unsigned moves = 0; moves < 10 && !HasFatalFailure();) {
      collect_events();
      if (forwarded() < before + 100) continue;
      const BucketMove moved = path_->move_buckets(buckets, moves % 2);
      if (moved == BucketMove::Busy) continue;
      EXPECT_EQ(moved, BucketMove::Done);
      before = forwarded();
      ++moves;
    }
    ends = true;
    far_ends.join();
    ASSERT_FALSE(HasFatalFailure());
    for (unsigned n = 0; n < kSessions; ++n) ASSERT_EQ(remove(session_of(n)), PrepareStatus::Ok);
    for (unsigned d = 0; d < 2; ++d) {
      EXPECT_EQ(reported(d), std::uint64_t{round_} * kSessions * kBytes);
    }
  });
}

}  // namespace
}  // namespace sluice::test
