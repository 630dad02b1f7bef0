// From tunnel to tunnel: indirect forwarding, N9 both ways, the control plane function's
// tunnel, and packets that keep their outer header.
#include "worker/datapath_fixture_test.h"

namespace sluice::test {
namespace {

const std::uint32_t kTeid = direct_teid(3, 5, 1);
constexpr SessionIndex kSession = 3 * 64 + 5;
constexpr std::uint32_t kPeer = 0x0a000009, kPeerTeid = 0x777, kLocalTeid = 0x00c0fff0;
constexpr std::uint8_t kUplink = 0x10, kDownlink = 0x00;

/// A further PDR with a tunnel of its own, and a FAR into another.
void add_tunnel(SessionSpec& s, unsigned source, unsigned destination, unsigned teid = kLocalTeid) {
  PdrSpec pdr;
  pdr.id = static_cast<unsigned>(s.pdrs.size() + 1);
  pdr.source = source;
  pdr.teid = teid;
  pdr.local_ipv4 = kN3;
  pdr.far = static_cast<unsigned>(s.fars.size());
  s.pdrs.push_back(pdr);
  FarSpec far;
  far.id = static_cast<unsigned>(s.fars.size() + 1);
  far.destination = destination;
  far.tunnel = true;
  far.teid = kPeerTeid;
  far.ipv4 = kPeer;
  s.fars.push_back(far);
}
QerSpec qfi(unsigned id, int value) {
  QerSpec qer;
  qer.id = id;
  qer.qfi = value;
  return qer;
}

class Tunnels : public DatapathTest {
 protected:
  /// One packet comes out, in the peer's tunnel with this container.
  void expect_tunnelled(const Bytes& sent, std::uint8_t type, std::uint8_t qfi,
                        std::uint32_t teid = kPeerTeid) {
    const auto out = send(0, sent);
    ASSERT_EQ(out.size(), 1u);
    const std::byte* p = out[0].data();
    EXPECT_TRUE(wire::ipv4_checksum_good(p, 20));
    EXPECT_EQ(wire::load32(p + 32), teid);
    EXPECT_EQ(wire::load8(p + 41), type);
    EXPECT_EQ(wire::load8(p + 42), qfi);
    ASSERT_EQ(out[0].size(), sent.size());
    EXPECT_EQ(std::memcmp(p + 44, sent.data() + 44, sent.size() - 44), 0);
  }
};

TEST_F(Tunnels, IndirectForwardingTurnsTheContainerRound) {
  SessionSpec spec = plain_session(kTeid);
  add_tunnel(spec, 1, 1);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  // The old gNB sends back what was meant for the UE.
  const Bytes for_ue = ipv4({.source = kServer, .destination = kUe});
  expect_tunnelled(gtpu(kLocalTeid, for_ue, 5), kDownlink, 5);
  expect_drop(0, gtpu(kLocalTeid, ipv4({.source = kServer, .destination = kUe + 1}), 5),
              DropReason::SpoofedSource);
  expect_drop(0, gtpu(kTeid, for_ue, 5), DropReason::SpoofedSource);
}

TEST_F(Tunnels, N9KeepsTypeAndQfi) {
  SessionSpec spec = plain_session(kTeid);
  spec.qers = {qfi(1, 9)};
  add_tunnel(spec, 1, 2);
  add_tunnel(spec, 2, 1, kLocalTeid + 1);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  expect_tunnelled(gtpu(kLocalTeid, ipv4({}), 5), kUplink, 5);
  expect_tunnelled(gtpu(kLocalTeid + 1, ipv4({.source = kServer, .destination = kUe}), 5),
                   kDownlink, 5);
  spec.pdrs[3].qers = {0};
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  expect_tunnelled(gtpu(kLocalTeid + 1, ipv4({.source = kServer, .destination = kUe}), 5),
                   kDownlink, 9);
}

TEST_F(Tunnels, ThePacketsQfiComesBeforeTheSessions) {
  SessionSpec spec = plain_session(kTeid);
  spec.qers = {qfi(1, 9)};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const auto out = send(1, ipv4({.source = kServer, .destination = kUe}));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(wire::load8(out[0].data() + 42), 9) << "from N6: the session's";
}

Bytes router_message(std::uint8_t type, std::uint64_t to_high, std::uint64_t to_low) {
  Bytes b = ipv6(0xfe80000000000000, to_high, 0, 56);
  wire::store16(b.data() + 6, 58 << 8 | 255);
  wire::store64(b.data() + 32, to_low);
  wire::store64(b.data() + 40, std::uint64_t{type} << 56);
  return b;
}

/// A session with IPv6 whose router solicitations go to the control plane function.
SessionSpec session_with_router() {
  SessionSpec spec = plain_session(kTeid, 0);
  spec.ue_prefix = kUePrefix;
  PdrSpec solicit = spec.pdrs[0];
  solicit.id = 3;
  solicit.precedence = 1;
  FilterSpec filter;
  filter.protocol = 58;
  filter.remote6[0] = 0xff020000;
  filter.remote6[3] = 2;
  filter.remote6_length = 128;
  solicit.filters = {filter};
  solicit.far = 2;
  spec.pdrs.push_back(solicit);
  FarSpec smf;
  smf.id = 3;
  smf.destination = 4;
  smf.tunnel = true;
  smf.teid = kPeerTeid;
  smf.ipv4 = kPeer;
  spec.fars.push_back(smf);
  PdrSpec advertise;
  advertise.id = 4;
  advertise.source = 4;
  advertise.teid = kLocalTeid;
  advertise.local_ipv4 = kN3;
  advertise.far = 1;
  spec.pdrs.push_back(advertise);
  return spec;
}

TEST_F(Tunnels, RouterMessagesGoToTheControlPlaneFunctionAndBack) {
  ASSERT_EQ(create(kSession, session_with_router()), PrepareStatus::Ok);
  const Bytes solicitation = router_message(133, 0xff02000000000000, 2);
  expect_tunnelled(gtpu(kTeid, solicitation), kUplink, 9);
  const Bytes advertisement = router_message(134, 0xff02000000000000, 1);
  expect_tunnelled(gtpu(kLocalTeid, advertisement, 9), kDownlink, 9, 0x1234);
  Bytes data = router_message(0, 0x20010db800000000, 1);
  wire::store16(data.data() + 6, 17 << 8 | 64);
  expect_drop(0, gtpu(kTeid, data), DropReason::SpoofedSource);
}

TEST_F(Tunnels, LinkLocalSourcesHaveTheInterfaceIdentifierThatTheUeWasAssigned) {
  SessionSpec spec = session_with_router();
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const auto with_source = [](std::uint64_t identifier) {
    Bytes b = router_message(133, 0xff02000000000000, 2);
    wire::store64(b.data() + 16, identifier);
    return b;
  };
  // From the address that the UE was assigned, or from any while none is known.
  constexpr std::uint64_t kAssigned = 0x0200'5eff'fe00'5301;
  expect_tunnelled(gtpu(kTeid, with_source(kAssigned + 1)), kUplink, 9);
  spec.ue_interface_mark = interface_mark(kAssigned >> 32, kAssigned & 0xffffffff);
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  expect_tunnelled(gtpu(kTeid, with_source(kAssigned)), kUplink, 9);
  for (const std::uint64_t other :
       {kAssigned + 1, kAssigned ^ std::uint64_t{1} << 63, kAssigned << 32}) {
    expect_drop(0, gtpu(kTeid, with_source(other)), DropReason::SpoofedSource);
  }
}

TEST_F(Tunnels, TheOuterHeaderStaysOnWhereItIsNotRemoved) {
  SessionSpec spec = plain_session(kTeid);
  spec.pdrs[0].removal = 2;
  add_tunnel(spec, 1, 2);
  spec.pdrs[2].removal = 2;
  PdrSpec removing = spec.pdrs[2];  // the same FAR, and the header comes off
  removing.id = 9;
  removing.teid = kLocalTeid + 1;
  removing.removal = 1;
  spec.pdrs.push_back(removing);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  Bytes padded = gtpu(kTeid, ipv4({}));
  const Bytes whole = padded;
  padded.resize(padded.size() + 5);
  auto out = send(0, padded);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0], whole) << "to N6, without the padding";

  const Bytes sent = gtpu(kLocalTeid, ipv4({}), 6);
  out = send(0, sent);
  ASSERT_EQ(out.size(), 1u);
  const std::byte* p = out[0].data();
  ASSERT_EQ(out[0].size(), 44 + sent.size());
  EXPECT_EQ(wire::load16(p + 2), out[0].size());
  EXPECT_EQ(wire::load32(p + 32), kPeerTeid);
  EXPECT_EQ(std::memcmp(p + 44, sent.data(), sent.size()), 0) << "a tunnel in a tunnel";
  expect_tunnelled(gtpu(kLocalTeid + 1, ipv4({}), 6), kUplink, 6);
}

}  // namespace
}  // namespace sluice::test
