// A packet path with MTUs, pools and two N6 instances, for the tests of the IP rules.
#pragma once
#include "worker/datapath_fixture_test.h"

namespace sluice::test::ip {

inline const std::uint32_t kTeid = direct_teid(3, 5, 1), kPeerTeid = direct_teid(4, 6, 1);
inline constexpr SessionIndex kSession = 3 * 64 + 5, kPeerSession = 4 * 64 + 6;
inline constexpr std::uint32_t kPeerUe = kUe + 1, kGateway = 0x0a3c0001, kOwnService = 0x0a090909;
inline constexpr std::uint64_t kServer6 = 0x20010db800000000, kGateway6 = 0xfd00006000000000;
inline constexpr unsigned kAccessMtu = 1400, kRoom = kAccessMtu - 44;

inline Bytes without_df(Bytes b) {
  wire::store16(b.data() + 6, 0);
  wire::store16(b.data() + 10, 0);
  wire::store16(b.data() + 10, wire::checksum(b.data(), 20));
  return b;
}

/// Cuts an IPv4 packet at multiples of `step` payload bytes.
inline std::vector<Bytes> cut(const Bytes& whole, std::size_t step, std::uint16_t id = 77) {
  std::vector<Bytes> out;
  for (std::size_t at = 20; at < whole.size(); at += step) {
    const std::size_t n = std::min(step, whole.size() - at);
    Bytes b(whole.begin(), whole.begin() + 20);
    b.insert(b.end(), whole.begin() + static_cast<long>(at),
             whole.begin() + static_cast<long>(at + n));
    wire::store16(b.data() + 2, static_cast<std::uint16_t>(b.size()));
    wire::store16(b.data() + 4, id);
    wire::store16(b.data() + 6,
                  static_cast<std::uint16_t>((at - 20) / 8 | (at + n < whole.size() ? 0x2000 : 0)));
    wire::store16(b.data() + 10, 0);
    wire::store16(b.data() + 10, wire::checksum(b.data(), 20));
    out.push_back(std::move(b));
  }
  return out;
}

class IpRules : public DatapathTest {
 protected:
  void configure(DatapathConfig& config) const override {
    PortConfig& n3 = config.ports[0];
    PortConfig& n6 = config.ports[1];
    n3.outer_mtu = kAccessMtu;
    n6.mtu = 1300;
    n6.ue_pools = {{v4(kUe & 0xffff0000), 16}, {v6(kGateway6), 40}};
    PortConfig ims = n6;
    ims.name = "ims";
    ims.network_instances = {"ims"};
    ims.ue_pools.clear();
    config.ports.push_back(ims);
    config.own_addresses = {v4(kOwnService)};
    config.policy.icmp_errors_per_second = 20;
    change_config(config);
  }
  virtual void change_config(DatapathConfig&) const {}

  SessionSpec session(std::uint32_t teid, std::uint32_t ue, const char* instance = "internet") {
    SessionSpec s = plain_session(teid, ue);
    s.ue_prefix = kUePrefix + ue;
    s.pdrs[1].instance = s.fars[0].instance = instance;
    s.fars[1].teid = teid;
    QerSpec qer;
    qer.qfi = 9;
    s.qers = {qer};
    return s;
  }
  void two_ues() {
    ASSERT_EQ(create(kSession, session(kTeid, kUe)), PrepareStatus::Ok);
    ASSERT_EQ(create(kPeerSession, session(kPeerTeid, kPeerUe)), PrepareStatus::Ok);
  }
  /// Sends, with one more turn for what entered again.
  std::vector<Bytes> exchange(unsigned at, const Bytes& bytes) {
    std::vector<Bytes> out = send(at, bytes);
    path_->step();
    for (unsigned p = 0; p < 3; ++p) {
      for (auto& b : collect(p)) out.push_back(std::move(b));
    }
    conserve();
    return out;
  }
  static std::uint32_t teid_of(const Bytes& out) { return wire::load32(out.data() + 32); }
  static Bytes inner_of(const Bytes& out) { return {out.begin() + 44, out.end()}; }

  /// An ICMP error about `about`, well-formed down to its checksum.
  void expect_error_v4(const Bytes& error, std::uint32_t to, std::uint16_t type_code,
                       std::uint32_t mtu, const Bytes& about) {
    const std::byte* p = error.data();
    ASSERT_GE(error.size(), 56u);
    EXPECT_LE(error.size(), 576u);
    EXPECT_TRUE(wire::ipv4_checksum_good(p, 20));
    EXPECT_EQ(wire::load32(p + 12), kGateway);
    EXPECT_EQ(wire::load32(p + 16), to);
    EXPECT_EQ(wire::load8(p + 9), 1);
    EXPECT_EQ(wire::checksum(p + 20, error.size() - 20), 0);
    EXPECT_EQ(wire::load16(p + 20), type_code);
    EXPECT_EQ(wire::load32(p + 24), mtu);
    EXPECT_EQ(std::memcmp(p + 28, about.data(), std::min(error.size() - 28, about.size())), 0);
  }
};

}  // namespace sluice::test::ip
