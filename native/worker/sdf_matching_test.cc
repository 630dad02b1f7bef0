// SDF filters on packets that are not plain UDP or TCP: extension headers, ESP, fragments.
#include "worker/datapath_fixture_test.h"

namespace sluice::test {
namespace {

const std::uint32_t kTeid = direct_teid(3, 5, 1);
constexpr SessionIndex kSession = 3 * 64 + 5;
constexpr std::uint64_t kServer6 = 0x20010db800000000;

class SdfMatching : public DatapathTest {
 protected:
  /// What the filter takes goes to N6; the rest has no PDR.
  void install(const FilterSpec& filter) {
    SessionSpec spec = plain_session(kTeid);
    spec.ue_prefix = kUePrefix;
    spec.pdrs[0].filters = {filter};
    ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  }
  bool takes(const Bytes& inner) { return send(0, gtpu(kTeid, inner)).size() == 1; }

  /// UDP to a port behind hop-by-hop and destination options, or a fragment header.
  static Bytes with_headers(std::uint16_t port, bool fragment, std::uint16_t offset = 0) {
    const Bytes plain = ipv6(kUePrefix, kServer6, port);
    Bytes b(plain.begin(), plain.begin() + 40);
    const unsigned extra = fragment ? 8 : 16;
    b.resize(40 + extra);
    if (fragment) {
      b[6] = std::byte{44};
      b[40] = std::byte{17};
      wire::store16(b.data() + 42, static_cast<std::uint16_t>(offset | 1));
    } else {
      b[6] = std::byte{0};
      b[40] = std::byte{60};
      b[48] = std::byte{17};
    }
    b.insert(b.end(), plain.begin() + 40, plain.end());
    wire::store16(b.data() + 4, static_cast<std::uint16_t>(b.size() - 40));
    return b;
  }
};

TEST_F(SdfMatching, PortsBehindExtensionHeaders) {
  FilterSpec filter;
  filter.protocol = 17;
  filter.remote_ports = {{53, 53}};
  install(filter);
  EXPECT_TRUE(takes(ipv6(kUePrefix, kServer6, 53)));
  EXPECT_TRUE(takes(with_headers(53, false)));
  EXPECT_FALSE(takes(with_headers(54, false)));
  EXPECT_TRUE(takes(with_headers(53, true))) << "a first fragment has ports";
  EXPECT_FALSE(takes(with_headers(53, true, 64))) << "a later one has none";
}

TEST_F(SdfMatching, WhatOnlySomeFiltersAskForDecidesInTheOrderOfPrecedence) {
  FilterSpec expedited;
  expedited.tos = 0xb8;
  expedited.tos_mask = 0xfc;
  SessionSpec spec = plain_session(kTeid);
  PdrSpec first = spec.pdrs[0];
  first.id = 9;
  first.precedence = 1;
  first.filters = {expedited};
  first.far = static_cast<unsigned>(spec.fars.size());
  FarSpec drop;
  drop.id = 9;
  drop.action = record::far::kDrop;
  spec.fars.push_back(drop);
  spec.pdrs[0].precedence = 2;
  spec.pdrs.insert(spec.pdrs.begin(), first);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  expect_drop(0, gtpu(kTeid, ipv4({.tos = 0xb8})), DropReason::FarDrop);
  EXPECT_TRUE(takes(ipv4({.tos = 0xb4})));
}

TEST_F(SdfMatching, LaterFragmentsHaveTheirProtocol) {
  FilterSpec filter;
  filter.protocol = 17;
  install(filter);
  EXPECT_TRUE(takes(with_headers(53, true, 64)));
  Bytes later = ipv4({});
  wire::store16(later.data() + 6, 0x2008);
  EXPECT_TRUE(takes(later));
  EXPECT_FALSE(takes(ipv4({.protocol = 6})));
}

TEST_F(SdfMatching, EspByItsSpi) {
  FilterSpec filter;
  filter.protocol = 50;
  filter.spi = 0xcafe0001;
  install(filter);
  Bytes esp = ipv4({.protocol = 50});
  wire::store32(esp.data() + 20, 0xcafe0001);
  EXPECT_TRUE(takes(esp));
  wire::store32(esp.data() + 20, 0xcafe0002);
  EXPECT_FALSE(takes(esp));
  Bytes esp6 = ipv6(kUePrefix, kServer6, 53);
  esp6[6] = std::byte{50};
  wire::store32(esp6.data() + 40, 0xcafe0001);
  EXPECT_TRUE(takes(esp6));
}

}  // namespace
}  // namespace sluice::test
