// Captures: both sides of the packet path in a file that readers take, what is not wanted left
// out, what has no room counted, and everything given back.
#include "worker/sight/capture_fixture_test.h"

namespace sluice::test {
namespace {

using Comments = std::vector<std::string>;

const std::uint32_t kTeid = direct_teid(3, 5, 1);
constexpr SessionIndex kSession = 3 * 64 + 5, kOther = 4 * 64 + 5;

SessionSpec named(std::uint32_t teid = kTeid, std::uint32_t ue = kUe) {
  SessionSpec spec = plain_session(teid, ue);
  spec.name = "ue1";
  return spec;
}

class CaptureTest : public Capturing<DatapathTest> {};

TEST_F(CaptureTest, HasBothSidesOfASession) {
  ASSERT_EQ(create(kSession, named()), PrepareStatus::Ok);
  ASSERT_EQ(create(kOther, named(direct_teid(4, 5, 1), kUe + 1)), PrepareStatus::Ok);
  const unsigned capture = start({.session = kSession});
  const Bytes up = gtpu(kTeid, ipv4({})), down = ipv4({.source = kServer, .destination = kUe});
  const Bytes up_sent = send(0, up)[0], down_sent = send(1, down)[0];
  send(0, gtpu(direct_teid(4, 5, 1), ipv4({.source = kUe + 1})));
  const CaptureRead last = stop(capture);
  EXPECT_EQ(last.end, CaptureEnd::Stopped);
  EXPECT_EQ(last.packets, 4u);
  EXPECT_EQ(last.lost, 0u);
  const std::vector<Frame> expected = {{0, up, up.size()},
                                       {1, up_sent, up_sent.size()},
                                       {1, down, down.size()},
                                       {0, down_sent, down_sent.size()}};
  EXPECT_EQ(frames(), expected);
  EXPECT_EQ(comments(), (Comments{"received; session ue1, uplink, PDR 1, FAR 1: forwarded",
                                  "sent; session ue1, PDR 1, FAR 1",
                                  "received; session ue1, downlink, PDR 2, FAR 2: forwarded",
                                  "sent; session ue1, PDR 2, FAR 2"}));
}

TEST_F(CaptureTest, WhatWasHeldIsThereWhenItLeaves) {
  SessionSpec spec = named();
  spec.fars[1].action = record::far::kBuffer;
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const unsigned capture = start({.session = kSession});
  const Bytes down = ipv4({.source = kServer, .destination = kUe});
  EXPECT_TRUE(send(1, down).empty());
  EXPECT_EQ(read(capture).packets, 1u);
  ASSERT_EQ(update(kSession, named()), PrepareStatus::Ok);
  EXPECT_TRUE(marked(kSession));
  path_->step();
  const auto out = collect(0);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(stop(capture).packets, 2u) << "it is received once, and sent once";
  EXPECT_EQ(frames(), (std::vector<Frame>{{1, down, down.size()}, {0, out[0], out[0].size()}}));
  EXPECT_EQ(comments(), (Comments{"received; session ue1, downlink, PDR 2, FAR 2: held",
                                  "sent; session ue1, PDR 2, FAR 2"}));
}

TEST_F(CaptureTest, DropsAreThereOnRequest) {
  ASSERT_EQ(create(kSession, named()), PrepareStatus::Ok);
  const Bytes spoofed = gtpu(kTeid, ipv4({.source = kUe + 9}));
  const unsigned without = start({.session = kSession});
  expect_drop(0, spoofed, DropReason::SpoofedSource);
  stop(without);
  EXPECT_TRUE(frames().empty());
  const unsigned with = start({.session = kSession, .drops = true});
  expect_drop(0, spoofed, DropReason::SpoofedSource);
  stop(with);
  EXPECT_EQ(frames(), (std::vector<Frame>{{0, spoofed, spoofed.size()}}));
  EXPECT_EQ(comments(), (Comments{"received; session ue1, uplink: dropped: spoofed_source"}));
}

TEST_F(CaptureTest, OfAPortHasWhatNobodyOwnsAsItCame) {
  ASSERT_EQ(create(kSession, named()), PrepareStatus::Ok);
  const unsigned capture = start({.ports = 1, .drops = true});
  Bytes echo(28 + 12);
  wire::write_ipv4(echo.data(), {.source = kGnb, .destination = kN3, .total_length = 40});
  wire::write_udp(echo.data() + 20, 2152, 2152, 20);
  wire::store32(echo.data() + 28, 0x32010004);
  const Bytes answer = send(0, echo)[0];
  const Bytes stranger = gtpu(0x77000001, ipv4({}));
  expect_drop(0, stranger, DropReason::UnknownTeid);
  const Bytes up = gtpu(kTeid, ipv4({}));
  send(0, up);
  const Bytes down_sent = send(1, ipv4({.source = kServer, .destination = kUe}))[0];
  stop(capture);
  EXPECT_EQ(frames(), (std::vector<Frame>{{0, echo, echo.size()},
                                          {0, answer, answer.size()},
                                          {0, stranger, stranger.size()},
                                          {0, up, up.size()},
                                          {0, down_sent, down_sent.size()}}));
  EXPECT_EQ(comments(), (Comments{"received; no session: answered", "sent",
                                  "received; no session: dropped: unknown_teid",
                                  "received; session ue1, uplink, PDR 1, FAR 1: forwarded",
                                  "sent; session ue1, PDR 2, FAR 2"}));
}

TEST_F(CaptureTest, SurvivesAnUpdateAndEndsWithTheSession) {
  SessionSpec spec = named();
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const unsigned capture = start({.session = kSession});
  EXPECT_TRUE(marked(kSession));
  spec.fars[1].teid = 0x4321;
  ASSERT_EQ(update(kSession, spec), PrepareStatus::Ok);
  EXPECT_TRUE(marked(kSession));
  send(0, gtpu(kTeid, ipv4({})));
  EXPECT_EQ(read(capture).packets, 2u);
  ASSERT_EQ(remove(kSession), PrepareStatus::Ok);
  EXPECT_EQ(read_out(capture).end, CaptureEnd::SessionGone);
  EXPECT_EQ(frames().size(), 2u);
  EXPECT_FALSE(observed());
  // Who comes next in the same place is not looked at.
  spec.incarnation = 2;
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  EXPECT_FALSE(marked(kSession));
}

TEST_F(CaptureTest, NothingIsLeftBehind) {
  ASSERT_EQ(create(kSession, named()), PrepareStatus::Ok);
  EXPECT_FALSE(observed());
  const unsigned first = start({.session = kSession}), second = start({.session = kSession});
  EXPECT_TRUE(observed());
  stop(first);
  EXPECT_TRUE(marked(kSession)) << "the other capture wants it";
  EXPECT_EQ(path_->statistics().captures.running, 1u);
  content_.clear();
  stop(second);
  EXPECT_FALSE(marked(kSession));
  EXPECT_FALSE(observed());
  EXPECT_TRUE(path_->captures().idle());
}

TEST_F(CaptureTest, EndsAtItsCountAndCutsAtItsLength) {
  ASSERT_EQ(create(kSession, named()), PrepareStatus::Ok);
  const unsigned capture = start({.session = kSession, .snap = 60, .packets_max = 3});
  for (unsigned n = 0; n < 5; ++n) send(0, gtpu(kTeid, ipv4({.bytes = 500})));
  const CaptureRead last = read_out(capture);
  EXPECT_EQ(last.end, CaptureEnd::Count);
  EXPECT_EQ(last.packets, 3u);
  const auto seen = frames();
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0].bytes.size(), 60u);
  EXPECT_EQ(seen[0].original, 544u);
}

TEST_F(CaptureTest, AFullRingLosesCopiesAndCountsThem) {
  ASSERT_EQ(create(kSession, named()), PrepareStatus::Ok);
  const unsigned capture = start({.session = kSession});
  const Bytes packet = gtpu(kTeid, ipv4({.bytes = 1400}));
  constexpr unsigned kPackets = 2000;  // twice what the ring has room for, both sides counted
  for (unsigned n = 0; n < kPackets; ++n) {
    ASSERT_TRUE(inject(0, packet));
    path_->step();
    ASSERT_EQ(collect(1).size(), 1u) << "no packet is lost by being captured";
  }
  const CaptureRead last = stop(capture);
  EXPECT_GT(last.lost, 0u);
  EXPECT_EQ(last.packets + last.lost, 2u * kPackets);
  EXPECT_EQ(frames().size(), last.packets);
  const CaptureTotals totals = path_->statistics().captures;
  EXPECT_EQ(totals.running, 0u);
  EXPECT_EQ(totals.packets, last.packets);
  EXPECT_EQ(totals.lost, last.lost);
}

TEST_F(CaptureTest, AReaderThatDoesNotReadLosesCopies) {
  ASSERT_EQ(create(kSession, named()), PrepareStatus::Ok);
  const unsigned capture = start({.session = kSession});
  const Bytes packet = gtpu(kTeid, ipv4({.bytes = 1400}));
  constexpr unsigned kPackets = 4000;
  for (unsigned n = 0; n < kPackets; ++n) {
    ASSERT_EQ(send(0, packet).size(), 1u);
    if (n % 100 == 0) collect_events();  // the ring is emptied, the capture isn't read
  }
  const CaptureRead last = stop(capture);
  EXPECT_GT(last.lost, 0u);
  EXPECT_EQ(last.packets + last.lost, 2u * kPackets);
  EXPECT_LT(content_.size(), Captures::kWaitingMax + 65536);
}

TEST_F(CaptureTest, ThereIsALimit) {
  ASSERT_EQ(create(kSession, named()), PrepareStatus::Ok);
  std::vector<unsigned> captures;
  for (unsigned n = 0; n < kCapturesMax; ++n) captures.push_back(start({.session = kSession}));
  auto refused = path_->captures().start({.session = kSession});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "8 captures run, which is the limit; end one first");
  send(0, gtpu(kTeid, ipv4({})));
  for (const unsigned capture : captures) EXPECT_EQ(stop(capture).packets, 2u);
}

TEST_F(CaptureTest, TheNodeStopsInTheMiddle) {
  ASSERT_EQ(create(kSession, named()), PrepareStatus::Ok);
  const unsigned capture = start({.session = kSession});
  send(0, gtpu(kTeid, ipv4({})));
  path_->stop();
  EXPECT_EQ(read_out(capture).end, CaptureEnd::Stopped);
  EXPECT_EQ(frames().size(), 2u);
  EXPECT_FALSE(path_->captures().start({.session = kSession}));
}

class CaptureOfWorkersTest : public CaptureTest {
 protected:
  unsigned workers() const override {
    auto topology = discover_topology();
    return topology && topology.value().cores.size() > 1 ? 2 : 1;
  }
};

TEST_F(CaptureOfWorkersTest, WhileWorkersRun) {
  ASSERT_EQ(create(kSession, named()), PrepareStatus::Ok);
  const unsigned capture = start({.session = kSession});
  while (!read(capture).in_force) continue;
  constexpr unsigned kPackets = 100;
  unsigned collected = 0;
  const auto drain = [&] {
    for (unsigned q = 0; q < workers(); ++q) {
      collected += static_cast<unsigned>(collect(1, q).size());
    }
    collect_events();
  };
  for (unsigned n = 0; n < kPackets; ++n) {
    // By turns at the owner's queue and at the other's, which hands over.
    while (!inject(0, gtpu(kTeid, ipv4({})), n % workers())) drain();
  }
  while (collected < kPackets) drain();
  EXPECT_EQ(stop(capture).packets, 2 * kPackets);
}

}  // namespace
}  // namespace sluice::test
