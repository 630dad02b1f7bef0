// Framed routes, both ways: the longest prefix wins, host addresses beat it, what is behind a
// UE may send, and routes come and go with their PDR.
#include "worker/datapath_fixture_test.h"

namespace sluice::test {
namespace {

const std::uint32_t kTeid = direct_teid(3, 5, 1), kOther = direct_teid(4, 6, 1);
constexpr SessionIndex kSession = 3 * 64 + 5, kOtherSession = 4 * 64 + 6;
constexpr std::uint32_t kNet = 0xc0a83200;  // 192.168.50.0
constexpr std::uint64_t kServer6 = 0x20010db800000000, kNet6 = 0x20010db800050000;

Route route4(std::uint32_t address, std::uint8_t length) {
  return {{address, 0, 0, 0}, length, false, 0};
}
Route route6(std::uint64_t high, std::uint8_t length, std::uint64_t low = 0) {
  return {{static_cast<std::uint32_t>(high >> 32), static_cast<std::uint32_t>(high),
           static_cast<std::uint32_t>(low >> 32), static_cast<std::uint32_t>(low)},
          length,
          true,
          0};
}
SessionSpec routed_session(std::uint32_t teid, std::uint32_t ue, const std::vector<Route>& routes) {
  SessionSpec s = plain_session(teid, ue);
  s.ue_prefix = kUePrefix + ue;
  for (PdrSpec& pdr : s.pdrs) {
    pdr.ue = record::pdr::kPdrUeIpv4 | record::pdr::kPdrUeIpv6;
    pdr.routes = routes;
  }
  s.fars[1].teid = teid;
  return s;
}
Bytes to(std::uint32_t address) { return ipv4({.source = kServer, .destination = address}); }
Bytes from(std::uint32_t address) { return ipv4({.source = address}); }

class FramedRoutes : public DatapathTest {
 protected:
  /// TEID that a packet from N6 leaves with; 0: none did.
  std::uint32_t teid_of(const Bytes& packet) {
    const auto out = send(1, packet);
    return out.size() == 1 ? wire::load32(out[0].data() + 32) : 0;
  }
};

TEST_F(FramedRoutes, LongestPrefixBothWays) {
  ASSERT_EQ(create(kSession, routed_session(kTeid, kUe, {route4(kNet, 24), route6(kNet6, 48)})),
            PrepareStatus::Ok);
  ASSERT_EQ(create(kOtherSession, routed_session(kOther, kUe + 1,
                                                 {route4(kNet + 64, 26), route6(kNet6 + 1, 64),
                                                  route6(kNet6 + 2, 128, 2)})),
            PrepareStatus::Ok)
      << "nested prefixes of two sessions are fine";
  EXPECT_EQ(teid_of(to(kNet + 1)), kTeid);
  EXPECT_EQ(teid_of(to(kNet + 63)), kTeid);
  EXPECT_EQ(teid_of(to(kNet + 64)), kOther);
  EXPECT_EQ(teid_of(to(kNet + 127)), kOther);
  EXPECT_EQ(teid_of(to(kNet + 128)), kTeid);
  expect_drop(1, to(kNet + 256), DropReason::UnknownUe);
  EXPECT_EQ(teid_of(ipv6(kServer6, kNet6, 53)), kTeid);
  EXPECT_EQ(teid_of(ipv6(kServer6, kNet6 + 1, 53)), kOther) << "a route as long as a UE prefix";
  EXPECT_EQ(teid_of(ipv6(kServer6, kNet6 + 2, 53)), kOther) << "to one host";
  EXPECT_EQ(teid_of(ipv6(kServer6, kNet6 + 3, 53)), kTeid);
  expect_drop(1, ipv6(kServer6, kNet6 + 0x10000, 53), DropReason::UnknownUe);

  EXPECT_EQ(send(0, gtpu(kTeid, from(kNet + 9))).size(), 1u);
  EXPECT_EQ(send(0, gtpu(kTeid, from(kUe))).size(), 1u);
  EXPECT_EQ(send(0, gtpu(kTeid, ipv6(kNet6 + 7, kServer6, 53))).size(), 1u);
  EXPECT_EQ(send(0, gtpu(kTeid, ipv6(kUePrefix + kUe, kServer6, 53))).size(), 1u);
  expect_drop(0, gtpu(kTeid, from(kNet + 256)), DropReason::SpoofedSource);
  expect_drop(0, gtpu(kOther, from(kNet + 1)), DropReason::SpoofedSource);
  expect_drop(0, gtpu(kTeid, ipv6(kNet6 + 0x10000, kServer6, 53)), DropReason::SpoofedSource);
}

TEST_F(FramedRoutes, ComeAndGoWithTheirPdr) {
  SessionSpec spec = routed_session(kTeid, kUe, {});
  const std::size_t before = path_->sessions().arena().live();
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  expect_drop(1, to(kNet + 1), DropReason::UnknownUe);
  SessionSpec routed = spec;
  PdrSpec more = spec.pdrs[1];
  more.id = 3;
  more.ue = 0;
  more.routes = {route4(kNet, 24)};
  routed.pdrs.push_back(more);
  ASSERT_EQ(update(kSession, routed), PrepareStatus::Ok);
  EXPECT_EQ(teid_of(to(kNet + 1)), kTeid);
  EXPECT_EQ(teid_of(to(kUe)), kTeid);
  EXPECT_EQ(send(0, gtpu(kTeid, from(kNet + 1))).size(), 1u) << "a source as well";
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  expect_drop(1, to(kNet + 1), DropReason::UnknownUe);
  expect_drop(0, gtpu(kTeid, from(kNet + 1)), DropReason::SpoofedSource);
  ASSERT_EQ(update(kSession, routed), PrepareStatus::Ok);
  ASSERT_EQ(remove(kSession), PrepareStatus::Ok);
  expect_drop(1, to(kNet + 1), DropReason::UnknownUe);
  EXPECT_EQ(path_->sessions().arena().live(), before);
}

TEST_F(FramedRoutes, APdrMatchesItsOwnSide) {
  // One PDR for the UE alone, one for the network behind it, one for a part of that network.
  SessionSpec spec = routed_session(kTeid, kUe, {});
  PdrSpec net = spec.pdrs[1], part = spec.pdrs[1];
  net.id = 3;
  net.ue = 0;
  net.far = 2;
  net.routes = {route4(kNet, 24)};
  part.id = 4;
  part.precedence = 10;
  part.ue = 0;
  part.far = 3;
  part.routes = {route4(kNet, 24), route4(kNet + 1024, 24)};
  FilterSpec filter;
  filter.protocol = 17;
  filter.remote_ports = {{4000, 4000}};
  filter.local = kNet + 192;
  filter.local_length = 26;
  part.filters = {filter};
  spec.pdrs.push_back(net);
  spec.pdrs.push_back(part);
  FarSpec second = spec.fars[1], third = spec.fars[1];
  second.id = 3;
  second.teid = 2222;
  third.id = 4;
  third.teid = 3333;
  spec.fars.push_back(second);
  spec.fars.push_back(third);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  EXPECT_EQ(teid_of(to(kUe)), kTeid);
  EXPECT_EQ(teid_of(to(kNet + 1)), 2222u);
  EXPECT_EQ(teid_of(to(kNet + 191)), 2222u);
  EXPECT_EQ(teid_of(to(kNet + 192)), 3333u);
  expect_drop(1, to(kNet + 1024), DropReason::NoPdr);
}

TEST_F(FramedRoutes, BelongToOneSession) {
  ASSERT_EQ(
      create(kSession, routed_session(kTeid, kUe, {route4(kNet, 24), route4(kNet + 512, 32)})),
      PrepareStatus::Ok);
  EXPECT_EQ(create(kOtherSession, routed_session(kOther, kUe + 1, {route4(kNet, 24)})),
            PrepareStatus::UeAddressTaken);
  EXPECT_EQ(detail_, 1u | 1u << 8) << "PDR 1, its first route";
  EXPECT_EQ(create(kOtherSession, routed_session(kOther, kUe + 1, {route4(kUe, 32)})),
            PrepareStatus::UeAddressTaken)
      << "another UE's address";
  EXPECT_EQ(create(kOtherSession, routed_session(kOther, kNet + 512, {})),
            PrepareStatus::UeAddressTaken);
  ASSERT_EQ(create(kOtherSession, routed_session(kOther, kNet + 7, {route4(kNet, 25)})),
            PrepareStatus::Ok);
  EXPECT_EQ(teid_of(to(kNet + 7)), kOther) << "a host address beats a route";
  EXPECT_EQ(teid_of(to(kNet + 512)), kTeid);
  EXPECT_EQ(teid_of(to(kNet + 128)), kTeid);
}

TEST_F(FramedRoutes, ABurstForRoutesUesAndNobody) {
  ASSERT_EQ(create(kSession, routed_session(kTeid, kUe, {route4(kNet, 24), route6(kNet6, 48)})),
            PrepareStatus::Ok);
  const std::uint64_t before = dropped(DropReason::UnknownUe);
  const Bytes packets[] = {to(kNet + 1), to(kUe), to(kNet + 256), ipv6(kServer6, kNet6 + 5, 53),
                           to(kNet + 2)};
  for (unsigned i = 0; i < 60; ++i) ASSERT_TRUE(inject(1, packets[i % 5]));
  for (unsigned bursts = 0; bursts < 2; ++bursts) path_->step();
  EXPECT_EQ(collect(0).size(), 48u);
  EXPECT_EQ(dropped(DropReason::UnknownUe), before + 12);
  conserve();
}

TEST_F(FramedRoutes, TooManyAreRefusedAndLeaveNothing) {
  const std::size_t before = path_->sessions().arena().live();
  std::vector<Route> many;
  for (unsigned i = 0; i < 200; ++i) many.push_back(route4(kNet + (i << 8), 24));
  SessionSpec spec = routed_session(kTeid, kUe, many);
  for (Route& route : spec.pdrs[1].routes) route.words[0] += 0x01000000;
  EXPECT_EQ(create(kSession, spec), PrepareStatus::Resources) << "255 of a session";
  EXPECT_EQ(path_->sessions().arena().live(), before);
  spec.pdrs[1].routes = many;
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  EXPECT_EQ(teid_of(to(kNet + (199 << 8) + 3)), kTeid);
}

TEST_F(FramedRoutes, TheDefaultRouteTakesTheRest) {
  ASSERT_EQ(create(kSession, routed_session(kTeid, kUe, {route4(0, 0), route6(0, 0)})),
            PrepareStatus::Ok);
  ASSERT_EQ(create(kOtherSession, plain_session(kOther, kUe + 1)), PrepareStatus::Ok);
  EXPECT_EQ(teid_of(to(0x08080808)), kTeid);
  EXPECT_EQ(teid_of(to(kUe + 1)), 0x1234u);
  EXPECT_EQ(teid_of(ipv6(kServer6, 0x2a00000000000000, 53)), kTeid);
  EXPECT_EQ(send(0, gtpu(kTeid, from(0x08080808))).size(), 1u);
}

}  // namespace
}  // namespace sluice::test
