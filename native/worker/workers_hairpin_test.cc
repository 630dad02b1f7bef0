// Packets between UEs of two workers: in by any queue, through the rules of both sessions,
// out by the owner of the one that they are for.
#include "worker/workers_fixture_test.h"

namespace sluice::test {
namespace {

constexpr unsigned kSessions = 4;

class WorkersHairpin : public WorkersTest {
 protected:
  /// Neighbours, who have different owners.
  static unsigned peer(unsigned n) { return n ^ 1; }

  /// Takes what has left N3, in the order of its numbers, each for the peer of its sender.
  void drain() {
    for (unsigned q = 0; q < workers(); ++q) {
      for (const Bytes& b : collect(0, q)) {
        const std::byte* inner = b.data() + b.size() - 64;
        const unsigned from = wire::load32(inner + 12) - kUe;
        ASSERT_LT(from, kSessions);
        ASSERT_EQ(wire::load32(inner + 16), ue(peer(from)));
        EXPECT_EQ(peer(from) % workers(), q) << "leaves by its owner's queue";
        EXPECT_EQ(wire::load8(inner + 8), 63) << "one hop";
        EXPECT_TRUE(wire::ipv4_checksum_good(inner, 20));
        const std::uint32_t tag = wire::load32(inner + kTagOffset);
        EXPECT_GE(tag, next_[from]) << "overtaken";
        next_[from] = tag + 1;
        ++received_;
      }
      EXPECT_TRUE(collect(1, q).empty()) << "N6 sees nothing";
    }
  }

  std::uint32_t next_[kSessions] = {};
  std::uint64_t received_ = 0;
};

TEST_F(WorkersHairpin, ReachesTheOtherWorkersUe) {
  for (unsigned n = 0; n < kSessions; ++n) {
    ASSERT_EQ(create(session(n), plain_session(teid(n), ue(n))), PrepareStatus::Ok);
  }
  constexpr std::uint32_t kRounds = 3000;
  const auto drain_all = [this] { drain(); };
  for (std::uint32_t r = 0; r < kRounds; ++r) {
    for (unsigned n = 0; n < kSessions; ++n) {
      // Sessions 0 and 1 come in where their owner is, 2 and 3 where it is not.
      inject_all(0, uplink(n, r, ue(peer(n))), (n + n / 2) % workers(), drain_all);
    }
    if (r % 16 == 0) drain();
  }
  settle(drain_all);
  conserve();
  const std::uint64_t full = dropped(DropReason::HandoffFull) + dropped(DropReason::TxFull);
  EXPECT_EQ(received_ + full, injected_) << "none is lost but where a queue was full";
  EXPECT_GT(received_, injected_ / 2);
  EXPECT_EQ(path_->pool().available(), path_->pool().capacity());
}

TEST_F(WorkersHairpin, StoppingInTheMidstOfItLeavesNothing) {
  ASSERT_EQ(create(session(0), plain_session(teid(0), ue(0))), PrepareStatus::Ok);
  ASSERT_EQ(create(session(1), plain_session(teid(1), ue(1))), PrepareStatus::Ok);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    EXPECT_TRUE(inject(0, uplink(i % 2, i, ue(peer(i % 2))), i / 2 % workers()));
  }
  path_->stop();
  conserve();
  EXPECT_EQ(path_->statistics().held, 0u);
  EXPECT_EQ(path_->pool().available(), path_->pool().capacity());
}

}  // namespace
}  // namespace sluice::test
