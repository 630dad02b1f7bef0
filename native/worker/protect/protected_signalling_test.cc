// GTP-U messages about tunnels under a protection: believed when they come under it alone.
#include "worker/protect/protections_fixture_test.h"

namespace sluice::test {
namespace {

constexpr Nanoseconds kOneSecond = 1'000'000'000;

class ProtectedSignalling : public DatapathTest, public ::testing::WithParamInterface<unsigned> {
 protected:
  void configure(DatapathConfig& config) const override {
    config.lanes = GetParam();
    config.echo = {.interval = 60 * kOneSecond, .timeout = 3 * kOneSecond, .tries = 3};
  }
  void SetUp() override {
    starts_at_ = 1000 * kOneSecond;
    DatapathTest::SetUp();
  }
  void set(const ProtectionSettings& settings) {
    ASSERT_TRUE(path_->protections().set(settings));
    ASSERT_TRUE(path_->protections().settled());
  }
  /// Into a protected tunnel to the gNB.
  static SessionSpec towards_gnb() {
    SessionSpec s = first_session();
    s.fars[0].ipv4 = kGnb;
    s.fars[0].teid = kFarN9Teid;
    return s;
  }
  static Bytes error_indication() {
    Bytes m(wire::kErrorIndicationBytesMax);
    std::byte address[4];
    wire::store32(address, kGnb);
    m.resize(wire::write_error_indication(m.data(), 1, Teid{kFarN9Teid}, address, 4));
    return gtpu_message(kGnb, m);
  }
  static Bytes end_marker(std::uint32_t teid) {
    Bytes m(wire::kEndMarkerBytes);
    wire::write_end_marker(m.data(), Teid{teid});
    return gtpu_message(kGnb, m);
  }
  static Bytes echo_response(std::uint16_t sequence) {
    Bytes m(wire::kEchoResponseBytes);
    wire::write_echo_response(m.data(), sequence);
    return gtpu_message(kGnb, m);
  }
  unsigned told(EventKind kind) {
    collect_events();
    return static_cast<unsigned>(std::count_if(events_.begin(), events_.end(),
                                               [kind](const Event& e) { return e.kind == kind; }));
  }
  Bytes sealed(const Bytes& packet) { return other_.seal(packet, kNextIpv4); }

 private:
  OtherSender other_;
};

TEST_P(ProtectedSignalling, AnErrorIndicationComesAsThePacketsWent) {
  set(protection());
  ASSERT_EQ(create(kFirst, towards_gnb()), PrepareStatus::Ok);
  expect_drop(0, error_indication(), DropReason::Unprotected);
  EXPECT_EQ(told(EventKind::ErrorIndication), 0u);
  expect_drop(0, sealed(error_indication()), DropReason::ErrorIndication);
  EXPECT_EQ(told(EventKind::ErrorIndication), 1u);
}

TEST_P(ProtectedSignalling, AnotherProtectionDoesNotSpeakForIt) {
  set(protection());
  ProtectionSettings other = protection();
  other.number = kNumber + 1;
  other.outbound = {association(kSpi + 8)};
  other.inbound = {association(kSpi + 8)};
  set(other);
  SessionSpec spec = towards_gnb();
  spec.fars[0].protection = kNumber + 1;
  ASSERT_EQ(create(kFirst, spec), PrepareStatus::Ok);
  expect_drop(0, sealed(error_indication()), DropReason::Unprotected);
  EXPECT_EQ(told(EventKind::ErrorIndication), 0u);
}

TEST_P(ProtectedSignalling, AProtectionThatOnlySealsHasNothingToComeUnder) {
  ProtectionSettings one_way = protection();
  one_way.inbound.clear();
  set(one_way);
  ASSERT_EQ(create(kFirst, towards_gnb()), PrepareStatus::Ok);
  expect_drop(0, error_indication(), DropReason::ErrorIndication);
  EXPECT_EQ(told(EventKind::ErrorIndication), 1u);
  set(protection());
  ASSERT_EQ(update(kFirst, first_session()), PrepareStatus::Ok);
  ASSERT_EQ(update(kFirst, towards_gnb()), PrepareStatus::Ok);
  expect_drop(0, error_indication(), DropReason::Unprotected);
}

TEST_P(ProtectedSignalling, AnEndMarkerComesAsThePacketsOfItsTunnel) {
  set(protection());
  SessionSpec second = second_session();
  second.fars[0].tunnel = true;
  second.fars[0].ipv4 = kGnb;
  second.fars[0].teid = kFarN9Teid;
  ASSERT_EQ(create(kSecond, second), PrepareStatus::Ok);
  expect_drop(0, end_marker(kSecondTeid), DropReason::Unprotected);
  EXPECT_EQ(collect(0).size(), 0u);
  const auto out = send(0, sealed(end_marker(kSecondTeid)));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(wire::load32(out[0].data() + 32), kFarN9Teid) << "passed on";
  EXPECT_EQ(dropped(DropReason::EndMarker), 1u);
}

TEST_P(ProtectedSignalling, AnEchoResponseComesAsTheRequestWent) {
  set(protection());
  SessionSpec spec = towards_gnb();
  spec.pdrs.resize(1);
  spec.fars.resize(1);
  ASSERT_EQ(create(kFirst, spec), PrepareStatus::Ok);
  unsigned requests = 0;
  for (unsigned i = 0; i < 20 && requests == 0; ++i) {
    pass(kOneSecond / 10);
    requests += static_cast<unsigned>(collect(0).size());
  }
  ASSERT_EQ(requests, 1u);
  const auto state = [this] {
    std::size_t all = 0;
    const auto rows = path_->paths(10, all);
    return rows.size() == 1 ? rows[0].state : PathState::Down;
  };
  // Numbers of requests begin with 1.
  expect_drop(0, echo_response(1), DropReason::Unprotected);
  EXPECT_EQ(state(), PathState::Unknown);
  expect_drop(0, sealed(echo_response(1)), DropReason::GtpuEcho);
  EXPECT_EQ(state(), PathState::Up);
}

INSTANTIATE_TEST_SUITE_P(Lanes, ProtectedSignalling, ::testing::Values(0u, 3u));

}  // namespace
}  // namespace sluice::test
