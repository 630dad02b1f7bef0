#include "datagram/listening.h"

#include <gtest/gtest.h>

namespace sluice::datagram {
namespace {

Address loopback(std::uint32_t host) { return {4, {0x7f000000 | host, 0, 0, 0}}; }

struct ListeningTest : testing::TestWithParam<Address> {
  Listening listening = Listening::open(GetParam(), 0).value();

  void send(const UdpSocket& from, std::uint8_t type) {
    const std::byte octets[] = {std::byte{0x20}, std::byte{type}};
    const SocketAddress to = socket_address(GetParam(), listening.port());
    while (sendto(from.fd(), octets, sizeof octets, 0,
                  reinterpret_cast<const sockaddr*>(&to.storage), to.length) < 0) {
    }
  }
  /// Of one type by one source, until some are lost; what has the other type is not.
  void flood(std::uint8_t type, std::uint8_t other) {
    const UdpSocket loud = UdpSocket::open(GetParam(), 0).value();
    for (unsigned i = 0; i < 1'000'000 && listening.dropped() == 0; ++i) send(loud, type);
    const std::uint64_t lost = listening.dropped();
    EXPECT_GT(lost, 0u);
    send(loud, other);
    EXPECT_EQ(listening.dropped(), lost);
  }
};

TEST_P(ListeningTest, AFloodLeavesRoomForHeartbeatsOfItsOwnSource) { flood(50, 1); }

TEST_P(ListeningTest, AFloodOfHeartbeatsLeavesRoomForOtherMessages) { flood(1, 50); }

TEST_P(ListeningTest, NobodyElseCanHaveTheName) {
  EXPECT_FALSE(UdpSocket::open(GetParam(), listening.port()));
  EXPECT_FALSE(Listening::open(GetParam(), listening.port()));
}

INSTANTIATE_TEST_SUITE_P(BothFamilies, ListeningTest,
                         testing::Values(loopback(1), Address{6, {0, 0, 0, 1}}));

TEST(ListeningToSources, AreApartFromEachOther) {
  // Of so many sources some have another socket than the first, whatever the random number is.
  constexpr std::uint32_t kSources = 64;
  const Listening listening = Listening::open(loopback(1), 0).value();
  const std::byte octets[] = {std::byte{0x20}, std::byte{5}};
  const SocketAddress to = socket_address(loopback(1), listening.port());
  for (std::uint32_t host = 0; host < kSources; ++host) {
    const UdpSocket from = UdpSocket::open(loopback(10 + host), 0).value();
    ASSERT_GT(sendto(from.fd(), octets, sizeof octets, 0,
                     reinterpret_cast<const sockaddr*>(&to.storage), to.length),
              0);
  }
  ReceiveBatch batch;
  unsigned sockets = 0, datagrams = 0;
  for (const UdpSocket& socket : listening.sockets()) {
    const unsigned came = batch.receive(socket.fd());
    datagrams += came;
    sockets += came != 0;
  }
  EXPECT_EQ(datagrams, kSources);
  EXPECT_GT(sockets, 1u);
  EXPECT_LE(sockets, Listening::kSources);
}

}  // namespace
}  // namespace sluice::datagram
