// Gates, buckets, thresholds and quotas: what is counted, and when it stops a packet.
#include "worker/datapath_fixture_test.h"

namespace sluice::test {
namespace {

const std::uint32_t kTeid = direct_teid(3, 5, 1);
constexpr SessionIndex kSession = 3 * 64 + 5;

TEST_F(DatapathTest, GatesAreByDirection) {
  SessionSpec spec = plain_session(kTeid);
  QerSpec qer;
  qer.downlink_closed = true;
  spec.qers = {qer};
  spec.pdrs[0].qers = spec.pdrs[1].qers = {0};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  EXPECT_EQ(send(0, gtpu(kTeid, ipv4({}))).size(), 1u);
  expect_drop(1, ipv4({.source = kServer, .destination = kUe}), DropReason::GateClosed);
  spec.qers[0].downlink_closed = false;
  spec.qers[0].uplink_mbr = 0;
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  EXPECT_EQ(send(1, ipv4({.source = kServer, .destination = kUe})).size(), 1u);
  expect_drop(0, gtpu(kTeid, ipv4({})), DropReason::GateClosed);
}

TEST_F(DatapathTest, BucketsShareAndRunDry) {
  SessionSpec spec = plain_session(kTeid);
  QerSpec flow, ambr, other;
  flow.uplink_mbr = 1'000'000'000 / 1000;  // deep: never the limit here
  ambr.id = 2;
  ambr.uplink_mbr = 1;  // 1 kbit/s: the depth of two MTU is all there is
  ambr.shared = "ambr";
  other = ambr;
  other.id = 3;
  spec.qers = {flow, ambr, other};
  PdrSpec second = spec.pdrs[0];
  second.id = 9;
  second.precedence = 50;
  second.qfis = 1ull << 7;
  spec.pdrs[0].qers = {0, 1};
  second.qers = {0, 2};
  spec.pdrs.push_back(second);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  unsigned passed = 0;
  for (unsigned i = 0; i < 8; ++i)
    passed += send(0, gtpu(kTeid, ipv4({.bytes = 1000}), i % 2 ? 7 : 9)).size();
  EXPECT_EQ(passed, 3u) << "3,000 octets in one shared bucket, whichever PDR";
  EXPECT_EQ(dropped(DropReason::MbrExceeded), 5u);
}

TEST_F(DatapathTest, ManyBucketsAndPdrsLiveInTheExtension) {
  SessionSpec spec = plain_session(kTeid);
  spec.pdrs.erase(spec.pdrs.begin());
  for (unsigned i = 0; i < 20; ++i) {
    PdrSpec up = plain_session(kTeid).pdrs[0];
    up.id = 100 + i;
    up.precedence = i;
    up.qfis = 2ull << i;
    up.qers = {static_cast<std::uint8_t>(i)};
    spec.pdrs.push_back(up);
    QerSpec qer;
    qer.id = i + 1;
    qer.uplink_mbr = 1;
    spec.qers.push_back(qer);
  }
  spec.pdrs[0].far = 1;
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  for (unsigned i = 0; i < 20; ++i) {
    const auto packet = gtpu(kTeid, ipv4({.bytes = 1400}), static_cast<int>(i + 1));
    EXPECT_EQ(send(0, packet).size(), 1u) << i;
    EXPECT_EQ(send(0, packet).size(), 1u) << i;
    expect_drop(0, packet, DropReason::MbrExceeded);
  }
}

TEST_F(DatapathTest, ThresholdReportsAreExactAndAddUp) {
  SessionSpec spec = plain_session(kTeid);
  UrrSpec both, down;
  both.threshold[0] = 1000;
  down.id = 2;
  down.threshold[2] = 500;
  spec.urrs = {both, down};
  spec.pdrs[0].urrs = {0};
  spec.pdrs[1].urrs = {0, 1};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  std::uint64_t sent[2] = {};
  for (unsigned i = 0; i < 400; ++i) {
    const auto bytes = static_cast<std::uint16_t>(40 + i * 7 % 160);
    const bool up = i % 3 != 0;
    const auto out = up ? send(0, gtpu(kTeid, ipv4({.bytes = bytes})))
                        : send(1, ipv4({.source = kServer, .destination = kUe, .bytes = bytes}));
    ASSERT_EQ(out.size(), 1u);
    sent[up ? 0 : 1] += bytes;
    collect_events();
  }
  ASSERT_EQ(remove(kSession), PrepareStatus::Ok);
  std::uint64_t counted[3][2] = {}, packets = 0;
  std::uint32_t next[3] = {};
  for (const Event& e : events_) {
    ASSERT_EQ(e.sequence, next[e.id]++);
    counted[e.id][0] += e.bytes[0];
    counted[e.id][1] += e.bytes[1];
    if (e.id == 1) packets += e.packets[0] + e.packets[1];
    if (e.triggers & kTriggerTermination) continue;
    EXPECT_EQ(e.triggers, kTriggerVolumeThreshold);
    const std::uint64_t volume = e.id == 1 ? e.bytes[0] + e.bytes[1] : e.bytes[1];
    const std::uint64_t limit = e.id == 1 ? 1000 : 500;
    EXPECT_GE(volume, limit);
    EXPECT_LT(volume, limit + 200) << "at the very packet that reached it";
  }
  EXPECT_EQ(counted[1][0], sent[0]);
  EXPECT_EQ(counted[1][1], sent[1]);
  EXPECT_EQ(counted[2][1], sent[1]);
  EXPECT_EQ(packets, 400u);
  EXPECT_GT(next[1], 20u);
}

TEST_F(DatapathTest, QuotaBlocksUntilANewOneComes) {
  SessionSpec spec = plain_session(kTeid);
  UrrSpec urr;
  urr.quota[0] = 1000;
  spec.urrs = {urr};
  spec.pdrs[0].urrs = spec.pdrs[1].urrs = {0};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const auto packet = gtpu(kTeid, ipv4({.bytes = 100}));
  for (unsigned i = 0; i < 10; ++i) EXPECT_EQ(send(0, packet).size(), 1u);
  expect_drop(0, packet, DropReason::QuotaExhausted);
  expect_drop(1, ipv4({.source = kServer, .destination = kUe}), DropReason::QuotaExhausted);
  collect_events();
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].triggers, kTriggerVolumeQuota);
  EXPECT_EQ(events_[0].bytes[0], 1000u);
  spec.urrs[0].quota[0] = 500;
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  for (unsigned i = 0; i < 5; ++i) EXPECT_EQ(send(0, packet).size(), 1u);
  expect_drop(0, packet, DropReason::QuotaExhausted);
}

TEST_F(DatapathTest, UpdateKeepsCountersAndBucketsOfWhatStays) {
  SessionSpec spec = plain_session(kTeid);
  UrrSpec stays, goes;
  goes.id = 2;
  spec.urrs = {goes, stays};
  spec.pdrs[0].urrs = {0, 1};
  QerSpec qer;
  qer.uplink_mbr = 1;
  spec.qers = {qer};
  spec.pdrs[0].qers = {0};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  EXPECT_EQ(send(0, gtpu(kTeid, ipv4({.bytes = 1400}))).size(), 1u);
  spec.urrs.erase(spec.urrs.begin());
  spec.pdrs[0].urrs = {0};
  spec.fars[1].teid = 0x99;
  ASSERT_EQ(change(OperationKind::Update, kSession, &spec, {0, 1}), PrepareStatus::Ok);
  ASSERT_EQ(events_.size(), 2u) << "asked for by their places before; one is gone";
  EXPECT_EQ(events_[0].id, 2u);
  EXPECT_EQ(events_[0].triggers, kTriggerTermination);
  EXPECT_EQ(events_[0].bytes[0], 1400u);
  EXPECT_EQ(events_[1].id, 1u);
  EXPECT_EQ(events_[1].triggers, kTriggerImmediate);
  EXPECT_EQ(events_[1].bytes[0], 1400u);
  EXPECT_EQ(send(0, gtpu(kTeid, ipv4({.bytes = 1400}))).size(), 1u);
  expect_drop(0, gtpu(kTeid, ipv4({.bytes = 1400})), DropReason::MbrExceeded);
  const auto out = send(1, ipv4({.source = kServer, .destination = kUe}));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(wire::load32(out[0].data() + 32), 0x99u);
}

TEST_F(DatapathTest, WhoAsksForUsageAloneHearsNothingOfUrrsWithoutAny) {
  SessionSpec spec = plain_session(kTeid);
  UrrSpec counts, idle;
  idle.id = 2;
  spec.urrs = {counts, idle};
  spec.pdrs[0].urrs = {0};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const auto ask = [&] {
    events_.clear();
    EXPECT_EQ(change(OperationKind::Update, kSession, &spec, {0, 1}, kOperationUsed),
              PrepareStatus::Ok);
    std::vector<std::uint32_t> ids;
    for (const Event& event : events_) ids.push_back(event.id);
    return ids;
  };
  EXPECT_EQ(ask(), std::vector<std::uint32_t>{});
  EXPECT_EQ(send(0, gtpu(kTeid, ipv4({.bytes = 100}))).size(), 1u);
  EXPECT_EQ(ask(), std::vector<std::uint32_t>{1});
  EXPECT_EQ(events_[0].bytes[0], 100u);
  EXPECT_EQ(events_[0].sequence, 0u) << "what was not told has no number";
  EXPECT_EQ(ask(), std::vector<std::uint32_t>{});
}

TEST_F(DatapathTest, AnUpdateKeepsWhatWasCountedUnderNewLimits) {
  SessionSpec spec = plain_session(kTeid);
  UrrSpec urr;
  urr.threshold[0] = 10'000;
  urr.quota[0] = 1000;
  spec.urrs = {urr};
  spec.pdrs[0].urrs = {0};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const auto packet = gtpu(kTeid, ipv4({.bytes = 100}));
  for (unsigned i = 0; i < 4; ++i) EXPECT_EQ(send(0, packet).size(), 1u);
  spec.urrs[0].threshold[0] = 600;
  spec.fars[1].teid = 0x99;
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  EXPECT_TRUE(events_.empty()) << "no report for a new threshold";
  for (unsigned i = 0; i < 2; ++i) EXPECT_EQ(send(0, packet).size(), 1u);
  collect_events();
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].triggers, kTriggerVolumeThreshold);
  EXPECT_EQ(events_[0].bytes[0], 600u);
  for (unsigned i = 0; i < 4; ++i) EXPECT_EQ(send(0, packet).size(), 1u);
  expect_drop(0, packet, DropReason::QuotaExhausted);
  collect_events();
  ASSERT_EQ(events_.size(), 2u) << "the quota went on over the update";
  EXPECT_EQ(events_[1].triggers, kTriggerVolumeQuota);
  EXPECT_EQ(events_[1].bytes[0], 400u);
  EXPECT_EQ(events_[1].sequence, 1u);
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  expect_drop(0, packet, DropReason::QuotaExhausted);
  spec.urrs[0].grant = 1;
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  for (unsigned i = 0; i < 5; ++i) EXPECT_EQ(send(0, packet).size(), 1u);
  ASSERT_EQ(remove(kSession), PrepareStatus::Ok);
  ASSERT_EQ(events_.size(), 3u);
  EXPECT_EQ(events_[2].triggers, kTriggerTermination);
  EXPECT_EQ(events_[2].bytes[0], 500u);
  EXPECT_EQ(events_[2].sequence, 2u);
}

TEST_F(DatapathTest, LinkedUrrsReportOnceForEachCause) {
  SessionSpec spec = plain_session(kTeid);
  UrrSpec first, second, third, apart;
  first.threshold[0] = 300;
  first.linked = {2};  // in a ring
  second.id = 2;
  second.linked = {0};
  third.id = 3;
  third.linked = {0, 1};
  apart.id = 4;
  spec.urrs = {first, second, third, apart};
  spec.pdrs[0].urrs = {0, 1, 3};
  spec.pdrs[1].urrs = {2};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  for (unsigned i = 0; i < 3; ++i) send(0, gtpu(kTeid, ipv4({.bytes = 100})));
  collect_events();
  ASSERT_EQ(events_.size(), 3u);
  const std::uint32_t triggers[] = {kTriggerVolumeThreshold, kTriggerLinked, kTriggerLinked};
  const std::uint64_t bytes[] = {300, 300, 0};
  for (unsigned i = 0; i < 3; ++i) {
    EXPECT_EQ(events_[i].id, i + 1);
    EXPECT_EQ(events_[i].triggers, triggers[i]);
    EXPECT_EQ(events_[i].bytes[0], bytes[i]);
  }
  events_.clear();
  ASSERT_EQ(change(OperationKind::Update, kSession, &spec, {1}), PrepareStatus::Ok);
  ASSERT_EQ(events_.size(), 3u) << "asked for at once: 2, by that 3, by that 1";
  EXPECT_EQ(events_[0].triggers, kTriggerImmediate);
  for (const Event& event : events_) EXPECT_NE(event.ticket, 0u) << "all in the same answer";
  events_.clear();
  spec.urrs.erase(spec.urrs.begin());
  for (UrrSpec& urr : spec.urrs) urr.linked = {};
  spec.pdrs[0].urrs = {0, 2};
  spec.pdrs[1].urrs = {1};
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  ASSERT_EQ(events_.size(), 3u);
  EXPECT_EQ(events_[0].id, 1u);
  EXPECT_EQ(events_[0].triggers, kTriggerTermination);
  EXPECT_EQ(events_[1].triggers, kTriggerLinked);
}

TEST_F(DatapathTest, AfterTheQuotaPacketsTakeTheQuotaFar) {
  SessionSpec spec = plain_session(kTeid);
  FarSpec redirect, drop;
  redirect.id = 7;
  redirect.tunnel = true;
  redirect.teid = 0x7777;
  redirect.ipv4 = kGnb;
  drop.id = 8;
  drop.action = record::far::kDrop;
  spec.fars.push_back(redirect);
  spec.fars.push_back(drop);
  UrrSpec urr, watching;
  urr.quota[0] = 500;
  urr.quota_far = 3;
  watching.id = 2;
  spec.urrs = {urr, watching};
  spec.pdrs[0].urrs = spec.pdrs[1].urrs = {0, 1};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const auto up = gtpu(kTeid, ipv4({.bytes = 100}));
  const auto down = ipv4({.source = kServer, .destination = kUe, .bytes = 100});
  for (unsigned i = 0; i < 5; ++i) EXPECT_EQ(send(0, up)[0].size(), 100u) << "to N6";
  for (unsigned i = 0; i < 3; ++i) {
    for (const auto& out : {send(0, up), send(1, down)}) {
      ASSERT_EQ(out.size(), 1u);
      EXPECT_EQ(wire::load32(out[0].data() + 32), 0x7777u);
    }
  }
  spec.urrs[0].quota_far = 4;
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  expect_drop(0, up, DropReason::QuotaExhausted);
  expect_drop(1, down, DropReason::QuotaExhausted);
  ASSERT_EQ(remove(kSession), PrepareStatus::Ok);
  ASSERT_EQ(events_.size(), 3u);
  EXPECT_EQ(events_[0].triggers, kTriggerVolumeQuota) << "told once";
  EXPECT_EQ(events_[0].bytes[0], 500u);
  EXPECT_EQ(events_[1].bytes[0] + events_[1].bytes[1], 600u) << "what passed by the FAR counts";
  EXPECT_EQ(events_[2].bytes[0], 800u);
  EXPECT_EQ(events_[2].bytes[1], 300u) << "what was dropped does not";
}

TEST_F(DatapathTest, MeasurementBeforePolicingCountsWhatIsPoliced) {
  SessionSpec spec = plain_session(kTeid);
  UrrSpec first, after, quota;
  first.before_policing = true;
  first.threshold[0] = 1000;
  after.id = 2;
  QerSpec qer;
  qer.uplink_mbr = 1;  // 3,000 octets at once
  qer.downlink_closed = true;
  spec.urrs = {first, after};
  spec.qers = {qer};
  spec.pdrs[0].urrs = spec.pdrs[1].urrs = {0, 1};
  spec.pdrs[0].qers = spec.pdrs[1].qers = {0};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  unsigned passed = 0;
  for (unsigned i = 0; i < 8; ++i) passed += send(0, gtpu(kTeid, ipv4({.bytes = 500}))).size();
  EXPECT_EQ(passed, 6u);
  const auto down = ipv4({.source = kServer, .destination = kUe, .bytes = 500});
  expect_drop(1, down, DropReason::GateClosed);
  collect_events();
  EXPECT_EQ(events_.size(), 4u) << "every 1,000 octets, policed or not";
  events_.clear();
  spec.urrs[0].quota[0] = 100;
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  expect_drop(1, down, DropReason::QuotaExhausted);
  ASSERT_EQ(remove(kSession), PrepareStatus::Ok);
  ASSERT_EQ(events_.size(), 3u);
  EXPECT_EQ(events_[0].triggers, kTriggerVolumeQuota);
  EXPECT_EQ(events_[0].bytes[1], 500u);
  EXPECT_EQ(events_[2].id, 2u);
  EXPECT_EQ(events_[2].bytes[0], 3000u);
  EXPECT_EQ(events_[2].bytes[1], 0u);
}

}  // namespace
}  // namespace sluice::test
