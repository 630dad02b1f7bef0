// Packets that leave their worker for a crypto lane: order, full rings, threads that come, go and
// die, the end. The test of protections itself runs with lanes too.
#include "worker/protect/crypto_lanes.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <thread>

#include "worker/protect/protections_fixture_test.h"

namespace sluice::test {
namespace {

/// Nobody serves the lanes but the test.
class CryptoLanesTest : public DatapathTest {
 protected:
  void configure(DatapathConfig& config) const override { config.lanes = 1; }
  void SetUp() override {
    DatapathTest::SetUp();
    ASSERT_TRUE(path_->protections().set(protection()));
    ASSERT_EQ(create(kFirst, first_session()), PrepareStatus::Ok);
    ASSERT_EQ(create(kSecond, second_session()), PrepareStatus::Ok);
  }
  CryptoLanes& lanes() { return *path_->crypto_lanes(); }
  CryptoLane& lane() { return *lanes().lanes(0)[0]; }
  /// A turn of the worker alone.
  void turn() { path_->workers()[0]->loop(); }
  void inject_turns(unsigned packets) {
    for (unsigned i = 0; i < packets; ++i) {
      ASSERT_TRUE(inject(0, gtpu(kFirstTeid, ipv4({}))));
      if (i % kRxBurst == kRxBurst - 1) turn();
    }
    turn();
    turn();
  }
  std::vector<std::uint32_t> numbers_out() {
    std::vector<std::uint32_t> numbers;
    for (const Bytes& esp : collect(0)) numbers.push_back(wire::load32(esp.data() + 24));
    return numbers;
  }
  static std::vector<std::uint32_t> count_from(std::uint32_t first, std::size_t n) {
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t i = 0; i < n; ++i) numbers.push_back(first + i);
    return numbers;
  }
};

TEST_F(CryptoLanesTest, PacketsLeaveTheirWorkerAndComeBackSealedInOrder) {
  inject_turns(200);
  EXPECT_TRUE(collect(0).empty());
  EXPECT_EQ(path_->statistics().held, 200u);
  EXPECT_EQ(path_->statistics().lanes.lanes[0].depth, 200u);
  conserve();
  EXPECT_EQ(lanes().serve_here(), 200u);
  EXPECT_EQ(path_->statistics().held, 200u) << "until the worker has them again";
  turn();
  EXPECT_EQ(numbers_out(), count_from(1, 200));
  EXPECT_EQ(path_->statistics().held, 0u);
  EXPECT_EQ(path_->statistics().lanes.lanes[0].packets, 200u);
  conserve();
}

TEST(CryptoLanes, AreSharedOutAmongTheNodesOfWorkers) {
  const CryptoLanes of_two(5, {}, 2);
  EXPECT_EQ(of_two.lanes(0).size(), 3u);
  EXPECT_EQ(of_two.lanes(1).size(), 2u);
  std::set<CryptoLane*> all(of_two.lanes(0).begin(), of_two.lanes(0).end());
  all.insert(of_two.lanes(1).begin(), of_two.lanes(1).end());
  EXPECT_EQ(all.size(), 5u);
  const CryptoLanes too_few(1, {}, 2);
  EXPECT_EQ(too_few.lanes(0)[0], too_few.lanes(1)[0]);
}

TEST_F(CryptoLanesTest, AFullRingIsADropWithAReasonOfItsOwn) {
  inject_turns(kCryptoRing + 100);
  EXPECT_EQ(dropped(DropReason::LaneFull), 100u);
  EXPECT_EQ(path_->statistics().held, kCryptoRing);
  conserve();
  // Nor may more be outside than the way back has room for.
  EXPECT_EQ(lanes().serve_here(), kCryptoRing);
  inject_turns(1);
  EXPECT_EQ(dropped(DropReason::LaneFull), 100u);
  while (lanes().serve_here() != 0 || path_->statistics().held != 0) turn();
  EXPECT_EQ(numbers_out(), count_from(1, kCryptoRing + 1));
  conserve();
}

TEST_F(CryptoLanesTest, WhatAThreadHadInHandWhenItDiedIsCountedAndTheRestGoesOn) {
  inject_turns(200);
  ASSERT_TRUE(lane().claim(0));
  ASSERT_EQ(lane().take(), kCryptoBurst);
  EXPECT_FALSE(lane().claim(1)) << "it is another's";
  lanes().bury(0);
  EXPECT_EQ(path_->statistics().held, 200u);
  lanes().serve_here();
  turn();
  EXPECT_EQ(dropped(DropReason::LaneLost), kCryptoBurst);
  EXPECT_EQ(numbers_out(), count_from(1, 200 - kCryptoBurst));
  EXPECT_EQ(path_->statistics().held, 0u);
  conserve();
}

TEST_F(CryptoLanesTest, WhatWasDoneWhenItsThreadDiedIsNotLost) {
  inject_turns(100);
  ASSERT_TRUE(lane().claim(0));
  ASSERT_NE(lane().take(), 0u);
  lane().work();
  lanes().bury(0);
  // Between two bursts nothing is in hand.
  lanes().serve_here();
  ASSERT_TRUE(lane().claim(0));
  lanes().bury(0);
  ASSERT_TRUE(lane().claim(1));
  turn();
  EXPECT_EQ(dropped(DropReason::LaneLost), 0u);
  EXPECT_EQ(numbers_out(), count_from(1, 100));
  conserve();
}

TEST_F(CryptoLanesTest, AnAssociationStaysUntilItsPacketsAreBack) {
  inject_turns(10);
  ProtectionSettings settings = protection();
  settings.outbound = {association(kSpi + 1)};
  ASSERT_TRUE(path_->protections().set(settings));
  EXPECT_FALSE(path_->protections().settled());
  inject_turns(1);
  lanes().serve_here();
  EXPECT_FALSE(path_->protections().settled());
  turn();
  EXPECT_TRUE(path_->protections().settled());
  std::vector<std::uint32_t> spis;
  for (const Bytes& esp : collect(0)) spis.push_back(wire::load32(esp.data() + 20));
  EXPECT_EQ(std::count(spis.begin(), spis.end(), kSpi), 10);
  EXPECT_EQ(std::count(spis.begin(), spis.end(), kSpi + 1), 1);
}

TEST_F(CryptoLanesTest, WhatIsInALaneLeavesBeforeTheEnd) {
  inject_turns(100);
  path_->stop();
  const auto s = path_->statistics();
  EXPECT_EQ(s.ports[0].counters.tx_packets, 100u);
  EXPECT_EQ(s.held, 0u);
  EXPECT_FALSE(lanes().run(0));
  conserve();
}

/// Threads that serve, as the pool of the control plane has them.
class LaneThreads {
 public:
  explicit LaneThreads(std::shared_ptr<CryptoLanes> lanes) : lanes_(std::move(lanes)) {}
  ~LaneThreads() {
    for (auto& [number, thread] : threads_) thread.join();
  }
  void set(unsigned count) {
    lanes_->limit_threads(count);
    for (auto it = threads_.lower_bound(count); it != threads_.end(); it = threads_.erase(it)) {
      it->second.join();
    }
    for (unsigned n = 0; n < count; ++n) {
      if (threads_.contains(n)) continue;
      threads_.emplace(n, [lanes = lanes_, n] {
        while (lanes->run(n)) {
        }
      });
    }
  }

 private:
  std::shared_ptr<CryptoLanes> lanes_;
  std::map<unsigned, std::thread> threads_;
};

/// Two workers with threads of their own, and up to three threads for three lanes.
class CryptoLaneThreads : public WorkersTest {
 protected:
  static constexpr unsigned kSessions = 4, kRounds = 500;
  void configure(DatapathConfig& config) const override { config.lanes = 3; }
  static SessionIndex second(unsigned n) { return index_of(n + 16, 5); }
  static std::uint32_t second_teid(unsigned n) { return direct_teid(n + 16, 5, 1); }

  void SetUp() override {
    WorkersTest::SetUp();
    threads_ = std::make_unique<LaneThreads>(path_->crypto_lanes());
    ASSERT_TRUE(path_->protections().set(protection(workers())));
    while (!path_->protections().settled()) std::this_thread::yield();
    for (unsigned n = 0; n < kSessions; ++n) {
      const unsigned to = (n + n / 2) % kSessions;
      ASSERT_EQ(create(session(n), first_session(teid(n), ue(n), second_teid(to))),
                PrepareStatus::Ok);
      ASSERT_EQ(create(second(n), second_session(second_teid(n))), PrepareStatus::Ok);
    }
  }
  void TearDown() override {
    path_->stop();
    threads_.reset();
    WorkersTest::TearDown();
  }
  /// What was sealed goes in again, and what was opened is in the order of its UE.
  void drain() {
    for (unsigned q = 0; q < workers(); ++q) {
      for (const Bytes& esp : collect(0, q)) {
        ASSERT_EQ(wire::load8(esp.data() + 9), 50);
        const std::uint32_t number = wire::load32(esp.data() + 24);
        EXPECT_EQ(number, ++sealed_[q]) << "overtaken";
        // By the queue of the worker that opens it: the way between workers is another test's.
        if (inject(0, esp, wire::load32(esp.data() + 20) % workers())) {
          ++injected_;
        } else {
          ++refused_;
        }
      }
      for (const Bytes& inner : collect(1, q)) {
        const std::uint32_t ue = wire::load32(inner.data() + 12);
        const std::uint32_t tag = wire::load32(inner.data() + kTagOffset);
        EXPECT_GE(tag, next_[ue]) << "overtaken";
        next_[ue] = tag + 1;
        ++opened_;
      }
    }
  }
  void play(unsigned rounds, const std::function<void(unsigned)>& at_round) {
    const auto take = [this] { drain(); };
    for (unsigned r = 0; r < rounds; ++r) {
      at_round(r);
      for (unsigned n = 0; n < kSessions; ++n) {
        inject_all(0, uplink(n, round_), n % workers(), take);
      }
      if (++round_ % 8 == 0) settle(take);
    }
    settle(take);
    settle(take);
  }
  std::uint64_t lost() const {
    return dropped(DropReason::HandoffFull) + dropped(DropReason::TxFull) +
           dropped(DropReason::LaneFull) + dropped(DropReason::LaneLost) + refused_;
  }

  std::unique_ptr<LaneThreads> threads_;
  std::uint32_t round_ = 0;
  std::uint64_t opened_ = 0, refused_ = 0;
  std::map<unsigned, std::uint32_t> sealed_;     ///< last number by worker
  std::map<std::uint32_t, std::uint32_t> next_;  ///< tag by UE
};

TEST_F(CryptoLaneThreads, KeepOrderWhileThreadsComeAndGo) {
  static constexpr unsigned kCounts[] = {1, 3, 2, 3, 1};
  threads_->set(1);
  play(kRounds, [this](unsigned round) {
    if (round % 40 == 20) threads_->set(kCounts[round / 40 % std::size(kCounts)]);
  });
  EXPECT_EQ(opened_ + lost(), std::uint64_t{kRounds} * kSessions);
  EXPECT_GT(opened_, 0u);
  EXPECT_EQ(dropped(DropReason::EspReplayed) + dropped(DropReason::EspNotGenuine), 0u);
}

TEST_F(CryptoLaneThreads, AnotherTakesOverFromOneThatDied) {
  // Dies with a burst in hand, at each of a few rounds; its lanes wait for who has its number next.
  play(200, [this](unsigned round) {
    if (round % 20 != 0) return;
    threads_->set(0);
    for (unsigned n = 0; n < kSessions; ++n) {
      ASSERT_TRUE(inject(0, uplink(n, round_), n % workers()));
      ++injected_;
    }
    ++round_;
    CryptoLane* crowded = nullptr;
    while (crowded == nullptr) {
      for (CryptoLane* lane : path_->crypto_lanes()->lanes(0)) {
        if (lane->depth() != 0) crowded = lane;
      }
    }
    std::thread([crowded] {
      EXPECT_TRUE(crowded->claim(1));
      EXPECT_NE(crowded->take(), 0u);
    }).join();
    path_->crypto_lanes()->bury(1);
    threads_->set(2);
  });
  EXPECT_GE(dropped(DropReason::LaneLost), 10u);
  EXPECT_EQ(opened_ + lost(), std::uint64_t{round_} * kSessions);
  EXPECT_GT(opened_, 0u);
}

TEST_F(CryptoLaneThreads, EndInTheMiddleOfTraffic) {
  threads_->set(2);
  for (unsigned r = 0; r < 20; ++r) {
    for (unsigned n = 0; n < kSessions; ++n) {
      inject_all(0, uplink(n, r), n % workers(), [this] { drain(); });
    }
  }
  path_->stop();
  EXPECT_EQ(path_->statistics().held, 0u);
  conserve();
}

}  // namespace
}  // namespace sluice::test
