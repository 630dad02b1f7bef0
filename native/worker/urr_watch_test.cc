// What few URRs ask for: monitoring times, quota holding and validity times, downlink that was
// dropped, End Markers, envelopes, pauses. The time is the test's: it stands still but for pass().
#include "wire/gtpu.h"
#include "worker/datapath_fixture_test.h"

namespace sluice::test {
namespace {

const std::uint32_t kTeid = direct_teid(3, 5, 1);
constexpr SessionIndex kSession = 3 * 64 + 5;
constexpr Nanoseconds kMillisecond = 1'000'000, kSecond = 1000 * kMillisecond;
constexpr std::uint32_t kStartS = 1'800'000'000;

class UrrWatchTest : public DatapathTest {
 protected:
  UrrWatchTest() { starts_at_ = kStartS * kSecond; }
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
  std::size_t down(std::uint16_t bytes = 100) {
    const std::size_t out =
        send(1, ipv4({.source = kServer, .destination = kUe, .bytes = bytes})).size();
    collect_events();
    return out;
  }
  std::vector<Event> take() { return std::exchange(events_, {}); }
  /// What a query of the first URR brings.
  std::vector<Event> query() {
    take();
    EXPECT_EQ(change(OperationKind::Update, kSession, &spec_, {0}), PrepareStatus::Ok);
    return take();
  }
  /// The only event that has come, and its triggers.
  Event only(std::uint32_t triggers) {
    const auto events = take();
    EXPECT_EQ(events.size(), 1u);
    if (events.size() != 1) return {};
    EXPECT_EQ(events[0].kind, EventKind::Usage);
    EXPECT_EQ(events[0].triggers, triggers);
    return events[0];
  }
  SessionSpec spec_;
};

TEST_F(UrrWatchTest, UsageBeforeAndAfterAMonitoringTimeIsToldApart) {
  UrrSpec urr;
  urr.duration = true;
  urr.threshold[0] = 10'000;
  urr.monitors = {{.time_s = kStartS + 60, .threshold = {1000, 0, 0}}};
  make(urr);
  pass(50 * kSecond);
  up(300);
  down(200);
  pass(20 * kSecond);
  EXPECT_TRUE(take().empty()) << "the moment itself is silent";
  up(400);
  EXPECT_TRUE(take().empty());
  up(600);
  const auto events = take();
  ASSERT_EQ(events.size(), 2u) << "the threshold from then on";
  EXPECT_EQ(events[0].triggers, kTriggerMonitoringTime);
  EXPECT_EQ(events[0].part, kUsageBeforeMonitoringTime);
  EXPECT_EQ(events[0].bytes[0], 300u);
  EXPECT_EQ(events[0].bytes[1], 200u);
  EXPECT_EQ(events[0].packets[0] + events[0].packets[1], 2u);
  EXPECT_EQ(events[0].end_time, (kStartS + 60) * kSecond);
  EXPECT_LE(events[0].duration_ns - 10 * kSecond, TimerWheel::kTick);
  EXPECT_EQ(events[1].triggers, kTriggerVolumeThreshold);
  EXPECT_EQ(events[1].part, kUsageAfterMonitoringTime);
  EXPECT_EQ(events[1].sequence, events[0].sequence + 1);
  EXPECT_EQ(events[1].start_time, events[0].end_time);
  EXPECT_EQ(events[1].bytes[0], 1000u);
  EXPECT_EQ(events[0].duration_ns + events[1].duration_ns, 20 * kSecond);
  up(1000);
  EXPECT_EQ(only(kTriggerVolumeThreshold).part, 0u) << "and for each window after it";
}

TEST_F(UrrWatchTest, WithoutANewThresholdWhatIsLeftGoesOn) {
  UrrSpec urr;
  urr.threshold[0] = 1000;
  urr.monitors = {{.time_s = kStartS + 60}};
  make(urr);
  up(700);
  pass(61 * kSecond);
  up(200);
  EXPECT_TRUE(take().empty());
  up(100);
  const auto events = take();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].bytes[0], 700u);
  EXPECT_EQ(events[1].bytes[0], 300u);
  up(900);
  EXPECT_TRUE(take().empty()) << "the next window has all of it";
  up(100);
  EXPECT_EQ(only(kTriggerVolumeThreshold).bytes[0], 1000u);
}

TEST_F(UrrWatchTest, AMonitoringTimeGrantsQuotas) {
  UrrSpec urr;
  urr.duration = true;
  urr.quota[0] = 500;
  urr.monitors = {{.time_s = kStartS + 60, .quota = {800, 0, 0}, .time_quota_ms = 30'000}};
  make(urr);
  up(500);
  only(kTriggerVolumeQuota);
  EXPECT_EQ(up(100), 0u);
  pass(61 * kSecond);
  EXPECT_EQ(up(100), 1u) << "new quotas from then on";
  pass(31 * kSecond);
  auto events = take();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].part, kUsageBeforeMonitoringTime);
  EXPECT_EQ(events[0].bytes[0], 0u);
  EXPECT_EQ(events[1].triggers, kTriggerTimeQuota);
  EXPECT_EQ(up(100), 0u);
}

TEST_F(UrrWatchTest, SeveralMonitoringTimesAreToldOneByOne) {
  UrrSpec urr;
  urr.monitors = {{.time_s = kStartS + 10},
                  {.time_s = kStartS + 20, .threshold = {600, 0, 0}},
                  {.time_s = kStartS + 30}};
  make(urr);
  up(100);
  pass(11 * kSecond);
  up(200);
  pass(10 * kSecond);
  EXPECT_EQ(only(kTriggerMonitoringTime).bytes[0], 100u) << "a second one is to be kept apart";
  up(300);
  pass(10 * kSecond);
  EXPECT_EQ(only(kTriggerMonitoringTime).bytes[0], 200u);
  up(299);
  EXPECT_TRUE(take().empty());
  up(40);
  const auto events = take();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].bytes[0], 300u);
  EXPECT_EQ(events[1].bytes[0], 339u) << "of 600, 300 were left";
  for (unsigned i = 0; i < 2; ++i) EXPECT_EQ(events[i].sequence, 2 + i);
}

TEST_F(UrrWatchTest, MonitoringTimesStandOverUpdates) {
  UrrSpec urr;
  urr.threshold[0] = 10'000;
  urr.monitors = {{.time_s = kStartS + 60, .threshold = {1000, 0, 0}}};
  make(urr);
  up(300);
  pass(61 * kSecond);
  spec_.urrs[0].period_ms = 3'600'000;
  EXPECT_EQ(update(kSession, spec_), PrepareStatus::Ok);
  EXPECT_TRUE(take().empty());
  up(1000);
  auto events = take();
  ASSERT_EQ(events.size(), 2u) << "the same limits, which have given way to others";
  EXPECT_EQ(events[0].bytes[0], 300u);
  EXPECT_EQ(events[1].triggers, kTriggerVolumeThreshold);
  spec_.urrs[0].threshold[0] = 2000;
  EXPECT_EQ(update(kSession, spec_), PrepareStatus::Ok);
  up(1500);
  EXPECT_TRUE(take().empty()) << "a new threshold is in force";
  up(500);
  only(kTriggerVolumeThreshold);
  spec_.urrs[0].monitors[0].time_s = kStartS + 30;
  up(70);
  EXPECT_EQ(update(kSession, spec_), PrepareStatus::Ok);
  EXPECT_EQ(query().at(0).bytes[0], 70u) << "a time before the one that has passed is nothing";
  up(80);
  spec_.urrs[0].monitors.push_back({.time_s = kStartS + 61});
  EXPECT_EQ(update(kSession, spec_), PrepareStatus::Ok);
  events = query();
  ASSERT_EQ(events.size(), 2u) << "a later one is due at once";
  EXPECT_EQ(events[0].bytes[0], 80u);
  EXPECT_EQ(events[1].bytes[0], 0u);
}

TEST_F(UrrWatchTest, WithoutMonitoringTimesWhatWasKeptApartIsOneAgain) {
  UrrSpec urr;
  urr.duration = true;
  urr.monitors = {{.time_s = kStartS + 60}};
  make(urr);
  up(300);
  pass(61 * kSecond);
  up(100);
  spec_.urrs[0].monitors.clear();
  const auto events = query();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].bytes[0], 400u);
  EXPECT_EQ(events[0].duration_ns, 61 * kSecond);
  EXPECT_EQ(events[0].start_time, kStartS * kSecond);
}

TEST_F(UrrWatchTest, ATimeThatHadPassedWhenTheUrrCameJustSetsItsLimits) {
  UrrSpec urr;
  urr.threshold[0] = 10'000;
  urr.monitors = {{.time_s = kStartS - 60, .threshold = {500, 0, 0}}};
  make(urr);
  up(500);
  EXPECT_EQ(only(kTriggerVolumeThreshold).part, 0u);
}

TEST_F(UrrWatchTest, TheQuotaHoldingTimeIsToldOnceAfterTheLastPacket) {
  UrrSpec urr;
  urr.quota[0] = 10'000;
  urr.quota_holding_ms = 8'000;
  make(urr);
  pass(7 * kSecond);
  up(100);
  pass(7 * kSecond);
  up(100);
  pass(7 * kSecond);
  EXPECT_TRUE(take().empty());
  pass(2 * kSecond);
  EXPECT_EQ(only(kTriggerQuotaHoldingTime).bytes[0], 200u);
  pass(60 * kSecond);
  EXPECT_TRUE(take().empty());
  EXPECT_EQ(up(100), 1u) << "the quota is there still";
  pass(9 * kSecond);
  only(kTriggerQuotaHoldingTime);
  pass(60 * kSecond);
  spec_.urrs[0].grant = 1;
  EXPECT_EQ(update(kSession, spec_), PrepareStatus::Ok);
  EXPECT_TRUE(take().empty()) << "it counts from a new grant";
  pass(9 * kSecond);
  only(kTriggerQuotaHoldingTime);
}

TEST_F(UrrWatchTest, AQuotaIsUsedUpWhenItsValidityEnds) {
  UrrSpec urr;
  urr.quota[0] = 1000;
  urr.quota_validity_ms = 60'000;
  make(urr);
  up(100);
  pass(59 * kSecond);
  EXPECT_TRUE(take().empty());
  EXPECT_EQ(up(200), 1u);
  pass(2 * kSecond);
  EXPECT_EQ(only(kTriggerQuotaValidityTime).bytes[0], 300u);
  expect_drop(0, gtpu(kTeid, ipv4({})), DropReason::QuotaExhausted);
  EXPECT_TRUE(take().empty());
  EXPECT_EQ(update(kSession, spec_), PrepareStatus::Ok);
  expect_drop(0, gtpu(kTeid, ipv4({})), DropReason::QuotaExhausted);
  spec_.urrs[0].grant = 1;
  EXPECT_EQ(update(kSession, spec_), PrepareStatus::Ok);
  EXPECT_EQ(up(100), 1u) << "a new quota, and its own validity";
  pass(59 * kSecond);
  EXPECT_EQ(up(900), 1u);
  only(kTriggerVolumeQuota);
  pass(2 * kSecond);
  EXPECT_TRUE(take().empty()) << "it was used up already";
}

TEST_F(UrrWatchTest, DroppedDownlinkIsCounted) {
  UrrSpec urr;
  urr.dropped_packets = 3;
  make(urr);
  spec_.fars[1].action = record::far::kDrop;
  EXPECT_EQ(update(kSession, spec_), PrepareStatus::Ok);
  for (unsigned round = 0; round < 2; ++round) {
    down();
    down();
    EXPECT_EQ(up(), 1u);
    EXPECT_TRUE(take().empty());
    down();
    const Event event = only(kTriggerDroppedDownlink);
    EXPECT_EQ(event.sequence, round);
    EXPECT_EQ(event.bytes[0], 100u);
  }
  down();
  spec_.urrs[0].dropped_packets = 0;
  spec_.urrs[0].dropped_bytes = 250;
  spec_.qers.push_back({.downlink_closed = true});
  spec_.fars[1].action = record::far::kForward;
  spec_.pdrs[1].qers = {0};
  EXPECT_EQ(update(kSession, spec_), PrepareStatus::Ok);
  down();
  EXPECT_TRUE(take().empty());
  down(50);
  only(kTriggerDroppedDownlink);
}

TEST_F(UrrWatchTest, WhatABufferHasNoRoomForIsDropped) {
  UrrSpec urr;
  urr.dropped_packets = 2;
  make(urr);
  spec_.fars[1].action = record::far::kBuffer;
  spec_.fars[1].bar = 1;
  spec_.bars = {{.packet_limit = 3}};
  EXPECT_EQ(update(kSession, spec_), PrepareStatus::Ok);
  for (unsigned i = 0; i < 4; ++i) down();
  EXPECT_TRUE(take().empty());
  down();
  only(kTriggerDroppedDownlink);
}

TEST_F(UrrWatchTest, EndMarkersAreReported) {
  UrrSpec urr;
  urr.more_flags = record::urr::kReportEndMarker;
  make(urr);
  Bytes marker(28 + wire::kEndMarkerBytes);
  wire::write_ipv4(marker.data(), {.source = kGnb,
                                   .destination = kN3,
                                   .total_length = static_cast<std::uint16_t>(marker.size())});
  wire::write_udp(marker.data() + 20, 2152, 2152, static_cast<std::uint16_t>(marker.size() - 20));
  wire::write_end_marker(marker.data() + 28, Teid{kTeid});
  up(100);
  expect_drop(0, marker, DropReason::EndMarker);
  collect_events();
  EXPECT_EQ(only(kTriggerEndMarker).bytes[0], 100u);
  spec_.urrs[0].more_flags = 0;
  EXPECT_EQ(update(kSession, spec_), PrepareStatus::Ok);
  expect_drop(0, marker, DropReason::EndMarker);
  collect_events();
  EXPECT_TRUE(take().empty());
}

TEST_F(UrrWatchTest, AnEnvelopeClosesWhenTrafficPauses) {
  UrrSpec urr;
  urr.duration = true;
  urr.inactivity_ms = 8'000;
  urr.more_flags = record::urr::kReportEnvelope;
  make(urr);
  pass(20 * kSecond);
  EXPECT_EQ(take().size(), 1u) << "an Inactivity, and no envelope that was never open";
  up(100);
  pass(10 * kSecond);
  const auto events = take();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].kind, EventKind::Inactivity);
  EXPECT_EQ(events[1].triggers, kTriggerEnvelopeClosure);
}

TEST_F(UrrWatchTest, AnInstantStartNeedsNoPacket) {
  UrrSpec urr;
  urr.duration = true;
  urr.time_threshold_ms = 10'000;
  urr.more_flags = record::urr::kInstantStart;
  make(urr);
  pass(11 * kSecond);
  EXPECT_GE(only(kTriggerTimeThreshold).duration_ns, 10 * kSecond);
}

TEST_F(UrrWatchTest, APauseMeasuresNothingAndStopsNothing) {
  UrrSpec urr;
  urr.duration = true;
  urr.quota[0] = 300;
  make(urr);
  up(200);
  pass(5 * kSecond);
  spec_.urrs[0].more_flags = record::urr::kPaused;
  EXPECT_EQ(update(kSession, spec_), PrepareStatus::Ok);
  EXPECT_EQ(up(500), 1u) << "no quota applies";
  pass(20 * kSecond);
  spec_.urrs[0].more_flags = 0;
  EXPECT_EQ(update(kSession, spec_), PrepareStatus::Ok);
  pass(3 * kSecond);
  EXPECT_EQ(up(101), 0u) << "100 are left";
  const Event event = only(kTriggerVolumeQuota);
  EXPECT_EQ(event.bytes[0], 200u);
  EXPECT_EQ(event.duration_ns, 5 * kSecond);
}

TEST_F(UrrWatchTest, AQuotaOfNothingIsUsedUpInBothDirections) {
  UrrSpec urr;
  urr.quota[2] = 1000;
  make(urr);
  std::vector<std::uint32_t> words = RecordBuilder().build(spec_);
  RecordReader reader(words.data(), words.size() * 4);
  words[static_cast<std::size_t>(reader.urr(0) - words.data()) + record::urr::Flags] |=
      record::urr::kQuotaUplink;
  words[record::header::SessionIndex] = kSession;
  records_.push_back(words);
  Operation op{};
  op.kind = static_cast<std::uint32_t>(OperationKind::Update);
  op.session = kSession;
  op.chunk = chunks_++;
  path_->register_chunk(reinterpret_cast<const std::byte*>(records_.back().data()),
                        words.size() * 4);
  path_->prepare(&op, 1, nullptr);
  ASSERT_EQ(op.status, 0u);
  path_->apply(&op.ticket, 1);
  collect_events();
  EXPECT_EQ(down(100), 0u) << "the first packet of either";
  EXPECT_EQ(only(kTriggerVolumeQuota).bytes[1], 0u);
  EXPECT_EQ(up(100), 0u);
  EXPECT_EQ(down(100), 0u);
  EXPECT_TRUE(take().empty());
}

}  // namespace
}  // namespace sluice::test
