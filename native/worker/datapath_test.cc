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
  expect_drop(0, gtpu(kTeid, ipv6(0xfe80000000000000, 0x20010db800000000, 53)),
              DropReason::SpoofedSource);
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
  const auto holder = [&](SessionIndex session, const SessionSpec& asks, bool teids) {
    const auto words = RecordBuilder().build(asks);
    return path_->sessions().holder(session, RecordReader(words.data(), words.size() * 4), teids);
  };
  EXPECT_EQ(holder(index_of(9, 1), plain_session(0x00c0ffee, kUe + 9), true), kSession);
  EXPECT_EQ(holder(index_of(9, 1), plain_session(kTeid, kUe + 9), true), kNoSession)
      << "its session has another";
  EXPECT_EQ(holder(index_of(9, 1), plain_session(0x00c0ffee, kUe + 9), false), kNoSession);
  EXPECT_EQ(holder(index_of(9, 1), plain_session(0x00c0aaaa, kUe), false), kSession);
  EXPECT_EQ(holder(kSession, plain_session(0x00c0ffee, kUe), false), kNoSession) << "its own";
  EXPECT_EQ(create(index_of(9, 1), plain_session(0x00c0aaaa, kUe + 9)), PrepareStatus::Ok)
      << "a refusal has left nothing behind";
}

TEST_F(DatapathTest, ATunnelOfTheSessionsOwnIsNobodyElses) {
  // Both TEIDs lead to its place: the first PDR says which is in no table.
  const std::uint32_t first = direct_teid(3, 5, 1), second = direct_teid(3, 5, 2);
  SessionSpec spec = plain_session(first);
  PdrSpec other = spec.pdrs[0];
  other.id = 5;
  other.teid = second;
  spec.pdrs.push_back(other);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  for (unsigned turn = 0; turn < 3; ++turn) {
    EXPECT_EQ(send(0, gtpu(first, ipv4({}))).size(), 1u);
    EXPECT_EQ(send(0, gtpu(second, ipv4({}))).size(), 1u);
    std::swap(spec.pdrs[0], spec.pdrs[2]);
    ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  }
  EXPECT_EQ(create(index_of(9, 1), plain_session(first, kUe + 9)), PrepareStatus::TeidTaken);
  EXPECT_EQ(create(index_of(9, 1), plain_session(second, kUe + 9)), PrepareStatus::TeidTaken);
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

}  // namespace
}  // namespace sluice::test
