// Outer packets in fragments: any order, limits, timeouts, both families.
#include <chrono>

#include "worker/ip_rules_fixture_test.h"

namespace sluice::test::ip {
namespace {

class Reassembly : public IpRules {
  void change_config(DatapathConfig& config) const override {
    config.reassembly = {.datagrams = 2, .fragments = 4, .timeout = 1'000'000};
    config.ports[1].mtu = 1900;
  }
};

TEST_F(Reassembly, FragmentsInAnyOrderBecomeOnePacket) {
  two_ues();
  const Bytes inner = ipv4({.bytes = 1500});
  auto pieces = cut(gtpu(kTeid, inner), 400);
  ASSERT_EQ(pieces.size(), 4u);
  std::vector<std::size_t> order{0, 1, 2, 3};
  std::uint64_t reassembled = 0;
  do {
    std::vector<Bytes> out;
    for (const std::size_t k : order) {
      ASSERT_TRUE(inject(0, pieces[k]));
    }
    path_->step();
    out = collect(1);
    ASSERT_EQ(out.size(), 1u);
    EXPECT_EQ(out[0], inner);
    reassembled += 3;
    EXPECT_EQ(dropped(DropReason::Reassembled), reassembled);
    conserve();
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(Reassembly, LimitsHold) {
  two_ues();
  const auto pieces = cut(gtpu(kTeid, ipv4({.bytes = 1500})), 512);
  // What overlaps ends the whole packet.
  for (const std::size_t k : {0u, 1u, 1u}) ASSERT_TRUE(inject(0, pieces[k]));
  path_->step();
  EXPECT_EQ(dropped(DropReason::ReassemblyLimit), 3u);
  conserve();
  // More fragments than four, more packets than two.
  for (const Bytes& piece : cut(gtpu(kTeid, ipv4({.bytes = 1500})), 256, 5))
    ASSERT_TRUE(inject(0, piece));
  path_->step();
  EXPECT_EQ(dropped(DropReason::ReassemblyLimit), 3u + 5u);
  conserve();
  for (std::uint16_t id = 10; id < 13; ++id) {
    ASSERT_TRUE(inject(0, cut(gtpu(kTeid, ipv4({.bytes = 1500})), 512, id)[0]));
  }
  path_->step();
  conserve();
  EXPECT_GE(dropped(DropReason::ReassemblyLimit), 3u + 5u + 1u);
}

TEST_F(Reassembly, WhatStaysAloneTimesOut) {
  two_ues();
  ASSERT_TRUE(inject(0, cut(gtpu(kTeid, ipv4({.bytes = 1500})), 512)[1]));
  path_->step();
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (dropped(DropReason::ReassemblyTimeout) == 0 &&
         std::chrono::steady_clock::now() < patience) {
    path_->step();
    conserve();
  }
  EXPECT_EQ(dropped(DropReason::ReassemblyTimeout), 1u);
  EXPECT_EQ(path_->statistics().held, 0u);
}

TEST_F(Reassembly, WhatWaitsAtTheEndIsCounted) {
  two_ues();
  ASSERT_TRUE(inject(0, cut(gtpu(kTeid, ipv4({.bytes = 1500})), 512)[0]));
  path_->step();
  path_->stop();
  EXPECT_EQ(path_->statistics().held, 0u);
  EXPECT_EQ(dropped(DropReason::Stopping) + dropped(DropReason::ReassemblyTimeout), 1u);
}

TEST_F(Reassembly, Ipv6) {
  SessionSpec spec = session(kTeid, kUe);
  const std::uint32_t local[4] = {0xfd000000, 0xaa, 0, 0};
  std::memcpy(spec.pdrs[0].local_ipv6, local, 16);
  ASSERT_EQ(create(kSession, spec), PrepareStatus::Ok);
  const Bytes inner = ipv4({.bytes = 1000});
  Bytes udp(16 + inner.size());
  wire::write_udp(udp.data(), 2152, 2152, static_cast<std::uint16_t>(udp.size()));
  wire::write_gpdu(udp.data() + 8, Teid{kTeid}, static_cast<std::uint16_t>(inner.size()), nullptr);
  std::copy(inner.begin(), inner.end(), udp.begin() + 16);
  Bytes header(48);
  wire::store64(header.data() + 8, 0xfd000000000000bb);
  wire::store64(header.data() + 24, 0xfd000000000000aa);
  wire::fill_udp_checksum(udp.data(), static_cast<std::uint16_t>(udp.size()),
                          wire::pseudo_header_v6(header.data() + 8, header.data() + 24, 17,
                                                 static_cast<std::uint32_t>(udp.size())));
  std::vector<Bytes> pieces;
  for (std::size_t at = 0; at < udp.size(); at += 512) {
    const std::size_t n = std::min<std::size_t>(512, udp.size() - at);
    Bytes b = header;
    b.insert(b.end(), udp.begin() + static_cast<long>(at), udp.begin() + static_cast<long>(at + n));
    wire::store32(b.data(), 0x60000000);
    wire::store16(b.data() + 4, static_cast<std::uint16_t>(n + 8));
    wire::store16(b.data() + 6, 44 << 8 | 64);
    wire::store16(b.data() + 40, 17 << 8);
    wire::store16(b.data() + 42, static_cast<std::uint16_t>(at | (at + n < udp.size() ? 1 : 0)));
    wire::store32(b.data() + 44, 0xabcdef01);
    pieces.push_back(std::move(b));
  }
  ASSERT_EQ(pieces.size(), 2u);
  ASSERT_TRUE(inject(0, pieces[1]));
  ASSERT_TRUE(inject(0, pieces[0]));
  path_->step();
  const auto out = collect(1);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0], inner);
  conserve();
}

}  // namespace
}  // namespace sluice::test::ip
