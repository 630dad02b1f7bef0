// What a FAR buffers: kept in order, within limits, reported once, and policed when it leaves.
#include <chrono>

#include "worker/datapath_fixture_test.h"

namespace sluice::test {
namespace {

const std::uint32_t kTeid = direct_teid(3, 5, 1);
constexpr SessionIndex kSession = 3 * 64 + 5;
constexpr unsigned kTagOffset = 28;

class HoldingTest : public DatapathTest {
 protected:
  static SessionSpec buffering(bool notify = false, unsigned delay_ms = 0, unsigned limit = 0) {
    SessionSpec spec = plain_session(kTeid);
    spec.fars[1] = FarSpec{};
    spec.fars[1].id = 2;
    spec.fars[1].action = record::far::kBuffer;
    spec.fars[1].notify = notify;
    spec.fars[1].bar = 1;
    spec.bars = {{.id = 1, .delay_ms = delay_ms, .packet_limit = limit}};
    return spec;
  }
  static Bytes downlink(std::uint32_t tag, std::uint16_t bytes = 64) {
    Bytes inner = ipv4({.source = kServer, .destination = kUe, .bytes = bytes});
    wire::store32(inner.data() + kTagOffset, tag);
    return inner;
  }
  /// Sends tagged packets, and takes what leaves on the way.
  void arrive(unsigned count) {
    for (unsigned n = 0; n < count; ++n) {
      ASSERT_TRUE(inject(1, downlink(next_tag_++)));
      if (n % 32 == 31) turn();
    }
    turn();
  }
  void turn() {
    path_->step();
    for (Bytes& b : collect(0)) out_.push_back(std::move(b));
    collect_events();
  }
  void settle() {
    for (unsigned n = 0; n < 2000; ++n) turn();
  }
  static std::uint32_t tag(const Bytes& b) {
    return wire::load32(b.data() + b.size() - 64 + kTagOffset);
  }
  void expect_in_order(std::size_t count) {
    ASSERT_EQ(out_.size(), count);
    for (std::size_t n = 0; n < count; ++n) ASSERT_EQ(tag(out_[n]), n) << "out of order";
  }
  unsigned notifications() {
    return static_cast<unsigned>(std::count_if(events_.begin(), events_.end(), [](const Event& e) {
      return e.kind == EventKind::DownlinkData;
    }));
  }
  std::uint64_t held() { return path_->statistics().held; }

  std::uint32_t next_tag_ = 0;
  std::vector<Bytes> out_;
};

TEST_F(HoldingTest, HeldPacketsLeaveInOrderAndLiveOnesBehindThem) {
  ASSERT_EQ(create(kSession, buffering(false, 0, 4000)), PrepareStatus::Ok);
  arrive(3000);
  EXPECT_TRUE(out_.empty());
  EXPECT_EQ(held(), 3000u);
  conserve();
  EXPECT_EQ(send(0, gtpu(kTeid, ipv4({}))).size(), 1u) << "the other direction goes on";
  ASSERT_EQ(update(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  arrive(1000);
  settle();
  expect_in_order(4000);
  EXPECT_EQ(held(), 0u);
  arrive(10);
  expect_in_order(4010);
}

TEST_F(HoldingTest, HoldingTakesNoPacketsFromTraffic) {
  ASSERT_EQ(create(kSession, buffering(false, 0, 5000)), PrepareStatus::Ok);
  const std::uint32_t before = path_->pool().available();
  arrive(3000);
  EXPECT_EQ(path_->pool().available(), before);
  ASSERT_EQ(update(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  settle();
  EXPECT_EQ(path_->pool().available(), before);
}

TEST_F(HoldingTest, WhatStoodInForHeldPacketsLeavesThePoolAsSoonAsItCan) {
  ASSERT_EQ(create(kSession, buffering()), PrepareStatus::Ok);
  const std::uint32_t before = path_->pool().available();
  arrive(10);
  // All packets are elsewhere when the held ones leave.
  std::vector<Packet*> elsewhere(4096);
  elsewhere.resize(path_->pool().cache(0).allocate(elsewhere.data(), 4096));
  ASSERT_EQ(update(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  path_->step();
  EXPECT_EQ(held(), 0u);
  path_->pool().cache(0).free(elsewhere.data(), static_cast<unsigned>(elsewhere.size()));
  turn();
  expect_in_order(10);
  EXPECT_EQ(path_->pool().available(), before);
}

TEST_F(HoldingTest, ASessionHolds1024PacketsUnlessItsBarSaysElse) {
  ASSERT_EQ(create(kSession, buffering()), PrepareStatus::Ok);
  arrive(1030);
  EXPECT_EQ(held(), 1024u);
  EXPECT_EQ(dropped(DropReason::FarBuffer), 6u);
  ASSERT_EQ(update(kSession, buffering(false, 0, 1100)), PrepareStatus::Ok);
  settle();
  EXPECT_EQ(held(), 1024u) << "still held";
  arrive(100);
  EXPECT_EQ(held(), 1100u);
  conserve();
}

TEST_F(HoldingTest, AllSessionsTogetherHoldNoMoreThanTheLimit) {
  ASSERT_EQ(create(kSession, buffering(false, 0, 60000)), PrepareStatus::Ok);
  arrive(4200);
  EXPECT_EQ(held(), 4096u);
  EXPECT_EQ(dropped(DropReason::FarBuffer), 104u);
  ASSERT_EQ(update(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  settle();
  expect_in_order(4096);
}

TEST_F(HoldingTest, OnlyWhatTheBufferingFarOwnsIsHeld) {
  SessionSpec spec = buffering();
  PdrSpec other = spec.pdrs[1];
  other.id = 9;
  other.precedence = 5;
  other.far = 2;
  FilterSpec filter;
  filter.protocol = 17;
  filter.local_ports = {{443, 443}};
  other.filters = {filter};
  spec.pdrs.push_back(other);
  FarSpec to_gnb = plain_session(kTeid).fars[1];
  to_gnb.id = 3;
  spec.fars.push_back(to_gnb);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  EXPECT_EQ(send(1, ipv4({.source = kServer, .destination = kUe})).size(), 1u);
  EXPECT_EQ(send(1, ipv4({.source = kServer, .destination = kUe, .destination_port = 80})).size(),
            0u);
  EXPECT_EQ(held(), 1u);
  EXPECT_EQ(send(1, ipv4({.source = kServer, .destination = kUe})).size(), 1u) << "not behind it";
  // A change that leaves the FAR as it is lets nothing go, and nothing is lost.
  spec.fars[2].teid = 0x777;
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  settle();
  EXPECT_EQ(held(), 1u);
  EXPECT_EQ(send(1, ipv4({.source = kServer, .destination = kUe})).size(), 1u);
  ASSERT_EQ(update(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  settle();
  EXPECT_EQ(held(), 0u);
  EXPECT_EQ(out_.size(), 1u);
}

TEST_F(HoldingTest, HeldPacketsArePolicedAndAccountedOnRelease) {
  SessionSpec spec = buffering();
  QerSpec qer;
  qer.downlink_mbr = 1;  // 1 kbit/s: the depth of 3,000 octets is all there is
  spec.qers = {qer};
  spec.urrs = {UrrSpec{}};
  spec.pdrs[1].qers = {0};
  spec.pdrs[1].urrs = {0};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  for (unsigned n = 0; n < 5; ++n) EXPECT_TRUE(send(1, downlink(n, 1000)).empty());
  ASSERT_EQ(change(OperationKind::Update, kSession, &spec, {0}), PrepareStatus::Ok);
  ASSERT_FALSE(events_.empty());
  EXPECT_EQ(events_.back().bytes[1], 0u) << "nothing is counted while it is held";
  SessionSpec forwards = plain_session(kTeid);
  forwards.qers = spec.qers;
  forwards.urrs = spec.urrs;
  forwards.pdrs[1].qers = {0};
  forwards.pdrs[1].urrs = {0};
  ASSERT_EQ(update(kSession, forwards), PrepareStatus::Ok);
  settle();
  EXPECT_EQ(out_.size(), 3u);
  EXPECT_EQ(dropped(DropReason::MbrExceeded), 2u);
  ASSERT_EQ(change(OperationKind::Update, kSession, &forwards, {0}), PrepareStatus::Ok);
  EXPECT_EQ(events_.back().bytes[1], 3000u);
}

TEST_F(HoldingTest, ClosedGatesDropWhatWouldBeHeld) {
  SessionSpec spec = buffering();
  QerSpec qer;
  qer.downlink_closed = true;
  spec.qers = {qer};
  spec.pdrs[1].qers = {0};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  expect_drop(1, downlink(0), DropReason::GateClosed);
}

TEST_F(HoldingTest, DropBufferedAndDeletionDropWhatIsHeld) {
  ASSERT_EQ(create(kSession, buffering()), PrepareStatus::Ok);
  arrive(300);
  ASSERT_EQ(update(kSession, buffering(), kOperationDropBuffered), PrepareStatus::Ok);
  settle();
  EXPECT_EQ(dropped(DropReason::HoldDropped), 300u);
  EXPECT_EQ(held(), 0u);
  arrive(200);
  ASSERT_EQ(remove(kSession), PrepareStatus::Ok);
  settle();
  EXPECT_EQ(dropped(DropReason::HoldDropped), 500u);
  EXPECT_EQ(held(), 0u);
  ASSERT_EQ(create(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  EXPECT_EQ(send(1, downlink(0)).size(), 1u);
}

TEST_F(HoldingTest, OneNotificationAnEpisode) {
  SessionSpec spec = buffering(true);
  QerSpec qer;
  qer.qfi = 7;
  spec.qers = {qer};
  spec.pdrs[1].qers = {0};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  arrive(100);
  ASSERT_EQ(notifications(), 1u);
  EXPECT_EQ(events_[0].session, kSession);
  EXPECT_EQ(events_[0].id, 2u) << "the PDR";
  EXPECT_EQ(events_[0].qfi, 7u);
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  arrive(10);
  EXPECT_EQ(notifications(), 1u) << "a change that still holds is the same episode";
  ASSERT_EQ(update(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  settle();
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  arrive(10);
  EXPECT_EQ(notifications(), 2u);
  ASSERT_EQ(update(kSession, spec, kOperationDropBuffered), PrepareStatus::Ok);
  arrive(10);
  EXPECT_EQ(notifications(), 3u);
}

TEST_F(HoldingTest, NoNotificationWhenTheDelayOutlastsTheEpisode) {
  ASSERT_EQ(create(kSession, buffering(true, 3'600'000)), PrepareStatus::Ok);
  arrive(10);
  ASSERT_EQ(update(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  settle();
  EXPECT_EQ(notifications(), 0u);
  expect_in_order(10);
}

TEST_F(HoldingTest, TheNotificationComesAfterItsDelay) {
  ASSERT_EQ(create(kSession, buffering(true, 20)), PrepareStatus::Ok);
  const auto before = std::chrono::steady_clock::now();
  arrive(1);
  while (notifications() == 0) turn();
  EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(20));
  settle();
  EXPECT_EQ(notifications(), 1u);
}

/// Uplink of a session reports with each packet until the event ring has room for nothing more.
TEST_F(HoldingTest, AFullEventRingDelaysTheNotification) {
  SessionSpec spec = buffering(true);
  UrrSpec urr;
  urr.threshold[0] = 1;
  spec.urrs = {urr};
  spec.pdrs[0].urrs = {0};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const Bytes uplink = gtpu(kTeid, ipv4({}));
  for (unsigned n = 0; n < kEventRing + 100; ++n) EXPECT_EQ(send(0, uplink).size(), 1u);
  ASSERT_TRUE(inject(1, downlink(0)));
  const auto before = std::chrono::steady_clock::now();
  do {
    path_->step();
  } while (std::chrono::steady_clock::now() - before < std::chrono::milliseconds(5));
  std::vector<Event> ring(kEventRing);
  events_.insert(events_.end(), ring.begin(), ring.begin() + path_->poll(ring.data(), kEventRing));
  EXPECT_EQ(notifications(), 0u) << "there was no room, though it was tried again and again";
  while (notifications() == 0) turn();
  settle();
  EXPECT_EQ(notifications(), 1u);
  std::uint64_t packets = 0;
  for (const Event& e : events_) packets += e.kind == EventKind::Usage ? e.packets[0] : 0;
  EXPECT_EQ(packets, kEventRing + 100u) << "and the usage merged";
}

TEST_F(HoldingTest, StoppingFreesWhatIsHeld) {
  ASSERT_EQ(create(kSession, buffering()), PrepareStatus::Ok);
  arrive(100);
  path_->stop();
  EXPECT_EQ(dropped(DropReason::Stopping), 100u);
  EXPECT_EQ(path_->pool().available(), path_->pool().capacity());
}

class ExpiringTest : public HoldingTest {
 protected:
  void configure(DatapathConfig& config) const override { config.held_max = 5'000'000; }
};

TEST_F(ExpiringTest, HeldPacketsExpireAndEndTheEpisode) {
  ASSERT_EQ(create(kSession, buffering(true)), PrepareStatus::Ok);
  arrive(100);
  while (held() != 0) turn();
  EXPECT_EQ(dropped(DropReason::HoldExpired), 100u);
  EXPECT_EQ(notifications(), 1u);
  arrive(1);
  EXPECT_EQ(notifications(), 2u);
  ASSERT_EQ(update(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  while (held() != 0) turn();
}

TEST_F(HoldingTest, CopiesGoWhereTheDuplicatesSay) {
  SessionSpec spec = plain_session(kTeid);
  FarSpec copy = spec.fars[1];
  copy.teid = 0x4711;
  copy.ipv4 = kGnb + 1;
  FarSpec plain;
  spec.fars[1].duplicates = {copy, plain};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const Bytes inner = downlink(7);
  ASSERT_TRUE(inject(1, inner));
  path_->step();
  const auto tunnelled = collect(0), bare = collect(1);
  ASSERT_EQ(tunnelled.size(), 2u);
  ASSERT_EQ(bare.size(), 1u);
  EXPECT_EQ(bare[0], inner);
  EXPECT_EQ(wire::load32(tunnelled[0].data() + 32), 0x4711u);
  EXPECT_EQ(wire::load32(tunnelled[1].data() + 32), 0x1234u);
  for (const Bytes& b : tunnelled) {
    EXPECT_EQ(std::memcmp(b.data() + b.size() - 64, inner.data(), 64), 0);
  }
  conserve();
  EXPECT_EQ(path_->statistics().created, 2u);
  // The packet itself may be dropped while its copies go on.
  spec.fars[1].action = record::far::kDrop;
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  EXPECT_EQ(send(1, inner).size(), 2u);
  EXPECT_EQ(dropped(DropReason::FarDrop), 1u);
  conserve();
}

class HoldingInTime : public HoldingTest {
 protected:
  HoldingInTime() { starts_at_ = 1'700'000'000'000'000'000; }
};

TEST_F(HoldingInTime, WhatDrainsDoesNotExpire) {
  ASSERT_EQ(create(kSession, buffering()), PrepareStatus::Ok);
  ASSERT_TRUE(inject(1, downlink(0)));
  pass(1'000'000);
  ASSERT_EQ(held(), 1u);
  // The change is in force, and its turn comes only when the packet is too old.
  ASSERT_EQ(update(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  pass(120'000'000'000);
  EXPECT_EQ(collect(0).size(), 1u);
  EXPECT_EQ(held(), 0u);
  conserve();
}

}  // namespace
}  // namespace sluice::test
