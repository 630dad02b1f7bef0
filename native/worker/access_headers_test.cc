// The one compare for common packets (access_headers.h) is for a port's first addresses. To its
// second ones, and with an option in the outer IP header, the same packets go other ways, the last
// one header by header: all have to come to the same, whatever octet is changed.
#include <string>

#include "worker/datapath_fixture_test.h"

namespace sluice::test {
namespace {

constexpr std::uint32_t kOther = 0x0a0000fe;
constexpr std::uint64_t kN3High = 0xfd000000000000aa, kOtherHigh = 0xfd000000000000ab;

class AccessHeadersTest : public DatapathTest {
 protected:
  /// One address of the port, and a session whose tunnel ends there.
  struct End {
    std::uint32_t ipv4;
    std::uint64_t high;
    std::uint32_t teid;
    std::uint32_t ue;
    std::uint64_t ue_prefix;
  };
  static constexpr unsigned kEnds = 2;

  void configure(DatapathConfig& config) const override {
    config.ports[0].addresses.push_back(v4(kOther));
    config.ports[0].addresses.push_back(v6(kOtherHigh));
    // Some changes make a fragment. On a slow machine one of them must not time out while the fate
    // of another packet is asked for.
    config.reassembly.timeout = 3'600'000'000'000;
  }
  void make_sessions() {
    for (const End& end : ends_) {
      SessionSpec spec = plain_session(end.teid, end.ue);
      spec.ue_prefix = end.ue_prefix;
      PdrSpec& up = spec.pdrs[0];
      up.local_ipv4 = end.ipv4;
      up.local_ipv6[0] = static_cast<std::uint32_t>(end.high >> 32);
      up.local_ipv6[1] = static_cast<std::uint32_t>(end.high);
      ASSERT_EQ(create(index_of(end.teid >> 24, 5), spec), PrepareStatus::Ok);
    }
  }
  static Bytes packet(const End& end, bool over_v6, bool with_v6) {
    const Bytes inner = with_v6 ? ipv6(end.ue_prefix, 0xfd99000000000000, 443)
                                : ipv4({.source = end.ue, .bytes = 80});
    const Bytes v4_packet = gtpu(end.teid, inner, 9, end.ipv4);
    if (!over_v6) return v4_packet;
    Bytes b(40);
    const auto payload = static_cast<std::uint16_t>(v4_packet.size() - 20);
    wire::store32(b.data(), 0x60000000);
    wire::store16(b.data() + 4, payload);
    wire::store16(b.data() + 6, 17 << 8 | 64);
    wire::store64(b.data() + 8, 0xfd00000000000001);
    wire::store64(b.data() + 24, end.high);
    b.insert(b.end(), v4_packet.begin() + 20, v4_packet.end());
    return b;
  }
  /// An outer option that does nothing, which no compare for common packets takes.
  static void insert_option(Bytes& b, bool over_v6) {
    if (over_v6) {
      const std::byte option[8] = {b[6], std::byte{0}, std::byte{1}, std::byte{4}};
      b.insert(b.begin() + 40, option, option + 8);
      b[6] = std::byte{60};
      wire::store16(b.data() + 4, static_cast<std::uint16_t>(wire::load16(b.data() + 4) + 8));
    } else {
      b.insert(b.begin() + 20, 4, std::byte{1});
      b[0] = static_cast<std::byte>(static_cast<unsigned>(b[0]) + 1);
      wire::store16(b.data() + 2, static_cast<std::uint16_t>(wire::load16(b.data() + 2) + 4));
    }
  }
  static void set_header_checksum(Bytes& b) {
    wire::store16(b.data() + 10, 0);
    wire::store16(b.data() + 10, wire::checksum(b.data(), 4 * (static_cast<unsigned>(b[0]) & 0xf)));
  }
  /// What became of one packet.
  struct Outcome {
    std::size_t left = 0;
    std::size_t octets = 0;
    std::string drops;
    bool operator==(const Outcome&) const = default;
    friend std::ostream& operator<<(std::ostream& to, const Outcome& is) {
      return to << is.left << " left, of " << is.octets << " octets; dropped:" << is.drops;
    }
  };
  Outcome outcome(const Bytes& bytes) {
    std::uint64_t before[kDropReasons];
    for (std::size_t r = 0; r < kDropReasons; ++r) before[r] = dropped(DropReason(r));
    const std::vector<Bytes> out = send(0, bytes);
    Outcome is = {.left = out.size(), .octets = out.empty() ? 0 : out.back().size(), .drops = ""};
    for (std::size_t r = 0; r < kDropReasons; ++r) {
      const std::uint64_t more = dropped(DropReason(r)) - before[r];
      if (more == 0) continue;
      is.drops += std::string(" ") + drop_reason_label(DropReason(r)) + "=" + std::to_string(more);
    }
    return is;
  }

  const End ends_[kEnds] = {{kN3, kN3High, direct_teid(3, 5, 1), kUe, kUePrefix},
                            {kOther, kOtherHigh, direct_teid(4, 5, 1), kUe + 1, kUePrefix + 1}};
};

TEST_F(AccessHeadersTest, ComeToTheSameAsHeaderByHeader) {
  make_sessions();
  std::uint16_t identification = 0;
  unsigned passed = 0, lost = 0;
  for (unsigned kind = 0; kind < 8; ++kind) {
    const bool over_v6 = (kind & 1) != 0, with_v6 = (kind & 2) != 0;
    packet_flags_ = (kind & 4) != 0 ? kPacketOuterChecksumGood : 0;
    // Nobody has summed what is over IPv6: it would be dropped before anything else is looked at.
    if (over_v6 && packet_flags_ == 0) continue;
    const std::size_t headers = (over_v6 ? 64 : 44) + (with_v6 ? 44 : 24);
    for (std::size_t at = 0; at < headers; ++at) {
      for (const unsigned change : {0x01u, 0x20u, 0x40u, 0x80u, 0xffu, 0x100u}) {
        // 0x100: what is there becomes 0.
        const auto alter = [&](Bytes& b) {
          const auto octet = static_cast<unsigned>(b[at]);
          b[at] = static_cast<std::byte>(change == 0x100 ? 0 : octet ^ change);
        };
        const bool in_checksum = !over_v6 && (at == 10 || at == 11);
        Outcome outcomes[kEnds + 1];
        for (unsigned e = 0; e <= kEnds; ++e) {
          Bytes bytes = packet(ends_[e % kEnds], over_v6, with_v6);
          // What becomes a fragment is not of the same packet as another.
          if (!over_v6) wire::store16(bytes.data() + 4, ++identification);
          if (!in_checksum) alter(bytes);
          // Without its version or length the packet cannot be made longer.
          if (e == kEnds && at != 0) insert_option(bytes, over_v6);
          if (!over_v6 && at != 0) set_header_checksum(bytes);
          if (in_checksum) alter(bytes);
          outcomes[e] = outcome(bytes);
        }
        for (unsigned e = 1; e <= kEnds; ++e) {
          // Which fault a wrong next header is depends on what comes before it.
          if (over_v6 && at == 6 && outcomes[0].left == 0 && outcomes[e].left == 0) continue;
          EXPECT_EQ(outcomes[0], outcomes[e])
              << "way " << e << ", kind " << kind << ", octet " << at << ", change " << change;
        }
        ++(outcomes[0].left == 1 ? passed : lost);
      }
    }
  }
  EXPECT_GT(passed, 500u);
  EXPECT_GT(lost, 500u);
  conserve();
}

}  // namespace
}  // namespace sluice::test
