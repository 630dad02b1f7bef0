// What nobody should send: each has its reason, and no packet is lost from the books.
#include "worker/datapath_fixture_test.h"

namespace sluice::test {
namespace {

const std::uint32_t kTeid = direct_teid(3, 5, 1);
constexpr SessionIndex kSession = 3 * 64 + 5;

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
