// Traces of packets that go other ways than straight through, and how each ends.
#include "worker/ip_rules_fixture_test.h"
#include "worker/sight/trace_fixture_test.h"

namespace sluice::test::ip {
namespace {

class TraceOfWays : public Tracing<IpRules> {
 protected:
  void change_config(DatapathConfig& config) const override {
    config.ports[1].mtu = 1900;
    config.answers_per_second = 100;
  }
  SessionSpec ue1() {
    SessionSpec spec = session(kTeid, kUe);
    spec.name = "ue1";
    return spec;
  }
  SessionSpec ue2() {
    SessionSpec spec = session(kPeerTeid, kPeerUe);
    spec.name = "ue2";
    return spec;
  }
  static Bytes down(std::uint16_t bytes) {
    return ipv4({.source = kServer, .destination = kUe, .bytes = bytes});
  }
  /// The verdict with its reason, and that the packet then comes to what the trace has said.
  void expect_ends(unsigned at, const Bytes& packet, const std::string& verdict,
                   const std::string& reason, unsigned outputs) {
    const TraceResult said = trace(at, packet);
    EXPECT_EQ(said.verdict, verdict) << text_;
    EXPECT_EQ(said.drop_reason, reason) << text_;
    const auto out = exchange(at, packet);
    ASSERT_EQ(out.size(), outputs);
    ASSERT_EQ(said.outputs.size(), outputs);
    for (unsigned i = 0; i < outputs; ++i) EXPECT_EQ(said.outputs[i].bytes, out[i]);
  }
};

TEST_F(TraceOfWays, InPieces) {
  ASSERT_EQ(create(kSession, ue1()), PrepareStatus::Ok);
  expect_ends(1, without_df(down(1800)), "forwarded", "", 2);
  expect_says("forward: FAR 2: into tunnel 10.0.0.2 TEID ");
  expect_says("out on n3, leaves in pieces that fit\n");
}

TEST_F(TraceOfWays, TooBig) {
  ASSERT_EQ(create(kSession, ue1()), PrepareStatus::Ok);
  expect_ends(1, down(1800), "answered", "mtu_exceeded", 1);
  expect_says("forward: dropped as mtu_exceeded: FAR 2: ");
  // The UE hears of it through its own session, which does not make it forwarded.
  expect_ends(0, gtpu(kTeid, ipv4({.bytes = 1950})), "answered", "mtu_exceeded", 1);
  expect_says("forward: dropped as mtu_exceeded: FAR 1: ");
  expect_says("receive: comes in again");
}

TEST_F(TraceOfWays, AFragment) {
  ASSERT_EQ(create(kSession, ue1()), PrepareStatus::Ok);
  const auto pieces = cut(gtpu(kTeid, ipv4({.bytes = 1500})), 1000);
  const TraceResult said = trace(0, pieces[0]);
  EXPECT_EQ(said.verdict, "held");
  EXPECT_EQ(said.drop_reason, "");
  expect_says("parse: a fragment, kept until the others of its packet are there\n");
  EXPECT_EQ(path_->statistics().held, 0u);
  // One of the UE's own goes its way.
  expect_ends(1, cut(down(1800), 800)[1], "forwarded", "", 1);
  expect_says("parse: fragment of UDP 203.0.113.9 to 10.60.0.7, ");
}

TEST_F(TraceOfWays, TurnedRound) {
  ASSERT_EQ(create(kSession, ue1()), PrepareStatus::Ok);
  const Bytes packet = gtpu(kTeid, ipv4({.destination = kPeerUe}));
  ASSERT_EQ(create(kPeerSession, ue2()), PrepareStatus::Ok);
  expect_ends(0, packet, "forwarded", "", 1);
  expect_says("forward: FAR 1: turns round to another UE, comes in again for the other UE\n");
  expect_says("receive: comes in again, as if on n6");
  expect_says("lookup: UE address 10.60.0.8 is session ue2, downlink\n");
  SessionSpec closed = ue2();
  closed.qers[0].downlink_closed = true;
  closed.pdrs[1].qers = {0};
  ASSERT_EQ(update(kPeerSession, closed), PrepareStatus::Ok);
  expect_ends(0, packet, "dropped", "gate_closed", 0);
}

TEST_F(TraceOfWays, Held) {
  SessionSpec spec = ue1();
  spec.fars[1].action = record::far::kBuffer;
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const TraceResult said = trace(1, down(100));
  EXPECT_EQ(said.verdict, "held");
  expect_says("hold: FAR 2 buffers: held until new rules let it go\n");
}

TEST_F(TraceOfWays, ByTheFarOfAUsedUpQuota) {
  SessionSpec spec = ue1();
  UrrSpec urr;
  urr.quota[0] = 100;
  urr.quota_far = 3;  // position + 1
  FarSpec redirect = spec.fars[0];
  redirect.id = 0x109;
  spec.fars.push_back(redirect);
  spec.urrs = {urr};
  spec.pdrs[0].urrs = {0};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  expect_ends(0, gtpu(kTeid, ipv4({.bytes = 200})), "forwarded", "", 1);
  expect_says("account: a quota is used up: FAR 265 takes it\n");
  expect_says("forward: FAR 265: plain IP, out on n6\n");
}

TEST_F(TraceOfWays, CopiesThatFailDoNotMakeItDropped) {
  SessionSpec spec = ue1();
  FarSpec big = spec.fars[1];
  big.is_v6 = true;
  big.ipv6[0] = 0xfd000000;
  spec.fars[1].duplicates = {big};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  // Fits into IPv4, and not into IPv6 with its longer header.
  expect_ends(1, down(kRoom), "forwarded", "", 1);
  expect_says("forward: FAR 2: to its destination and as 1 copies\n");
}

TEST_F(TraceOfWays, AMessage) {
  ASSERT_EQ(create(kSession, ue1()), PrepareStatus::Ok);
  Bytes echo(28 + 12);
  wire::write_ipv4(echo.data(), {.source = kGnb, .destination = kN3, .total_length = 40});
  wire::write_udp(echo.data() + 20, 2152, 2152, 20);
  wire::store32(echo.data() + 28, 0x32010004);
  expect_ends(0, echo, "answered", "gtpu_echo", 1);
  expect_says("parse: an Echo Request, answered here\n");
  expect_ends(0, gtpu(kTeid ^ 0x10000000, ipv4({})), "answered", "unknown_teid", 1);
}

}  // namespace
}  // namespace sluice::test::ip
