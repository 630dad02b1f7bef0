// What a peer with the right keys sends that is not quite a packet of ours: opened, handed on, or
// refused under its own reason.
#include "worker/protect/protections_fixture_test.h"

namespace sluice::test {
namespace {

/// By workers themselves, and by so many crypto lanes.
class Opening : public DatapathTest, public ::testing::WithParamInterface<unsigned> {
 protected:
  void SetUp() override {
    DatapathTest::SetUp();
    ASSERT_TRUE(path_->protections().set(protection()));
    ASSERT_TRUE(path_->protections().settled());
  }
  void configure(DatapathConfig& config) const override { config.lanes = GetParam(); }
};

TEST_P(Opening, ADummyIsNoFault) {
  OtherSender other;
  expect_drop(0, other.seal(Bytes(40), kNextNothing), DropReason::EspDummy);
  const auto rows = path_->protections().status(kNumber);
  EXPECT_EQ(rows[1].malformed, 0u);
  EXPECT_EQ(rows[1].number, 1u);
}

TEST_P(Opening, TheVersionInsideIsTheOneThatIsSaid) {
  ASSERT_EQ(create(kSecond, second_session()), PrepareStatus::Ok);
  OtherSender other;
  const Bytes inside = gtpu(kSecondTeid, ipv4({}));
  expect_drop(0, other.seal(inside, kNextIpv6), DropReason::EspMalformed);
  expect_drop(0, other.seal(ipv6(1, 2, 3), kNextIpv4), DropReason::EspMalformed);
  EXPECT_EQ(send(0, other.seal(inside, kNextIpv4)).size(), 1u);
}

TEST_P(Opening, CongestionOnTheWayIsHandedOn) {
  SessionSpec spec = plain_session(kFirstTeid);
  spec.pdrs[1].protection = kNumber;
  ASSERT_EQ(create(kFirst, spec), PrepareStatus::Ok);
  OtherSender other;
  const auto inside = [](std::uint8_t tos) {
    return ipv4({.source = kServer, .destination = kUe, .tos = tos});
  };
  // Outer and inner field, and the inner one behind; source: RFC 6040 figure 4.
  constexpr std::uint8_t kCases[][3] = {{0, 0xb8, 0xb8}, {2, 0xb9, 0xb9},    {3, 0xb9, 0xbb},
                                        {3, 0x02, 0x03}, {0xbb, 0x03, 0x03}, {1, 0x02, 0x02}};
  for (const auto& [outer, before, after] : kCases) {
    const auto out = send(1, other.seal(inside(before), kNextIpv4, outer));
    ASSERT_EQ(out.size(), 1u) << unsigned{before};
    const Bytes expected = inside(after);
    const Bytes got(out[0].end() - static_cast<std::ptrdiff_t>(expected.size()), out[0].end());
    EXPECT_TRUE(got == expected) << unsigned{before} << " in " << unsigned{outer};
  }
  expect_drop(1, other.seal(inside(0xb8), kNextIpv4, 3), DropReason::EspCongested);
}

INSTANTIATE_TEST_SUITE_P(Lanes, Opening, ::testing::Values(0u, 3u));

}  // namespace
}  // namespace sluice::test
