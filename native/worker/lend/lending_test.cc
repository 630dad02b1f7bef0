// Flows that the driver forwards, between packet sockets on the far ends of two veth pairs: what
// comes out is what the worker alone would let out, in order, and all of it is counted.
#include <linux/if_ether.h>

#include <cstdlib>

#include "wire/checksum.h"
#include "worker/lend/lending_fixture_test.h"

namespace sluice::test {
namespace {

TEST_F(LendingTest, ForwardsBothDirectionsAndCountsThem) {
  on_wires([&] {
    ASSERT_EQ(create(session(), spec()), PrepareStatus::Ok);
    // News of next hops takes places away, and there is some after the start.
    while (path_->statistics().lent_flows < 2) {
      uplink(kWarm);
      downlink(kWarm);
    }
    const std::uint64_t before = forwarded();
    uplink(1000);
    downlink(1000, 600);
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    EXPECT_GE(forwarded() - before, 1900U);
    EXPECT_EQ(path_->statistics().lent_flows, 0U);
    for (unsigned d = 0; d < 2; ++d) {
      EXPECT_EQ(came_[d], sent_[d]);
      EXPECT_EQ(reported(d), bytes_[d]);
    }
    conserve();
    // Nobody's any more.
    const std::uint64_t forwarded_before = forwarded();
    uplink(50);
    EXPECT_EQ(forwarded(), forwarded_before);
    EXPECT_EQ(came_[0] + 50, sent_[0]);
  });
}

TEST_F(LendingTest, WritesTheHeaderThatTheWorkerWrites) {
  on_wires([&] {
    ASSERT_EQ(create(session(), spec()), PrepareStatus::Ok);
    downlink(1);
    const Bytes by_worker = last_[1];
    for (unsigned i = 0; i < 2 * kWarm; ++i) {
      downlink(1);
      Bytes frame = last_[1];
      ASSERT_GT(frame.size(), std::size_t{ETH_HLEN + 44 + 32});
      wire::store32(frame.data() + ETH_HLEN + 44 + 28, 0);
      ASSERT_EQ(frame, by_worker);
    }
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    EXPECT_GT(forwarded(), kWarm / 2);
  });
}

TEST_F(LendingTest, KeepsOrderWhileCreditsEnd) {
  on_wires([&] {
    ASSERT_EQ(create(session(), spec(1'000'000, 30'000)), PrepareStatus::Ok);
    for (unsigned i = 0; i < 20; ++i) {
      uplink(200);
      downlink(100, 300);
    }
    EXPECT_GT(forwarded(), 1000U);
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    for (unsigned d = 0; d < 2; ++d) {
      EXPECT_EQ(came_[d], sent_[d]);
      EXPECT_EQ(reported(d), bytes_[d]);
    }
    // A report each 30,000 bytes, met to the packet.
    std::uint64_t least = ~0ull, reports = 0;
    for (const Event& event : events_) {
      if (event.kind != EventKind::Usage || event.triggers != kTriggerVolumeThreshold) continue;
      ++reports;
      least = std::min(least, event.bytes[0] + event.bytes[1]);
      EXPECT_LT(event.bytes[0] + event.bytes[1], 30'300U);
    }
    EXPECT_GE(least, 30'000U);
    EXPECT_EQ(reports, (bytes_[0] + bytes_[1]) / 30'300);
  });
}

/// More at once than the worker receives in a turn, so that some always wait for it while others
/// come.
TEST_F(LendingTest, KeepsOrderWhilePacketsWait) {
  on_wires([&] {
    ASSERT_EQ(create(session(), spec(1'000'000, 30'000)), PrepareStatus::Ok);
    for (unsigned i = 0; i < 20; ++i) {
      uplink(600, 100, 40);
      uplink(100);
    }
    EXPECT_GT(forwarded(), 1000U);
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    EXPECT_EQ(came_[0], sent_[0]);
    EXPECT_EQ(reported(0), bytes_[0]);
  });
}

/// A gNB that sends checksums of UDP: the program does not take its packets.
TEST_F(LendingTest, GivesUpFlowsThatItCannotLend) {
  on_wires([&] {
    ASSERT_EQ(create(session(), spec()), PrepareStatus::Ok);
    const auto send = [&] {
      Bytes packet = gtpu(teid_, numbered({.bytes = 100}, sent_[0]++));
      const std::uint32_t sum =
          wire::checksum_partial(packet.data() + 20, packet.size() - 20,
                                 (kGnb >> 16) + (kGnb & 0xffff) + (kN3 >> 16) + (kN3 & 0xffff) +
                                     17 + static_cast<std::uint32_t>(packet.size() - 20));
      // 0 would say that there is none (RFC 768).
      const std::uint16_t checksum = wire::fold(sum);
      wire::store16(packet.data() + 26, checksum == 0 ? 0xffff : checksum);
      ran_->send(0x13, 3, packet);
      path_->step();
      take(*dn_, 0, ETH_HLEN);
    };
    while (path_->statistics().lent_flows == 0) send();
    // News of next hops may take the place away, too, and then it is given once more.
    for (unsigned round = 0; round < 5 && path_->statistics().lent_flows != 0; ++round) {
      while (path_->statistics().lent_flows != 0) send();
      for (unsigned i = 0; i < 500; ++i) send();
    }
    settle();
    EXPECT_EQ(path_->statistics().lent_flows, 0U);
    EXPECT_EQ(forwarded(), 0U);
    EXPECT_EQ(came_[0], sent_[0]);
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    EXPECT_EQ(reported(0), bytes_[0]);
  });
}

/// The other end of a veth that does not poll loses what is redirected to it.
TEST_F(LendingTest, LendsNothingToADeviceThatTakesNoRedirects) {
  dn_has_program_ = false;
  on_wires([&] {
    ASSERT_EQ(create(session(), spec()), PrepareStatus::Ok);
    uplink(kWarm);
    EXPECT_EQ(forwarded(), 0U);
    EXPECT_EQ(came_[0], sent_[0]);
    ASSERT_EQ(path_->warnings().size(), 1U);
    EXPECT_NE(path_->warnings()[0].find("port n6: nothing is forwarded by the driver to here"),
              std::string::npos);
    EXPECT_EQ(path_->ports()[1]->capabilities().at("forwardInDriver"), "no");
    // The other way there is nothing in the way.
    downlink(kWarm);
    const std::uint64_t back = forwarded_in_all();
    EXPECT_GT(back, 0U);

    ASSERT_EQ(std::system("ethtool -K dn gro on"), 0);
    EXPECT_TRUE(path_->warnings().empty());
    EXPECT_EQ(path_->ports()[1]->capabilities().at("forwardInDriver"), "yes");
    while (forwarded_in_all() == back) uplink(kWarm);
    EXPECT_EQ(came_[0], sent_[0]);

    uplink(kWarm);
    ASSERT_EQ(std::system("ethtool -K dn gro off"), 0);
    // Until the news is here, frames are lost.
    const std::uint64_t came = came_[0];
    while (came_[0] == came) uplink(1);
    const std::uint64_t lost = sent_[0] - came_[0];
    uplink(kWarm);
    EXPECT_EQ(sent_[0] - came_[0], lost);
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
  });
}

TEST_F(LendingTest, HoldsToTheRate) {
  on_wires([&] {
    ASSERT_EQ(create(session(), spec(8'000)), PrepareStatus::Ok);
    while (path_->statistics().lent_flows == 0) uplink(kWarm);
    const Nanoseconds start = Clock::machine().now();
    const std::uint64_t bytes_before = bytes_[0];
    uplink(5000, 1000);
    const Nanoseconds elapsed = Clock::machine().now() - start;
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    settle();
    EXPECT_EQ(reported(0), bytes_[0]);
    EXPECT_EQ(dropped(DropReason::MbrExceeded), sent_[0] - came_[0]);
    EXPECT_GT(dropped(DropReason::MbrExceeded), 0U);
    EXPECT_GT(forwarded(), 0U);
    // 8 Mbit/s are a byte each microsecond, and the bucket holds 50 ms of it.
    // Two clocks tell the time, which differ by far less than a hundredth.
    EXPECT_LE(bytes_[0] - bytes_before, 50'000 + elapsed / 1000 + elapsed / 100'000 + 1);
  });
}

TEST_F(LendingTest, TakesFlowsBackForChanges) {
  on_wires([&] {
    ASSERT_EQ(create(session(), spec()), PrepareStatus::Ok);
    downlink(kWarm);
    SessionSpec moved = spec();
    for (unsigned i = 0; i < 10; ++i) {
      moved.fars[1].teid = 0x5000 + i;
      ASSERT_EQ(update(session(), moved), PrepareStatus::Ok);
      downlink(100);
      EXPECT_EQ(wire::load32(last_[1].data() + ETH_HLEN + 32), 0x5000 + i);
      const std::uint64_t before = bytes_[1];
      ASSERT_EQ(change(OperationKind::Update, session(), &moved, {0}), PrepareStatus::Ok);
      EXPECT_EQ(reported(1), before);
    }
    EXPECT_GT(forwarded(), 500U);
    // A closed gate.
    moved.qers[0].downlink_closed = true;
    const std::uint64_t came = came_[1];
    ASSERT_EQ(update(session(), moved), PrepareStatus::Ok);
    downlink(100);
    EXPECT_EQ(came_[1], came);
    EXPECT_EQ(dropped(DropReason::GateClosed), 100U);
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    EXPECT_EQ(reported(1), bytes_[1]);
  });
}

TEST_F(LendingTest, LeavesOddPacketsToTheWorker) {
  on_wires([&] {
    ASSERT_EQ(create(session(), spec()), PrepareStatus::Ok);
    uplink(kWarm);
    const auto spoofed = gtpu(teid_, ipv4({.source = kUe + 1}));
    for (unsigned i = 0; i < 20; ++i) {
      ran_->send(0x13, 3, spoofed);
      uplink(60);
    }
    EXPECT_EQ(dropped(DropReason::SpoofedSource), 20U);
    EXPECT_EQ(came_[0], sent_[0]);
    EXPECT_GT(forwarded(), 500U);
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    EXPECT_EQ(reported(0), bytes_[0]);
  });
}

}  // namespace
}  // namespace sluice::test
