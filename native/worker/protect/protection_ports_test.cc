// By which ports packets under a protection leave: those that have its local address.
#include "worker/protect/protections_fixture_test.h"

namespace sluice::test {
namespace {

constexpr std::uint8_t kOtherCore = 2;

/// Two core ports for the same network instance, and one for N3.
class ProtectionPorts : public DatapathTest {
 protected:
  void configure(DatapathConfig& config) const override {
    PortConfig other = config.ports[1];
    other.name = "n6b";
    config.ports.push_back(other);
  }
  void define(PortMask ports) {
    ProtectionSettings settings = protection();
    settings.ports = ports;
    ASSERT_TRUE(path_->protections().set(settings));
  }
};

SessionSpec protected_n6() {
  SessionSpec session = plain_session(kFirstTeid);
  session.fars[0].protection = kNumber;
  return session;
}

TEST_F(ProtectionPorts, AFarHasThePortOfItsProtection) {
  define(1u << kOtherCore);
  ASSERT_EQ(create(kFirst, protected_n6()), PrepareStatus::Ok);
  ASSERT_TRUE(inject(0, gtpu(kFirstTeid, ipv4({}))));
  path_->step();
  path_->step();
  EXPECT_EQ(collect(1).size(), 0u);
  EXPECT_EQ(collect(kOtherCore).size(), 1u);
}

TEST_F(ProtectionPorts, AFarWithoutOneIsRefused) {
  define(1u << kOtherCore);
  EXPECT_EQ(create(kFirst, first_session()), PrepareStatus::ProtectionPort) << "a tunnel by N3";
  EXPECT_EQ(detail_, 0u);
  ASSERT_TRUE(path_->protections().remove(kNumber)) << "nothing refers to it";
  define(1u << 0);
  EXPECT_EQ(create(kFirst, protected_n6()), PrepareStatus::ProtectionPort) << "plain IP by N6";
  EXPECT_EQ(create(kFirst, first_session()), PrepareStatus::Ok);
  EXPECT_EQ(update(kFirst, protected_n6()), PrepareStatus::ProtectionPort);
  EXPECT_EQ(send(0, gtpu(kFirstTeid, ipv4({}))).size(), 1u) << "the rules of before are in force";
}

TEST_F(ProtectionPorts, ItsGatewayTurnsRoundWhatIsSealedForAnotherUe) {
  define(1u << 1 | 1u << kOtherCore);
  ASSERT_EQ(create(kFirst, protected_n6()), PrepareStatus::Ok);
  ASSERT_EQ(create(kSecond, plain_session(kSecondTeid, kUe + 1)), PrepareStatus::Ok);
  const auto out = send(0, gtpu(kFirstTeid, ipv4({.destination = kUe + 1})));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(wire::load8(out[0].data() + 9), kProtocolEsp);
}

}  // namespace
}  // namespace sluice::test
