// The IP rules that few packets meet: unusual addresses, UEs that reach each other, hops,
// sizes, segment sizes, ICMP errors.
#include "worker/ip_rules_fixture_test.h"

namespace sluice::test::ip {
namespace {

Bytes with_ttl(Bytes b, std::uint8_t ttl) {
  b[8] = std::byte{ttl};
  wire::store16(b.data() + 10, 0);
  wire::store16(b.data() + 10, wire::checksum(b.data(), 20));
  return b;
}
/// A SYN with options NOP, MSS; its checksum is right.
Bytes syn(std::uint32_t from, std::uint32_t to, std::uint16_t mss, std::uint8_t flags = 2) {
  Bytes b = ipv4({.source = from, .destination = to, .bytes = 48, .protocol = 6});
  std::byte* tcp = b.data() + 20;
  std::memset(tcp, 0, 28);
  wire::store32(tcp, 4000u << 16 | 443);
  wire::store16(tcp + 12, static_cast<std::uint16_t>(0x7000 | flags));
  wire::store8(tcp + 20, 1);
  wire::store8(tcp + 21, 2);
  wire::store8(tcp + 22, 4);
  wire::store16(tcp + 23, mss);
  wire::store16(tcp + 16, wire::fold(wire::checksum_partial(
                              tcp, 28, wire::pseudo_header_v4(from, to, 6, 28))));
  return b;
}
std::uint16_t mss_of(const Bytes& packet, std::size_t at) {
  const std::byte* p = packet.data() + at;
  EXPECT_EQ(
      wire::fold(wire::checksum_partial(
          p + 20, 28, wire::pseudo_header_v4(wire::load32(p + 12), wire::load32(p + 16), 6, 28))),
      0)
      << "the checksum follows";
  return wire::load16(p + 43);
}

TEST_F(IpRules, UnusualDestinationsHaveTheirReason) {
  two_ues();
  const auto to = [](std::uint32_t address, std::uint16_t port = 443) {
    return gtpu(kTeid, ipv4({.destination = address, .destination_port = port}));
  };
  expect_drop(0, to(0xe0000001), DropReason::Multicast);
  expect_drop(0, to(0xffffffff), DropReason::Multicast);
  for (const std::uint32_t martian : {0x00000001u, 0x7f000001u, 0xa9fe0101u, 0xf0000001u}) {
    expect_drop(0, to(martian), DropReason::Martian);
  }
  EXPECT_EQ(exchange(0, to(0xa9ff0101)).size(), 1u) << "beside 169.254";
  expect_drop(0, to(kN3), DropReason::OwnAddress);
  expect_drop(0, to(kN3, 2152), DropReason::NestedGtpu);
  expect_drop(0, to(kOwnService), DropReason::OwnAddress);
  EXPECT_EQ(exchange(0, to(kN3 + 7)).size(), 1u) << "a neighbour is nobody special";
  EXPECT_EQ(exchange(0, to(kGateway)).size(), 1u) << "the device's address is the kernel's";
  const auto to6 = [](std::uint64_t high) { return gtpu(kTeid, ipv6(kUePrefix + kUe, high, 443)); };
  expect_drop(0, to6(0xff02000000000000), DropReason::Multicast);
  expect_drop(0, to6(0xfe80000000000000), DropReason::Martian);
  EXPECT_EQ(exchange(0, to6(kServer6)).size(), 1u);
  EXPECT_EQ(exchange(0, to6(0x0064ff9b00000000)).size(), 1u) << "NAT64";
  Bytes ping = ipv6(0xfe80000000000000, kServer6, 443);
  ping[6] = std::byte{58};
  expect_drop(0, gtpu(kTeid, ping), DropReason::Martian);
  for (const std::uint32_t source : {0x7f000001u, 0xe0000001u, 0x00000000u}) {
    expect_drop(1, ipv4({.source = source, .destination = kUe}), DropReason::Martian);
  }
  expect_drop(1, ipv6(0xfe80000000000000, kUePrefix + kUe, 443), DropReason::Martian);
}

TEST_F(IpRules, PacketsBetweenUesTurnRound) {
  two_ues();
  auto out = exchange(0, gtpu(kTeid, ipv4({.destination = kPeerUe})));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(teid_of(out[0]), kPeerTeid);
  const Bytes inner = inner_of(out[0]);
  EXPECT_EQ(wire::load8(inner.data() + 8), 63) << "one hop";
  EXPECT_TRUE(wire::ipv4_checksum_good(inner.data(), 20));
  out = exchange(0, gtpu(kTeid, ipv6(kUePrefix + kUe, kUePrefix + kPeerUe, 443)));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(teid_of(out[0]), kPeerTeid);
  EXPECT_EQ(wire::load8(out[0].data() + 44 + 7), 63);
  EXPECT_EQ(path_->statistics().ports[1].counters.tx_packets, 0u) << "N6 saw nothing";

  ASSERT_EQ(remove(kPeerSession), PrepareStatus::Ok);
  EXPECT_EQ(exchange(0, gtpu(kTeid, ipv4({.destination = kPeerUe}))).size(), 1u);
  EXPECT_EQ(path_->statistics().ports[1].counters.tx_packets, 1u) << "nobody's: to N6";
}

TEST_F(IpRules, AFramedRouteIsReachedFromAnotherUe) {
  SessionSpec routed = session(kPeerTeid, kPeerUe);
  for (PdrSpec& pdr : routed.pdrs) {
    pdr.ue = record::pdr::kPdrUeIpv4;
    pdr.routes = {{{0xc0a83200, 0, 0, 0}, 24, false, 0}};
  }
  ASSERT_EQ(create(kSession, session(kTeid, kUe)), PrepareStatus::Ok);
  ASSERT_EQ(create(kPeerSession, routed), PrepareStatus::Ok);
  auto out = exchange(0, gtpu(kTeid, ipv4({.destination = 0xc0a83205})));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(teid_of(out[0]), kPeerTeid);
  out = exchange(0, gtpu(kPeerTeid, ipv4({.source = 0xc0a83205, .destination = kUe})));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(teid_of(out[0]), kTeid);
}

TEST_F(IpRules, TheLastHopIsTold) {
  two_ues();
  const Bytes last = with_ttl(ipv4({.destination = kPeerUe}), 1);
  const auto out = exchange(0, gtpu(kTeid, last));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(teid_of(out[0]), kTeid) << "back through its own session";
  expect_error_v4(inner_of(out[0]), kUe, 0x0b00, 0, last);
  EXPECT_EQ(dropped(DropReason::TtlExceeded), 1u);
  expect_drop(0, gtpu(kTeid, with_ttl(ipv4({}), 0)), DropReason::TtlExceeded);
  EXPECT_EQ(exchange(0, gtpu(kTeid, with_ttl(ipv4({}), 1))).size(), 1u) << "N6 has a router";
}

TEST_F(IpRules, PoolsOfTwoInstancesOverlap) {
  ASSERT_EQ(create(kSession, session(kTeid, kUe)), PrepareStatus::Ok);
  ASSERT_EQ(create(kPeerSession, session(kPeerTeid, kUe, "ims")), PrepareStatus::Ok)
      << "the same addresses, both families";
  for (const auto& [port, teid] : {std::pair{1u, kTeid}, std::pair{2u, kPeerTeid}}) {
    for (const Bytes& packet :
         {ipv4({.source = kServer, .destination = kUe}), ipv6(kServer6, kUePrefix + kUe, 443)}) {
      const auto out = exchange(port, packet);
      ASSERT_EQ(out.size(), 1u);
      EXPECT_EQ(teid_of(out[0]), teid);
    }
    EXPECT_TRUE(exchange(0, gtpu(teid, ipv4({}))).size() == 1);
    EXPECT_EQ(path_->statistics().ports[port].counters.tx_packets, 1u);
  }
}

TEST_F(IpRules, DownlinkFragmentsWhereItMay) {
  two_ues();
  const Bytes whole =
      without_df(ipv4({.source = kServer, .destination = kUe, .bytes = 1900, .tos = 8}));
  const auto out = exchange(1, whole);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(path_->statistics().created, 1u);
  Bytes payload;
  unsigned expected = 0;
  for (std::size_t k = 0; k < out.size(); ++k) {
    EXPECT_LE(out[k].size(), kAccessMtu);
    EXPECT_EQ(teid_of(out[k]), kTeid);
    EXPECT_EQ(wire::load8(out[k].data() + 42), 9) << "QFI";
    const Bytes inner = inner_of(out[k]);
    wire::Ipv4Header h{};
    ASSERT_EQ(wire::parse_ipv4(inner.data(), inner.size(), h), DropReason::None);
    EXPECT_TRUE(wire::ipv4_checksum_good(inner.data(), 20));
    EXPECT_EQ(h.total_length, inner.size());
    EXPECT_EQ(h.fragment_offset, expected);
    EXPECT_EQ(h.more_fragments, k == 0);
    EXPECT_EQ(h.tos, 8);
    expected += static_cast<unsigned>(inner.size() - 20);
    payload.insert(payload.end(), inner.begin() + 20, inner.end());
  }
  EXPECT_EQ(payload, Bytes(whole.begin() + 20, whole.end()));
  EXPECT_EQ(exchange(1, ipv4({.source = kServer, .destination = kUe, .bytes = kRoom})).size(), 1u);
}

TEST_F(IpRules, DownlinkTooBigIsTold) {
  two_ues();
  const Bytes big = ipv4({.source = kServer, .destination = kUe, .bytes = kRoom + 1});
  auto out = exchange(1, big);
  ASSERT_EQ(out.size(), 1u);
  expect_error_v4(out[0], kServer, 0x0304, kRoom, big);
  EXPECT_EQ(dropped(DropReason::MtuExceeded), 1u);
  const Bytes big6 = ipv6(kServer6, kUePrefix + kUe, 443, kRoom + 8);
  out = exchange(1, big6);
  ASSERT_EQ(out.size(), 1u);
  const std::byte* p = out[0].data();
  EXPECT_EQ(out[0].size(), 1280u) << "as much as fits";
  EXPECT_EQ(wire::load64(p + 8), kGateway6);
  EXPECT_EQ(wire::load64(p + 24), kServer6);
  EXPECT_EQ(wire::load16(p + 40), 0x0200);
  EXPECT_EQ(wire::load32(p + 44), kRoom);
  EXPECT_EQ(wire::fold(wire::checksum_partial(
                p + 40, out[0].size() - 40,
                wire::pseudo_header_v6(p + 8, p + 24, 58,
                                       static_cast<std::uint32_t>(out[0].size() - 40)))),
            0);
  // Nothing about errors, later fragments, or what no single host sent.
  Bytes error = big;
  error[9] = std::byte{1};
  error[20] = std::byte{3};
  expect_drop(1, error, DropReason::MtuExceeded);
  Bytes later = big;
  wire::store16(later.data() + 6, 0x4001);
  expect_drop(1, later, DropReason::MtuExceeded);
}

TEST_F(IpRules, ErrorsAreRateLimited) {
  two_ues();
  const Bytes big = ipv4({.source = kServer, .destination = kUe, .bytes = kRoom + 1});
  std::size_t errors = 0;
  for (unsigned i = 0; i < 60; ++i) errors += exchange(1, big).size();
  EXPECT_GE(errors, 20u);
  EXPECT_LT(errors, 60u);
  EXPECT_EQ(dropped(DropReason::MtuExceeded), 60u);
}

TEST_F(IpRules, UplinkBeyondN6) {
  two_ues();
  const Bytes big = ipv4({.bytes = 1320});
  auto out = exchange(0, gtpu(kTeid, big));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(teid_of(out[0]), kTeid) << "the UE is told through its session";
  expect_error_v4(inner_of(out[0]), kUe, 0x0304, 1300, big);
  out = exchange(0, gtpu(kTeid, without_df(big)));
  ASSERT_EQ(out.size(), 2u) << "or gets it in pieces";
  EXPECT_LE(out[0].size(), 1300u);
  EXPECT_EQ(out[0].size() + out[1].size(), big.size() + 20);
}

class ClampMss : public IpRules {
  void change_config(DatapathConfig& config) const override {
    config.ports[1].clamp_mss = kClampToMtu;
    config.ports[0].clamp_mss = 1200;
  }
};

TEST_F(ClampMss, BothDirections) {
  two_ues();
  auto out = exchange(0, gtpu(kTeid, syn(kUe, kServer, 1460)));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(mss_of(out[0], 0), 1200);
  out = exchange(1, syn(kServer, kUe, 1460, 0x12));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(mss_of(out[0], 44), 1200) << "SYN/ACK";
  EXPECT_EQ(mss_of(exchange(0, gtpu(kTeid, syn(kUe, kServer, 900))).at(0), 0), 900);
  EXPECT_EQ(mss_of(exchange(0, gtpu(kTeid, syn(kUe, kServer, 1460, 0x10))).at(0), 0), 1460)
      << "no SYN";
}

class Router : public IpRules {
  void change_config(DatapathConfig& config) const override {
    config.ports[1].decrements_ttl = true;
    config.policy.hairpin = false;
    config.policy.drop_martians = config.policy.drop_multicast = false;
    config.policy.drop_own_addresses = config.policy.drop_nested_gtpu = false;
    config.reassembly.datagrams = 0;
  }
};

TEST_F(Router, CountsHopsBothWays) {
  two_ues();
  auto out = exchange(0, gtpu(kTeid, ipv4({})));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(wire::load8(out[0].data() + 8), 63);
  EXPECT_TRUE(wire::ipv4_checksum_good(out[0].data(), 20));
  out = exchange(1, ipv4({.source = kServer, .destination = kUe}));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(wire::load8(out[0].data() + 44 + 8), 63);
  const Bytes last = with_ttl(ipv4({.source = kServer, .destination = kUe}), 1);
  out = exchange(1, last);
  ASSERT_EQ(out.size(), 1u);
  expect_error_v4(out[0], kServer, 0x0b00, 0, last);
}

TEST_F(Router, PoliciesCanForward) {
  two_ues();
  for (const std::uint32_t to : {0xe0000001u, 0x7f000001u, kN3, kPeerUe}) {
    EXPECT_EQ(exchange(0, gtpu(kTeid, ipv4({.destination = to, .destination_port = 2152}))).size(),
              1u);
  }
  EXPECT_EQ(path_->statistics().ports[1].counters.tx_packets, 4u) << "also between UEs";
  Bytes fragment = gtpu(kTeid, ipv4({}));
  wire::store16(fragment.data() + 6, 0x2000);
  wire::store16(fragment.data() + 10, 0);
  wire::store16(fragment.data() + 10, wire::checksum(fragment.data(), 20));
  expect_drop(0, fragment, DropReason::OuterFragment);
}

}  // namespace
}  // namespace sluice::test::ip
