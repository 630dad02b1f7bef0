// Captures of packets that go other ways than straight through: what is cut up or put together,
// copied, held, turned round, answered, handed over or dropped late, each with its comment.
#include "worker/ip_rules_fixture_test.h"
#include "worker/sight/capture_fixture_test.h"
#include "worker/workers_fixture_test.h"

namespace sluice::test::ip {
namespace {

using Comments = std::vector<std::string>;

class CaptureOfWays : public Capturing<IpRules> {
 protected:
  void change_config(DatapathConfig& config) const override {
    config.ports[1].mtu = 1900;
    config.held_max = kHeldMax;
  }
  SessionSpec named(const char* name, std::uint32_t teid, std::uint32_t ue) {
    SessionSpec spec = session(teid, ue);
    spec.name = name;
    spec.fars[1].id = 0x302;  // an octet is not all of an ID
    return spec;
  }
  SessionSpec ue1() { return named("ue1", kTeid, kUe); }
  SessionSpec ue2() { return named("ue2", kPeerTeid, kPeerUe); }
  static Bytes down(std::uint16_t bytes) {
    return ipv4({.source = kServer, .destination = kUe, .bytes = bytes});
  }
  static constexpr Nanoseconds kHeldMax = 1'000'000'000;
};

TEST_F(CaptureOfWays, InPieces) {
  ASSERT_EQ(create(kSession, ue1()), PrepareStatus::Ok);
  const unsigned capture = start({.session = kSession});
  const Bytes whole = without_df(down(1800));
  const auto out = exchange(1, whole);
  ASSERT_EQ(out.size(), 2u);
  stop(capture);
  EXPECT_EQ(frames(),
            (std::vector<Frame>{
                {1, whole, whole.size()}, {0, out[0], out[0].size()}, {0, out[1], out[1].size()}}));
  EXPECT_EQ(comments(),
            (Comments{"received; session ue1, downlink, PDR 2, FAR 770: sent in pieces",
                      "sent; session ue1, PDR 2, FAR 770", "sent; session ue1, PDR 2, FAR 770"}));
}

TEST_F(CaptureOfWays, PutTogether) {
  ASSERT_EQ(create(kSession, ue1()), PrepareStatus::Ok);
  const unsigned of_port = start({.ports = 1, .drops = true});
  const Bytes inner = ipv4({.bytes = 1500});
  const auto pieces = cut(gtpu(kTeid, inner), 1000);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_TRUE(exchange(0, pieces[1]).empty());
  const auto out = exchange(0, pieces[0]);
  EXPECT_EQ(out, (std::vector<Bytes>{inner}));
  stop(of_port);
  EXPECT_EQ(frames(), (std::vector<Frame>{{0, pieces[1], pieces[1].size()},
                                          {0, pieces[0], pieces[0].size()}}));
  EXPECT_EQ(comments(), (Comments{"received; no session: waits for the other fragments",
                                  "received; session ue1, uplink, PDR 1, FAR 1: forwarded"}));
  // Its session has it whole, since nobody knows whose a fragment is.
  const unsigned of_session = start({.session = kSession});
  exchange(0, pieces[0]);
  exchange(0, pieces[1]);
  stop(of_session);
  const auto seen = frames();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].bytes.size(), gtpu(kTeid, inner).size());
  EXPECT_EQ(seen[1], (Frame{1, inner, inner.size()}));
}

TEST_F(CaptureOfWays, Copied) {
  SessionSpec spec = ue1();
  FarSpec copy = spec.fars[1];
  copy.teid = 0x99;
  spec.fars[1].duplicates = {copy};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const unsigned capture = start({.session = kSession});
  const auto out = exchange(1, down(200));
  ASSERT_EQ(out.size(), 2u);
  stop(capture);
  const auto seen = frames();
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[1].bytes, out[0]);
  EXPECT_EQ(seen[2].bytes, out[1]);
  EXPECT_EQ(comments(),
            (Comments{"received; session ue1, downlink, PDR 2, FAR 770: forwarded",
                      "sent; session ue1, PDR 2, FAR 770", "sent; session ue1, PDR 2, FAR 770"}));
}

TEST_F(CaptureOfWays, TurnedRound) {
  ASSERT_EQ(create(kSession, ue1()), PrepareStatus::Ok);
  ASSERT_EQ(create(kPeerSession, ue2()), PrepareStatus::Ok);
  const Bytes packet = gtpu(kTeid, ipv4({.destination = kPeerUe}));
  const unsigned of_sender = start({.session = kSession});
  const auto out = exchange(0, packet);
  ASSERT_EQ(out.size(), 1u);
  stop(of_sender);
  EXPECT_EQ(frames(), (std::vector<Frame>{{0, packet, packet.size()}, {0, out[0], out[0].size()}}));
  EXPECT_EQ(comments(),
            (Comments{"received; session ue1, uplink, PDR 1, FAR 1: turned round to another UE",
                      "sent; session ue2, PDR 2, FAR 770"}));
  const unsigned of_receiver = start({.session = kPeerSession});
  exchange(0, packet);
  stop(of_receiver);
  EXPECT_EQ(comments(), (Comments{"in again; session ue2, downlink, PDR 2, FAR 770: forwarded",
                                  "sent; session ue2, PDR 2, FAR 770"}));
  // A port has it as it came and as it leaves; N6 has nothing of it.
  const unsigned of_n3 = start({.ports = 1, .drops = true});
  exchange(0, packet);
  EXPECT_EQ(stop(of_n3).packets, 2u);
  const unsigned of_n6 = start({.ports = 2, .drops = true});
  exchange(0, packet);
  EXPECT_EQ(stop(of_n6).packets, 0u);
}

TEST_F(CaptureOfWays, DroppedOnItsSecondTurn) {
  SessionSpec closed = ue2();
  closed.qers[0].downlink_closed = true;
  closed.pdrs[1].qers = {0};
  ASSERT_EQ(create(kSession, ue1()), PrepareStatus::Ok);
  ASSERT_EQ(create(kPeerSession, closed), PrepareStatus::Ok);
  const unsigned of_sender = start({.session = kSession, .drops = true});
  EXPECT_TRUE(exchange(0, gtpu(kTeid, ipv4({.destination = kPeerUe}))).empty());
  stop(of_sender);
  EXPECT_EQ(comments(),
            (Comments{"received; session ue1, uplink, PDR 1, FAR 1: turned round to another UE",
                      "in again; session ue2, downlink, PDR 2, FAR 770: dropped: gate_closed"}));
}

TEST_F(CaptureOfWays, AnError) {
  ASSERT_EQ(create(kSession, ue1()), PrepareStatus::Ok);
  const unsigned capture = start({.session = kSession, .drops = true});
  const Bytes whole = down(1800);
  const auto out = exchange(1, whole);
  ASSERT_EQ(out.size(), 1u);
  stop(capture);
  EXPECT_EQ(frames(), (std::vector<Frame>{{1, whole, whole.size()}, {1, out[0], out[0].size()}}));
  EXPECT_EQ(comments(), (Comments{"received; session ue1, downlink, PDR 2, FAR 770: dropped: "
                                  "mtu_exceeded",
                                  "sent; session ue1, PDR 2, FAR 770"}));
}

TEST_F(CaptureOfWays, ByTheFarOfAUsedUpQuota) {
  SessionSpec spec = ue1();
  UrrSpec urr;
  urr.quota[0] = 100;
  urr.quota_far = 3;  // position + 1
  FarSpec redirect = spec.fars[0];
  redirect.id = 9;
  spec.fars.push_back(redirect);
  spec.urrs = {urr};
  spec.pdrs[0].urrs = {0};
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const unsigned capture = start({.session = kSession});
  EXPECT_EQ(exchange(0, gtpu(kTeid, ipv4({.bytes = 200}))).size(), 1u);
  EXPECT_EQ(exchange(0, gtpu(kTeid, ipv4({.bytes = 200}))).size(), 1u);
  stop(capture);
  const auto said = comments();
  ASSERT_EQ(said.size(), 4u);
  EXPECT_EQ(said[2], "received; session ue1, uplink, PDR 1, FAR 9: forwarded");
  EXPECT_EQ(said[3], "sent; session ue1, PDR 1, FAR 9");
}

class CaptureOfHeld : public CaptureOfWays {
 protected:
  CaptureOfHeld() { starts_at_ = 1'700'000'000'000'000'000; }
  SessionSpec buffering() {
    SessionSpec spec = ue1();
    spec.fars[1].action = record::far::kBuffer;
    return spec;
  }
};

TEST_F(CaptureOfHeld, ThatExpires) {
  ASSERT_EQ(create(kSession, buffering()), PrepareStatus::Ok);
  const unsigned of_session = start({.session = kSession, .drops = true});
  const Bytes packet = down(100);
  EXPECT_TRUE(exchange(1, packet).empty());
  pass(2 * kHeldMax);
  stop(of_session);
  EXPECT_EQ(frames(), (std::vector<Frame>{{1, packet, packet.size()}, {1, packet, packet.size()}}));
  EXPECT_EQ(comments(), (Comments{"received; session ue1, downlink, PDR 2, FAR 770: held",
                                  "lost; session ue1: dropped: hold_expired"}));
}

TEST_F(CaptureOfHeld, ThatIsDroppedOnRelease) {
  ASSERT_EQ(create(kSession, buffering()), PrepareStatus::Ok);
  const unsigned of_session = start({.session = kSession, .drops = true});
  EXPECT_TRUE(exchange(1, down(100)).empty());
  SessionSpec closed = ue1();
  closed.qers[0].downlink_closed = true;
  closed.pdrs[1].qers = {0};
  ASSERT_EQ(update(kSession, closed), PrepareStatus::Ok);
  pass(1'000'000);
  stop(of_session);
  EXPECT_EQ(comments(),
            (Comments{"received; session ue1, downlink, PDR 2, FAR 770: held",
                      "was held; session ue1, downlink, PDR 2, FAR 770: dropped: gate_closed"}));
}

TEST_F(CaptureOfHeld, ForAnotherCaptureThanTheOneThatSawItCome) {
  ASSERT_EQ(create(kSession, buffering()), PrepareStatus::Ok);
  ASSERT_EQ(create(kPeerSession, ue2()), PrepareStatus::Ok);
  const unsigned before = start({.session = kSession});
  EXPECT_TRUE(exchange(1, down(100)).empty());
  EXPECT_EQ(stop(before).packets, 1u);
  // Its number comes up again, for a session that has nothing to do with the packet.
  std::vector<unsigned> others;
  for (unsigned n = 0; n < kCapturesMax; ++n) others.push_back(start({.session = kPeerSession}));
  ASSERT_EQ(update(kSession, ue1()), PrepareStatus::Ok);
  pass(1'000'000);
  EXPECT_EQ(collect(0).size(), 1u);
  for (const unsigned other : others) EXPECT_EQ(stop(other).packets, 0u);
}

class CaptureOfHandOver : public Capturing<WorkersTest> {};

TEST_F(CaptureOfHandOver, KnowsTheRulesOfTheOwner) {
  SessionSpec spec = plain_session(teid(0), ue(0));
  spec.name = "ue1";
  ASSERT_EQ(create(session(0), spec), PrepareStatus::Ok);
  spec.fars[0].action = record::far::kDrop;
  ASSERT_EQ(update(session(0), spec), PrepareStatus::Ok);
  const unsigned capture = start({.ports = 1, .drops = true});
  while (!read(capture).in_force) continue;
  const auto nothing = [] {};
  for (unsigned q = 0; q < workers(); ++q) inject_all(0, uplink(0, q), q, nothing);
  settle(nothing);
  stop(capture);
  EXPECT_EQ(comments(), Comments(workers(),
                                 "received; session ue1, uplink, PDR 1, FAR 1: "
                                 "dropped: far_drop"));
}

}  // namespace
}  // namespace sluice::test::ip
