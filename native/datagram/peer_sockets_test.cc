#include "datagram/peer_sockets.h"

#include <gtest/gtest.h>

namespace sluice::datagram {
namespace {

Address loopback(std::uint32_t host) { return {4, {0x7f000000 | host, 0, 0, 0}}; }
Peer peer_at(std::uint32_t host) { return {loopback(host), std::make_shared<ShedCounts>()}; }

struct PeerSocketsTest : testing::Test {
  std::vector<Listening> listening;
  UdpSocket loud = UdpSocket::open(loopback(2), 0).value();
  UdpSocket calm = UdpSocket::open(loopback(3), loud.port()).value();
  PeerSockets peers{loud.port()};
  ReceiveBatch batch;

  PeerSocketsTest() {
    listening.push_back(Listening::open(loopback(1), 0).value());
    set({peer_at(2), peer_at(3)});
  }
  void set(const std::vector<Peer>& wanted) {
    peers.set(wanted, listening, [](PeerSocket&) {});
  }
  void send(const UdpSocket& from) {
    const SocketAddress to = socket_address(loopback(1), listening[0].port());
    const std::byte octet{7};
    while (sendto(from.fd(), &octet, 1, 0, reinterpret_cast<const sockaddr*>(&to.storage),
                  to.length) < 0) {
    }
  }
  unsigned received(const UdpSocket& at) { return batch.receive(at.fd()); }
  unsigned received(const Listening& at) {
    unsigned all = 0;
    for (const UdpSocket& socket : at.sockets()) all += received(socket);
    return all;
  }
};

TEST_F(PeerSocketsTest, AFloodOfOnePeerLeavesRoomForTheOthers) {
  const UdpSocket stranger = UdpSocket::open(loopback(4), loud.port()).value();
  for (unsigned i = 0; i < 1'000'000 && peers.dropped() == 0; ++i) send(loud);
  EXPECT_GT(peers.dropped(), 0u);
  send(calm);
  send(stranger);
  ASSERT_EQ(peers.all().size(), 2u);
  EXPECT_EQ(received(peers.all()[1].socket), 1u);
  std::uint32_t port = 0;
  EXPECT_EQ(address_of(batch.from(0), port), loopback(3));
  EXPECT_EQ(port, calm.port());
  EXPECT_EQ(received(listening[0]), 1u) << "from who is no peer";
  EXPECT_EQ(listening[0].dropped(), 0u);
  EXPECT_EQ(received(peers.all()[0].socket), kBatch);
}

TEST_F(PeerSocketsTest, ThoseOfPeersThatAreGoneAreReadOnceMoreAndClosed) {
  send(loud);
  const int stays = peers.all()[1].socket.fd();
  unsigned left = 0;
  peers.set({peer_at(3), peer_at(5)}, listening,
            [&](PeerSocket& one) { left += received(one.socket); });
  EXPECT_EQ(left, 1u);
  ASSERT_EQ(peers.all().size(), 2u);
  EXPECT_EQ(peers.all()[0].socket.fd(), stays);
  EXPECT_EQ(peers.all()[1].peer, loopback(5));
  send(loud);
  EXPECT_EQ(received(listening[0]), 1u);
}

TEST_F(PeerSocketsTest, OtherPortsAndPeersBeyondTheLimitShareTheListeningSocket) {
  const UdpSocket other = UdpSocket::open(loopback(2), 0).value();
  send(other);
  EXPECT_EQ(received(listening[0]), 1u);
  std::vector<Peer> many;
  for (std::uint32_t i = 0; i <= PeerSockets::kSocketsMax; ++i) many.push_back(peer_at(10 + i));
  set(many);
  EXPECT_EQ(peers.all().size(), PeerSockets::kSocketsMax);
}

TEST_F(PeerSocketsTest, NobodyElseCanHaveTheAddress) {
  EXPECT_FALSE(UdpSocket::open(loopback(1), listening[0].port()));
}

TEST_F(PeerSocketsTest, ListeningSocketsHaveTheirFamilyAlone) {
  set({{{6, {0, 0, 0, 1}}, std::make_shared<ShedCounts>()}});
  EXPECT_TRUE(peers.all().empty());
}

}  // namespace
}  // namespace sluice::datagram
