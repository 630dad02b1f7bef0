// The rules, packet by packet: one goes in, its verdict and what comes out are compared.
#include "worker/datapath_fixture_test.h"

namespace sluice::test {
namespace {

const std::uint32_t kTeid = direct_teid(3, 5, 1);
constexpr SessionIndex kSession = 3 * 64 + 5;

TEST_F(DatapathTest, UplinkLeavesPlain) {
  ASSERT_EQ(create(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  const Bytes inner = ipv4({});
  const auto out = send(0, gtpu(kTeid, inner));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0], inner);
}

TEST_F(DatapathTest, PaddingBehindTheInnerPacketIsTrimmed) {
  ASSERT_EQ(create(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  Bytes padded = ipv4({});
  const Bytes inner = padded;
  padded.resize(padded.size() + 7);
  const auto out = send(0, gtpu(kTeid, padded));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0], inner);
}

TEST_F(DatapathTest, DownlinkIsTunnelled) {
  SessionSpec spec = plain_session(kTeid);
  QerSpec qer;
  qer.qfi = 9;
  qer.rqi = true;
  spec.qers = {qer};
  spec.pdrs[1].qers = {0};
  spec.fars[1].dscp = 46;
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const Bytes inner = ipv4({.source = kServer, .destination = kUe});
  const auto out = send(1, inner);
  ASSERT_EQ(out.size(), 1u);
  const std::byte* p = out[0].data();
  ASSERT_EQ(out[0].size(), 44 + inner.size());
  EXPECT_TRUE(wire::ipv4_checksum_good(p, 20));
  EXPECT_EQ(wire::load8(p + 1), 46 << 2);
  EXPECT_EQ(wire::load16(p + 2), out[0].size());
  EXPECT_EQ(wire::load32(p + 12), kN3);
  EXPECT_EQ(wire::load32(p + 16), kGnb);
  EXPECT_EQ(wire::load16(p + 22), 2152);
  EXPECT_EQ(wire::load16(p + 24), out[0].size() - 20);
  EXPECT_EQ(wire::load32(p + 28), 0x34ff0000u | (inner.size() + 8));
  EXPECT_EQ(wire::load32(p + 32), 0x1234u);
  EXPECT_EQ(wire::load32(p + 36), 0x85u);
  EXPECT_EQ(wire::load32(p + 40), 0x01004900u) << "container: downlink, RQI, QFI 9";
  EXPECT_EQ(std::memcmp(p + 44, inner.data(), inner.size()), 0);
}

TEST_F(DatapathTest, OuterIpv6BothWays) {
  SessionSpec spec = plain_session(kTeid);
  const std::uint32_t local[4] = {0xfd000000, 0xaa, 0, 0}, gnb[4] = {0xfd000000, 0xbb, 0, 1};
  std::memcpy(spec.pdrs[0].local_ipv6, local, 16);
  spec.fars[1].is_v6 = true;
  std::memcpy(spec.fars[1].ipv6, gnb, 16);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const Bytes inner = ipv4({.source = kServer, .destination = kUe});
  const auto out = send(1, inner);
  ASSERT_EQ(out.size(), 1u);
  Bytes packet = out[0];
  std::byte* p = packet.data();
  ASSERT_EQ(packet.size(), 56 + inner.size());
  wire::UdpHeader udp{};
  ASSERT_EQ(wire::parse_udp(p + 40, packet.size() - 40, udp), DropReason::None);
  EXPECT_TRUE(wire::udp_checksum_good_v6(p + 40, udp, p + 8, p + 24));
  // The same header turned round is an uplink packet of the gNB.
  Bytes up(56 + 64);
  std::memcpy(up.data(), p, 40);
  wire::store16(up.data() + 4, 8 + 8 + 64);
  for (unsigned i = 0; i < 4; ++i) {
    wire::store32(up.data() + 8 + 4 * i, gnb[i]);
    wire::store32(up.data() + 24 + 4 * i, local[i]);
  }
  wire::write_udp(up.data() + 40, 2152, 2152, 80);
  wire::write_gpdu(up.data() + 48, Teid{kTeid}, 64, nullptr);
  std::memcpy(up.data() + 56, ipv4({}).data(), 64);
  expect_drop(0, up, DropReason::BadUdpChecksum);
  wire::fill_udp_checksum(up.data() + 40, 80,
                          wire::pseudo_header_v6(up.data() + 8, up.data() + 24, 17, 80));
  EXPECT_EQ(send(0, up).size(), 1u);
}

TEST_F(DatapathTest, Ipv6UserPlane) {
  SessionSpec spec = plain_session(kTeid, 0);
  spec.ue_prefix = kUePrefix;
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  EXPECT_EQ(send(0, gtpu(kTeid, ipv6(kUePrefix, 0x20010db800000000, 53))).size(), 1u);
  EXPECT_EQ(send(1, ipv6(0x20010db800000000, kUePrefix, 53)).size(), 1u);
  expect_drop(0, gtpu(kTeid, ipv6(kUePrefix + 1, 0x20010db800000000, 53)),
              DropReason::SpoofedSource);
  expect_drop(1, ipv6(0x20010db800000000, kUePrefix + 1, 53), DropReason::UnknownUe);
  expect_drop(0, gtpu(kTeid, ipv4({})), DropReason::SpoofedSource);
  EXPECT_EQ(send(0, gtpu(kTeid, ipv6(0xfe80000000000000, 0xff02000000000000, 53))).size(), 1u)
      << "link-local";
}

TEST_F(DatapathTest, WhatIsNotASessionsIsDropped) {
  ASSERT_EQ(create(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  expect_drop(0, gtpu(kTeid + 1, ipv4({})), DropReason::UnknownTeid);
  expect_drop(0, gtpu(0, ipv4({})), DropReason::UnknownTeid);
  expect_drop(0, gtpu(direct_teid(3, 5, 2), ipv4({})), DropReason::UnknownTeid);
  expect_drop(0, gtpu(kTeid, ipv4({.source = kUe + 1})), DropReason::SpoofedSource);
  expect_drop(0, gtpu(kTeid, ipv4({}), 9, kN3 + 1), DropReason::NotForUs);
  expect_drop(1, ipv4({.source = kServer, .destination = kUe + 1}), DropReason::UnknownUe);
  expect_drop(1, ipv4({.source = kServer, .destination = 0xe0000001}), DropReason::Multicast);
}

TEST_F(DatapathTest, PrecedenceFiltersAndQfi) {
  SessionSpec spec = plain_session(kTeid);
  spec.pdrs[0].precedence = 200;
  PdrSpec web = spec.pdrs[0];
  web.id = 7;
  web.precedence = 10;
  web.far = 2;
  FilterSpec filter;
  filter.protocol = 17;
  filter.remote = kServer & 0xffffff00;
  filter.remote_length = 24;
  filter.remote_ports = {{400, 443}, {8080, 8080}};
  web.filters = {filter};
  PdrSpec voice = spec.pdrs[0];
  voice.id = 8;
  voice.precedence = 5;
  voice.qfis = 1ull << 5;
  voice.far = 2;
  spec.pdrs.push_back(web);
  spec.pdrs.push_back(voice);
  FarSpec drop;
  drop.id = 3;
  drop.action = record::far::kDrop;
  spec.fars.push_back(drop);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  expect_drop(0, gtpu(kTeid, ipv4({.destination_port = 443})), DropReason::FarDrop);
  expect_drop(0, gtpu(kTeid, ipv4({.destination_port = 8080})), DropReason::FarDrop);
  expect_drop(0, gtpu(kTeid, ipv4({.destination = kServer | 0xff, .destination_port = 400})),
              DropReason::FarDrop);
  EXPECT_EQ(send(0, gtpu(kTeid, ipv4({.destination_port = 444}))).size(), 1u);
  EXPECT_EQ(send(0, gtpu(kTeid, ipv4({.destination = kServer + 256}))).size(), 1u);
  EXPECT_EQ(send(0, gtpu(kTeid, ipv4({.protocol = 6}))).size(), 1u) << "TCP is not UDP";
  expect_drop(0, gtpu(kTeid, ipv4({.destination_port = 9}), 5), DropReason::FarDrop);
  EXPECT_EQ(send(0, gtpu(kTeid, ipv4({.destination_port = 9}), -1)).size(), 1u) << "no container";
}

TEST_F(DatapathTest, FilterOnTosAndFragments) {
  SessionSpec spec = plain_session(kTeid);
  FilterSpec filter;
  filter.tos = 0xb8;
  filter.tos_mask = 0xfc;
  spec.pdrs[0].filters = {filter};
  FilterSpec ports;
  ports.remote_ports = {{0, 65535}};
  spec.pdrs[1].filters = {ports};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  EXPECT_EQ(send(0, gtpu(kTeid, ipv4({.tos = 0xb9}))).size(), 1u);
  expect_drop(0, gtpu(kTeid, ipv4({.tos = 0xb4})), DropReason::NoPdr);
  Bytes fragment = ipv4({.source = kServer, .destination = kUe});
  EXPECT_EQ(send(1, fragment).size(), 1u);
  wire::store16(fragment.data() + 6, 0x0010);
  expect_drop(1, fragment, DropReason::NoPdr);
}

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
  ASSERT_EQ(change(OperationKind::Update, kSession, &spec, {0}), PrepareStatus::Ok);
  ASSERT_EQ(events_.size(), 2u);
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

TEST_F(DatapathTest, FurtherTunnelsAndChosenTeids) {
  SessionSpec spec = plain_session(0x00c0ffee);  // chosen by the client: through the table
  PdrSpec indirect = spec.pdrs[0];
  indirect.id = 5;
  indirect.teid = 0x00c0ffef;
  indirect.far = 2;
  spec.pdrs.push_back(indirect);
  PdrSpec from_core = indirect;  // an N9 tunnel towards the UE
  from_core.id = 6;
  from_core.source = 2;
  from_core.teid = 0x00c0fff0;
  from_core.far = 1;
  spec.pdrs.push_back(from_core);
  FarSpec drop;
  drop.id = 3;
  drop.action = record::far::kDrop;
  spec.fars.push_back(drop);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  EXPECT_EQ(send(0, gtpu(0x00c0ffee, ipv4({}))).size(), 1u);
  expect_drop(0, gtpu(0x00c0ffef, ipv4({})), DropReason::FarDrop);
  const auto out = send(0, gtpu(0x00c0fff0, ipv4({.source = kServer, .destination = kUe}), 4));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(wire::load32(out[0].data() + 32), 0x1234u);
  EXPECT_EQ(wire::load8(out[0].data() + 42) & 0x3f, 4) << "the QFI is kept";
  EXPECT_EQ(create(index_of(9, 1), plain_session(0x00c0ffee, kUe + 9)), PrepareStatus::TeidTaken);
  EXPECT_EQ(detail_, 0u);
  EXPECT_EQ(create(index_of(9, 1), plain_session(0x00c0aaaa, kUe)), PrepareStatus::UeAddressTaken);
  EXPECT_EQ(detail_, 1u);
  EXPECT_EQ(create(index_of(9, 1), plain_session(0x00c0aaaa, kUe + 9)), PrepareStatus::Ok)
      << "a refusal has left nothing behind";
}

TEST_F(DatapathTest, RefusalsNameTheRule) {
  SessionSpec spec = plain_session(kTeid);
  spec.pdrs[0].local_ipv4 = kN3 + 1;
  EXPECT_EQ(create(kSession, spec), PrepareStatus::LocalAddress);
  spec = plain_session(kTeid);
  spec.fars[0].instance = "ims";
  EXPECT_EQ(create(kSession, spec), PrepareStatus::Instance);
  EXPECT_EQ(detail_, 256u);
  spec = plain_session(kTeid);
  spec.pdrs[1].instance = "ims";
  EXPECT_EQ(create(kSession, spec), PrepareStatus::Instance);
  EXPECT_EQ(detail_, 1u);
  EXPECT_EQ(update(kSession, plain_session(kTeid)), PrepareStatus::Malformed) << "no such session";
  EXPECT_EQ(create(kSession, plain_session(kTeid)), PrepareStatus::Ok);
}

TEST_F(DatapathTest, WhatIsNotDoneYetIsRefusedByName) {
  SessionSpec spec = plain_session(kTeid);
  spec.fars[1].action = record::far::kBuffer;
  EXPECT_EQ(create(kSession, spec), PrepareStatus::Unsupported);
  EXPECT_EQ(detail_, 3u << 16 | 1u);
  EXPECT_EQ(create(kSession, plain_session(kTeid)), PrepareStatus::Ok);
}

TEST_F(DatapathTest, DeletionLeavesNothing) {
  const std::size_t before = path_->sessions().arena().live();
  for (unsigned round = 0; round < 3; ++round) {
    SessionSpec spec = plain_session(kTeid);
    UrrSpec urr;
    spec.urrs = {urr};
    spec.pdrs[0].urrs = {0};
    ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
    ASSERT_EQ(remove(kSession), PrepareStatus::Ok);
    expect_drop(0, gtpu(kTeid, ipv4({})), DropReason::UnknownTeid);
    expect_drop(1, ipv4({.source = kServer, .destination = kUe}), DropReason::UnknownUe);
    EXPECT_EQ(path_->sessions().arena().live(), before);
  }
}

TEST_F(DatapathTest, EchoIsAnswered) {
  Bytes echo(28 + 12);
  wire::write_ipv4(echo.data(), {.source = kGnb, .destination = kN3, .total_length = 40});
  wire::write_udp(echo.data() + 20, 40000, 2152, 20);
  wire::store64(echo.data() + 28, 0x3201000400000000);
  wire::store32(echo.data() + 36, 0xbeef0000);
  const auto out = send(0, echo);
  ASSERT_EQ(out.size(), 1u);
  const std::byte* p = out[0].data();
  EXPECT_TRUE(wire::ipv4_checksum_good(p, 20));
  EXPECT_EQ(wire::load32(p + 12), kN3);
  EXPECT_EQ(wire::load32(p + 16), kGnb);
  EXPECT_EQ(wire::load16(p + 20), 2152);
  EXPECT_EQ(wire::load16(p + 22), 40000);
  EXPECT_EQ(wire::load16(p + 28), 0x3202);
  EXPECT_EQ(wire::load16(p + 36), 0xbeef);
  EXPECT_EQ(wire::load16(p + 40), 0x0e00);
  EXPECT_EQ(dropped(DropReason::GtpuEcho), 1u);
  conserve();
}

TEST_F(DatapathTest, HostilePacketsHaveTheirReason) {
  ASSERT_EQ(create(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  const Bytes good = gtpu(kTeid, ipv4({}));
  const auto with = [&](std::size_t at, std::uint8_t value) {
    Bytes b = good;
    b[at] = std::byte{value};
    return b;
  };
  const auto fixed = [](Bytes b) {
    wire::store16(b.data() + 10, 0);
    wire::store16(b.data() + 10, wire::checksum(b.data(), 20));
    return b;
  };
  expect_drop(0, with(10, 0x11), DropReason::BadIpChecksum);
  expect_drop(0, with(0, 0x55), DropReason::BadIpVersion);
  expect_drop(0, with(0, 0x44), DropReason::BadIpHeader);
  expect_drop(0, fixed(with(6, 0x20)), DropReason::OuterFragment);
  expect_drop(0, fixed(with(9, 6)), DropReason::NotGtpu);
  expect_drop(0, fixed(with(16, 11)), DropReason::NotForUs);
  expect_drop(0, with(23, 0x69), DropReason::NotGtpu);
  expect_drop(0, with(25, 0xff), DropReason::BadUdpLength);
  expect_drop(0, with(27, 1), DropReason::BadUdpChecksum);
  expect_drop(0, with(28, 0x54), DropReason::GtpuVersion);
  expect_drop(0, with(28, 0x24), DropReason::GtpuVersion);
  expect_drop(0, with(29, 77), DropReason::GtpuMessageType);
  expect_drop(0, with(30, 0xff), DropReason::GtpuTruncated);
  expect_drop(0, with(39, 0xff), DropReason::GtpuUnknownExtension);
  expect_drop(0, with(40, 0), DropReason::GtpuExtension);
  expect_drop(0, with(40, 200), DropReason::GtpuExtension);
  expect_drop(0, with(44, 0x55), DropReason::InnerMalformed);
  expect_drop(0, with(44, 0x43), DropReason::InnerMalformed);
  expect_drop(0, with(47, 0xff), DropReason::InnerMalformed);
  expect_drop(0, gtpu(kTeid, {}), DropReason::EmptyPayload);
  for (std::size_t n = 0; n < good.size(); ++n) {
    EXPECT_TRUE(send(0, Bytes(good.begin(), good.begin() + static_cast<long>(n))).empty()) << n;
  }
  conserve();
}

TEST_F(DatapathTest, RandomBytesAreConserved) {
  ASSERT_EQ(create(kSession, plain_session(kTeid)), PrepareStatus::Ok);
  std::uint64_t seed = 0x5eed;
  const auto random = [&] {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>(seed >> 33);
  };
  const Bytes up = gtpu(kTeid, ipv4({.bytes = 200})),
              down = ipv4({.source = kServer, .destination = kUe, .bytes = 200});
  for (unsigned i = 0; i < 20000; ++i) {
    const unsigned at = random() % 2;
    Bytes b = at == 0 ? up : down;
    for (unsigned k = random() % 4; k != 0; --k)
      b[random() % (k % 2 ? b.size() : 48)] = std::byte(random());
    if (random() % 8 == 0) b.resize(random() % (b.size() + 1));
    ASSERT_TRUE(inject(at, b));
    if (i % 16 == 15) path_->step();
    if (i % 256 == 255) {
      while (!collect(0).empty() || !collect(1).empty()) continue;
      conserve();
    }
  }
  path_->step();
  conserve();
}

}  // namespace
}  // namespace sluice::test
