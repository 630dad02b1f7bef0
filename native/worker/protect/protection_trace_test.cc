// Traces of packets under protections: what they say, and that nothing of an association is used.
#include "worker/protect/protections_fixture_test.h"
#include "worker/sight/trace_fixture_test.h"

namespace sluice::test {
namespace {

class ProtectionTrace : public Tracing<DatapathTest>,
                        public ::testing::WithParamInterface<unsigned> {
 protected:
  void configure(DatapathConfig& config) const override { config.lanes = GetParam(); }
  void set(const ProtectionSettings& settings) {
    ASSERT_TRUE(path_->protections().set(settings));
    ASSERT_TRUE(path_->protections().settled());
    ASSERT_EQ(create(kFirst, first_session()), PrepareStatus::Ok);
    ASSERT_EQ(create(kSecond, second_session()), PrepareStatus::Ok);
  }
  /// What is known of both ends.
  std::vector<std::uint64_t> figures() const {
    std::vector<std::uint64_t> all;
    for (const AssociationStatus& row : path_->protections().status(kNumber)) {
      all.insert(all.end(), {row.number, row.packets, row.bytes, row.replayed, row.not_genuine,
                             row.malformed, row.has_expired});
    }
    return all;
  }
};

TEST_P(ProtectionTrace, OfWhatIsSealedSaysHow) {
  ProtectionSettings settings = protection();
  settings.in_udp = true;
  set(settings);
  const Bytes packet = gtpu(kFirstTeid, ipv4({}));
  const auto before = figures();
  const TraceResult said = trace(0, packet);
  EXPECT_EQ(said.verdict, "forwarded");
  // IPv4, UDP, GTP-U with its container and 64 bytes; sealed with 8 of header, 8 of vector, 2 of
  // padding, 2 of trailer and 16 of ICV.
  expect_says(
      "seal: SPI 0x1001 of protection 7, SM4-GCM-16, number 1 would be next: "
      "108 bytes become 144 of ESP, 172 from 10.0.0.1 to 10.0.0.1, UDP port 4500; ");
  ASSERT_EQ(said.outputs.size(), 1u);
  EXPECT_EQ(said.outputs[0].bytes.size(), 108u);
  EXPECT_EQ(figures(), before);
  const auto out = send(0, packet);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].size(), 172u);
  EXPECT_EQ(wire::load32(out[0].data() + 32), 1u) << "the number that the trace has named";
  conserve();
}

TEST_P(ProtectionTrace, OfWhatCannotBeSealedSaysWhy) {
  ProtectionSettings settings = protection();
  settings.outbound[0].allowed = {1, 1000};
  set(settings);
  const Bytes packet = gtpu(kFirstTeid, ipv4({}));
  ASSERT_EQ(send(0, packet).size(), 1u);
  for (unsigned i = 0; i < 3; ++i) {
    const TraceResult said = trace(0, packet);
    EXPECT_EQ(said.verdict, "dropped");
    EXPECT_EQ(said.drop_reason, "esp_expired");
    expect_says("seal: dropped as esp_expired: ");
  }
  EXPECT_EQ(dropped(DropReason::EspExpired), 0u);
}

TEST_P(ProtectionTrace, OfEspGoesOnInside) {
  for (const auto suite : {crypto::EspSuite::Sm4Gcm16, crypto::EspSuite::Sm4CbcSm3_128}) {
    ProtectionSettings settings = protection();
    settings.suite = suite;
    set(settings);
    const auto sealed = send(0, gtpu(kFirstTeid, ipv4({})));
    ASSERT_EQ(sealed.size(), 1u);
    const auto before = figures();
    for (unsigned i = 0; i < 2; ++i) {
      const TraceResult said = trace(0, sealed[0]);
      EXPECT_EQ(said.verdict, "forwarded") << text_;
      expect_says("parse: no GTP-U, but ESP\nopen: SPI 0x1001 of protection 7, SM4-");
      expect_says(", number 1: genuine and new, 108 bytes inside\nreceive: comes in again, as if ");
      expect_says("forward: FAR 1: plain IP, out on n6");
      ASSERT_EQ(said.outputs.size(), 1u);
      EXPECT_EQ(said.outputs[0].bytes, ipv4({}));
    }
    EXPECT_EQ(figures(), before);
    // It is new still, and then no more.
    EXPECT_EQ(send(0, sealed[0]).size(), 1u);
    EXPECT_EQ(trace(0, sealed[0]).drop_reason, "esp_replayed");
    expect_says("number 1; its ICV holds)");
    Bytes spoilt = sealed[0];
    spoilt.back() ^= std::byte{1};
    EXPECT_EQ(trace(0, spoilt).drop_reason, "esp_replayed");
    expect_says("number 1; its ICV does not hold)");
    wire::store32(spoilt.data() + 24, 5);
    EXPECT_EQ(trace(0, spoilt).drop_reason, "esp_not_genuine");
    expect_says("number 5; its ICV does not hold)");
    wire::store32(spoilt.data() + 20, 0x9999);
    EXPECT_EQ(trace(0, spoilt).drop_reason, "esp_unknown_spi");
    expect_says("(SPI 0x9999)");
    EXPECT_EQ(path_->protections().status(kNumber)[1].replayed, 0u);
    EXPECT_EQ(path_->protections().status(kNumber)[1].not_genuine, 0u);
    ASSERT_EQ(remove(kFirst), PrepareStatus::Ok);
    ASSERT_EQ(remove(kSecond), PrepareStatus::Ok);
    ASSERT_TRUE(path_->protections().remove(kNumber));
  }
  conserve();
}

/// An End Marker that comes by a tunnel goes on under the protection of the one it leads into.
TEST_P(ProtectionTrace, GivesBackWhatIsSealedBehindIt) {
  set(protection());
  Bytes message(wire::kEndMarkerBytes);
  wire::write_end_marker(message.data(), Teid{kFirstTeid});
  const Bytes marker = gtpu_message(kGnb, message);
  const std::uint32_t before = path_->pool().available();
  constexpr std::uint32_t kTraces = 2000;  // more packets than a worker keeps by itself
  for (std::uint32_t i = 0; i < kTraces; ++i) trace(0, marker);
  EXPECT_GT(path_->pool().available() + kTraces / 2, before);
  expect_says("seal: ");
  EXPECT_EQ(send(0, marker).size(), 1u);
}

/// Two workers: a trace begins at the first, and the second has the association.
class ProtectionTraceOfWorkers : public Tracing<WorkersTest> {};

TEST_F(ProtectionTraceOfWorkers, FollowsEspToTheWorkerOfItsAssociation) {
  if (workers() < 2) GTEST_SKIP() << "one core has one worker";
  ASSERT_TRUE(path_->protections().set(protection(workers())));
  while (!path_->protections().settled()) std::this_thread::yield();
  static_assert(kSpi % 2 == 1);
  Bytes esp(44);
  wire::write_ipv4(esp.data(),
                   {.source = kGnb, .destination = kN3, .total_length = 44, .protocol = 50});
  wire::store32(esp.data() + 20, kSpi);
  wire::store32(esp.data() + 24, 1);
  const TraceResult said = trace(0, esp);
  const auto& steps = said.steps;
  ASSERT_EQ(steps.size(), 4u);
  EXPECT_EQ(steps[2].decision, "SPI 0x1001 is worker 1's: handed over to it");
  EXPECT_NE(steps[3].decision.find("worker 1 takes it over, SPI 0x1001 of protection 7"),
            std::string::npos)
      << steps[3].decision;
  EXPECT_EQ(said.drop_reason, "esp_malformed");
}

INSTANTIATE_TEST_SUITE_P(Lanes, ProtectionTrace, ::testing::Values(0u, 3u));

}  // namespace
}  // namespace sluice::test
