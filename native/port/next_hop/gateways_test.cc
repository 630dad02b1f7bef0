#include "port/next_hop/gateways.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "wire/checksum.h"

namespace sluice {
namespace {

constexpr Nanoseconds kSecond = 1'000'000'000;
constexpr LinkAddress kPort{2, 0, 0, 0, 0, 1}, kPeer{2, 0, 0, 0, 0, 2}, kOther{2, 0, 0, 0, 0, 3};
constexpr std::uint8_t kPortV4[] = {192, 0, 2, 1}, kPeerV4[] = {192, 0, 2, 2};
constexpr std::uint8_t kPortV6[16] = {0xfd, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
constexpr std::uint8_t kPeerV6[16] = {0xfd, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};

HopAddress v4(const std::uint8_t* bytes) { return HopAddress::of(bytes, false); }
HopAddress v6(const std::uint8_t* bytes) { return HopAddress::of(bytes, true); }

/// A frame with the room that an answer needs.
struct Frame {
  std::array<std::byte, Gateways::kFrameBytesMax> octets{};
  std::uint16_t bytes = 0;
};

struct Ends {
  Gateways port{kPort, {v4(kPortV4), v6(kPortV6)}, {v4(kPeerV4), v6(kPeerV6)}};
  Gateways peer{kPeer, {v4(kPeerV4), v6(kPeerV6)}, {v4(kPortV4), v6(kPortV6)}};

  Frame asked(Gateways& who, Nanoseconds now = kSecond) {
    Frame frame;
    frame.bytes = who.ask(frame.octets.data(), now);
    return frame;
  }
  LinkHeard hear(Gateways& who, Frame& frame, Nanoseconds now = kSecond) {
    return who.hear(frame.octets.data(), frame.bytes, now);
  }
  /// The port knows both of its gateways then.
  void meet(Nanoseconds now = kSecond) {
    for (unsigned family = 0; family < 2; ++family) {
      Frame frame = asked(port, now);
      ASSERT_NE(frame.bytes, 0);
      ASSERT_EQ(hear(peer, frame, now), LinkHeard::Answer);
      ASSERT_EQ(hear(port, frame, now), LinkHeard::Taken);
    }
  }
  bool knows(bool is_v4, const LinkAddress& link) {
    LinkAddress found{};
    return port.find(is_v4, found) && found == link;
  }
};

TEST(Gateways, TwoEndsLearnOfEachOther) {
  Ends ends;
  LinkAddress none;
  EXPECT_FALSE(ends.port.find(true, none));
  ends.meet();
  EXPECT_TRUE(ends.knows(true, kPeer));
  EXPECT_TRUE(ends.knows(false, kPeer));
  // Who was asked has learnt of who asked, too.
  LinkAddress found{};
  EXPECT_TRUE(ends.peer.find(true, found));
  EXPECT_EQ(found, kPort);
  EXPECT_EQ(ends.asked(ends.port, 2 * kSecond).bytes, 0) << "all is known";
}

TEST(Gateways, WhoDoesNotAnswerIsAskedOnceASecondAndForgotten) {
  Ends ends;
  EXPECT_NE(ends.asked(ends.port).bytes, 0);
  EXPECT_NE(ends.asked(ends.port).bytes, 0) << "the other family";
  EXPECT_EQ(ends.asked(ends.port).bytes, 0);
  EXPECT_NE(ends.asked(ends.port, 2 * kSecond).bytes, 0);
  ends.meet(3 * kSecond);
  // A known one is asked by its own address.
  Frame confirm = ends.asked(ends.port, 24 * kSecond);
  ASSERT_NE(confirm.bytes, 0);
  EXPECT_EQ(std::memcmp(confirm.octets.data(), kPeer.data(), 6), 0);
  ends.asked(ends.port, 40 * kSecond);
  ends.asked(ends.port, 40 * kSecond);
  EXPECT_FALSE(ends.knows(true, kPeer));
  EXPECT_FALSE(ends.knows(false, kPeer));
}

TEST(Gateways, CutFramesAreMalformedWhateverTheirLength) {
  for (const unsigned family : {0U, 1U}) {
    Ends ends;
    if (family == 1) ends.asked(ends.port);
    const Frame whole = ends.asked(ends.port);
    for (std::uint16_t n = 14; n < whole.bytes; ++n) {
      Frame cut = whole;
      cut.bytes = n;
      const LinkHeard heard = ends.hear(ends.peer, cut);
      EXPECT_TRUE(heard == LinkHeard::Malformed || heard == LinkHeard::Other) << n;
    }
    LinkAddress found;
    EXPECT_FALSE(ends.peer.find(family == 0, found));
  }
}

TEST(Gateways, FalseArpIsRefusedForItsReason) {
  Ends ends;
  const Frame good = ends.asked(ends.port);
  const auto heard = [&](unsigned at, std::uint8_t value) {
    Frame frame = good;
    frame.octets[at] = std::byte{value};
    return ends.hear(ends.peer, frame);
  };
  EXPECT_EQ(heard(15, 6), LinkHeard::Malformed) << "hardware";
  EXPECT_EQ(heard(16, 9), LinkHeard::Malformed) << "protocol";
  EXPECT_EQ(heard(18, 8), LinkHeard::Malformed) << "length";
  EXPECT_EQ(heard(21, 3), LinkHeard::Malformed) << "operation";
  EXPECT_EQ(heard(22, 3), LinkHeard::FalseSender) << "a group";
  EXPECT_EQ(heard(27, 9), LinkHeard::FalseSender) << "not who sent the frame";
  EXPECT_EQ(heard(31, 2), LinkHeard::AddressInUse) << "the peer's own address";
  EXPECT_EQ(heard(41, 9), LinkHeard::Taken) << "somebody else is asked for";
}

TEST(Gateways, FalseDiscoveryIsRefusedForItsReason) {
  Ends ends;
  ends.asked(ends.port);
  const Frame good = ends.asked(ends.port);
  const auto heard = [&](unsigned at, std::uint8_t value, bool mend = true) {
    Frame frame = good;
    frame.octets[at] = std::byte{value};
    std::byte* const icmp = frame.octets.data() + 54;
    if (mend) {
      wire::store16(icmp + 2, 0);
      const std::byte* const ip = frame.octets.data() + 14;
      wire::store16(icmp + 2, wire::fold(wire::checksum_partial(
                                  icmp, 32, wire::pseudo_header_v6(ip + 8, ip + 24, 58, 32))));
    }
    return ends.hear(ends.peer, frame);
  };
  EXPECT_EQ(heard(70, 9, false), LinkHeard::WrongChecksum);
  EXPECT_EQ(heard(21, 64), LinkHeard::Other) << "a router has passed it on";
  EXPECT_EQ(heard(55, 1), LinkHeard::Malformed) << "code";
  EXPECT_EQ(heard(62, 0xff), LinkHeard::Malformed) << "a group is asked for";
  EXPECT_EQ(heard(79, 0), LinkHeard::Malformed) << "an option without length";
  EXPECT_EQ(heard(79, 2), LinkHeard::Malformed) << "an option beyond the end";
  EXPECT_EQ(heard(80, 1), LinkHeard::FalseSender) << "a group's link address";
  EXPECT_EQ(heard(37, 2), LinkHeard::AddressInUse) << "the peer's own address";
  EXPECT_EQ(heard(77, 9), LinkHeard::Taken) << "somebody else is asked for";
}

// Where the gateway has moved, the next that it says counts; what others say does not.
TEST(Gateways, OnlyTheGatewayMovesTheGateway) {
  Ends ends;
  ends.meet();
  Gateways moved{kOther, {v4(kPeerV4)}, {v4(kPortV4)}};
  Frame frame = ends.asked(moved);
  EXPECT_EQ(ends.hear(ends.port, frame), LinkHeard::Answer);
  EXPECT_TRUE(ends.knows(true, kOther));
  constexpr std::uint8_t kThird[] = {192, 0, 2, 3};
  Gateways stranger{kPeer, {v4(kThird)}, {v4(kPortV4)}};
  frame = ends.asked(stranger);
  EXPECT_EQ(ends.hear(ends.port, frame), LinkHeard::Answer);
  EXPECT_TRUE(ends.knows(true, kOther));
}

}  // namespace
}  // namespace sluice
