// Samples of traffic: what they say of sessions, that they are there only while asked for, and
// that packets are none the worse for it.
#include <map>

#include "worker/datapath_fixture_test.h"

namespace sluice::test {
namespace {

struct Seen {
  std::uint64_t packets[kDirections] = {}, bytes[kDirections] = {}, dropped = 0;
};

class SamplingTest : public DatapathTest {
 protected:
  static SessionIndex session(unsigned n) { return index_of(n, 3); }
  static std::uint32_t teid(unsigned n) { return direct_teid(n, 3, 1); }
  static std::uint32_t ue(unsigned n) { return kUe + n; }
  Bytes uplink(unsigned n, std::uint16_t bytes) {
    return gtpu(teid(n), ipv4({.source = ue(n), .bytes = bytes}));
  }
  void let_in(unsigned n, bool gate_closed = false) {
    SessionSpec spec = plain_session(teid(n), ue(n));
    if (gate_closed) {
      QerSpec qer;
      qer.uplink_closed = true;
      spec.qers = {qer};
      for (PdrSpec& pdr : spec.pdrs) pdr.qers = {0};
    }
    ASSERT_EQ(create(session(n), spec), PrepareStatus::Ok);
  }
  std::map<SessionIndex, Seen> take() {
    std::map<SessionIndex, Seen> seen;
    TrafficSample samples[100];
    for (unsigned n; (n = path_->take_samples(samples, 100)) != 0;) {
      for (const TrafficSample& s : std::span(samples, n)) {
        Seen& one = seen[s.session & 0xffffff];
        const unsigned d = (s.session & kSampleDownlink) != 0;
        one.packets[d] += s.packets;
        one.bytes[d] += std::uint64_t{s.packets} * s.bytes;
        if (s.session & kSampleDropped) one.dropped += s.packets;
      }
    }
    return seen;
  }
  void burst(const std::vector<Bytes>& packets) {
    for (const Bytes& bytes : packets) ASSERT_TRUE(inject(0, bytes));
    path_->step();
    collect(0);
    collect(1);
  }
};

TEST_F(SamplingTest, PacketsThatComeAloneAreAllSeen) {
  let_in(0);
  let_in(1);
  path_->set_sampling(true);
  for (unsigned i = 0; i < 10; ++i) {
    send(0, uplink(0, 200));
    send(1, ipv4({.source = kServer, .destination = ue(1), .bytes = 100}));
  }
  auto seen = take();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[session(0)].packets[0], 10u);
  EXPECT_EQ(seen[session(0)].bytes[0], 2000u);
  EXPECT_EQ(seen[session(0)].packets[1], 0u);
  EXPECT_EQ(seen[session(1)].packets[1], 10u);
  EXPECT_EQ(seen[session(1)].bytes[1], 1000u);
  EXPECT_TRUE(take().empty());
}

TEST_F(SamplingTest, OnePacketStandsForItsBurst) {
  let_in(0);
  let_in(1);
  path_->set_sampling(true);
  constexpr unsigned kBursts = 2000;
  for (unsigned i = 0; i < kBursts; ++i) {
    std::vector<Bytes> packets(12, uplink(0, 100));
    packets.insert(packets.end(), 4, uplink(1, 100));
    burst(packets);
  }
  auto seen = take();
  const auto share = [&](unsigned n) {
    return static_cast<double>(seen[session(n)].packets[0]) / (16.0 * kBursts);
  };
  EXPECT_DOUBLE_EQ(share(0) + share(1), 1);
  // Drawn at random: four deviations of the binomial to either side.
  EXPECT_NEAR(share(0), 0.75, 0.04);
}

TEST_F(SamplingTest, TellsWhatWasDroppedAndLeavesOutWhatIsNobodys) {
  let_in(0, true);
  path_->set_sampling(true);
  expect_drop(0, uplink(0, 100), DropReason::GateClosed);
  expect_drop(0, uplink(7, 100), DropReason::UnknownTeid);
  auto seen = take();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[session(0)].dropped, 1u);
  EXPECT_EQ(seen[session(0)].packets[0], 1u);
}

TEST_F(SamplingTest, NothingIsNotedUnlessAskedFor) {
  let_in(0);
  send(0, uplink(0, 100));
  EXPECT_TRUE(take().empty());
  path_->set_sampling(true);
  send(0, uplink(0, 100));
  path_->set_sampling(false);
  send(0, uplink(0, 100));
  EXPECT_EQ(take()[session(0)].packets[0], 1u);
}

TEST_F(SamplingTest, WhatFoundTheRingFullIsMadeUpFor) {
  let_in(0);
  path_->set_sampling(true);
  for (unsigned i = 0; i < kSampleRing + 100; ++i) send(0, uplink(0, 100));
  EXPECT_EQ(take()[session(0)].packets[0], kSampleRing);
  send(0, uplink(0, 100));
  EXPECT_EQ(take()[session(0)].packets[0], 101u);
}

TEST_F(SamplingTest, ANewStartForgetsTheOldOne) {
  let_in(0);
  path_->set_sampling(true);
  send(0, uplink(0, 100));
  path_->set_sampling(true);
  EXPECT_TRUE(take().empty());
}

}  // namespace
}  // namespace sluice::test
