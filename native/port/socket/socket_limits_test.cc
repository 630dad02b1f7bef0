// What the socket port refuses, survives and counts.
#include <cstdio>

#include "port/namespace_test.h"
#include "port/socket/socket_bench_test.h"

namespace sluice::test::socket_port {
namespace {

TEST(SocketPort, GivesBackWhatWasNotDelivered) {
  Bench bench(config_of({"127.0.0.1"}));
  ASSERT_TRUE(bench.status) << bench.status.error().message;
  Peer peer("127.0.0.2");
  ASSERT_TRUE(peer.send("127.0.0.1", bench.port->config().udp_port, Bytes(30000), 1000));
  bench.free(bench.rx(0, 3));  // the port closes with 27 more in hand; Bench counts the pool
}

TEST(SocketPort, CountsADatagramThatFitsNoPacketAndGoesOn) {
  Bench bench(config_of({"127.0.0.1"}));
  ASSERT_TRUE(bench.status) << bench.status.error().message;
  Peer peer("127.0.0.2");
  const std::uint16_t port = bench.port->config().udp_port;
  ASSERT_TRUE(peer.send("127.0.0.1", port, Bytes(9000)));
  ASSERT_TRUE(peer.send("127.0.0.1", port, Bytes(65000)));
  ASSERT_TRUE(peer.send("127.0.0.1", port, Bytes()));
  ASSERT_TRUE(peer.send("127.0.0.1", port, Bytes(kChunkBytes - kAccessDataOffset - 28)));
  ASSERT_TRUE(peer.send("127.0.0.1", port, Bytes(kChunkBytes - kAccessDataOffset - 27)));
  ASSERT_TRUE(peer.send("127.0.0.1", port, gtpu(1, 7)));
  auto packets = bench.rx(0, 3);
  ASSERT_EQ(packets.size(), 3U);
  EXPECT_EQ(packets[0]->length, 28);
  EXPECT_EQ(packets[1]->length, kChunkBytes - kAccessDataOffset);
  EXPECT_EQ(packets[2]->length, 28 + 64);
  EXPECT_EQ(bench.port->queue(0).counters().rx_errors, 3U);
  bench.free(packets);
}

TEST(SocketPort, CountsWhatTheKernelHadNoRoomFor) {
  Bench bench(config_of({"127.0.0.1"}));
  ASSERT_TRUE(bench.status) << bench.status.error().message;
  Peer peer("127.0.0.2");
  const PortCounters& counters = bench.port->queue(0).counters();
  const std::uint16_t port = bench.port->config().udp_port;
  std::uint64_t sent = 0, received = 0;
  const auto drain = [&] {
    Packet* packets[64];
    while (const unsigned got = bench.port->queue(0).rx(packets, 64)) {
      received += got;
      bench.free({packets, packets + got});
    }
  };
  for (unsigned round = 0; round < 10 && counters.rx_missed == 0; ++round) {
    for (unsigned i = 0; i < 60'000; ++i) sent += peer.send("127.0.0.1", port, gtpu(1, i, 1200));
    drain();
    // The kernel tells of them with the next datagram.
    sent += peer.send("127.0.0.1", port, gtpu(1, 0));
    drain();
  }
  EXPECT_GT(counters.rx_missed, 0U);
  EXPECT_EQ(received + counters.rx_missed, sent);
}

TEST(SocketPort, FragmentsWhatIsLongerThanThePath) {
  in_namespace([](bool has_own) {
    if (has_own) {
      ASSERT_TRUE(set_up("lo", 1280));
    }
    Bench bench(config_of({"127.0.0.1"}));
    ASSERT_TRUE(bench.status) << bench.status.error().message;
    Peer peer("127.0.0.2");
    for (unsigned round = 0; round < 2; ++round) {
      std::vector<Bytes> burst;
      for (std::uint32_t i = 0; i < 20; ++i) {
        const Bytes payload = gtpu(1, i, i < 10 ? 1400 : 1000);
        burst.push_back(
            outer("127.0.0.1", bench.port->config().udp_port, "127.0.0.2", peer.port(), payload));
      }
      ASSERT_EQ(bench.tx(burst), 20U);
      const auto got = peer.take();
      ASSERT_EQ(got.size(), 20U);
      for (std::uint32_t i = 0; i < 20; ++i) {
        EXPECT_EQ(got[i].payload, Bytes(burst[i].begin() + 28, burst[i].end()));
      }
    }
    EXPECT_EQ(bench.port->queue(0).counters().tx_errors, 0U);
  });
}

TEST(SocketPort, AnUnreachablePeerStopsNothing) {
  Bench bench(config_of({"127.0.0.1"}));
  ASSERT_TRUE(bench.status) << bench.status.error().message;
  const std::uint16_t port = bench.port->config().udp_port;
  const std::uint16_t nobody = free_port();
  Peer peer("127.0.0.2");
  for (std::uint32_t i = 0; i < 20; ++i) {
    ASSERT_EQ(bench.tx({outer("127.0.0.1", port, "127.0.0.1", nobody, gtpu(1, i)),
                        outer("127.0.0.1", port, "127.0.0.2", peer.port(), gtpu(1, i))}),
              2U);
    ASSERT_TRUE(peer.send("127.0.0.1", port, gtpu(1, i)));
    auto packets = bench.rx(0, 1);
    ASSERT_EQ(packets.size(), 1U);
    bench.free(packets);
  }
  EXPECT_EQ(peer.take().size(), 20U);
}

TEST(SocketPort, TakesAndCountsWhatCannotBeSent) {
  Bench bench(config_of({"127.0.0.1"}));
  ASSERT_TRUE(bench.status) << bench.status.error().message;
  const std::uint16_t port = bench.port->config().udp_port;
  Peer peer("127.0.0.2");
  Bytes tcp = outer("127.0.0.1", port, "127.0.0.2", peer.port(), gtpu(1, 1));
  tcp[9] = std::byte{6};
  const Bytes v6 = outer("::1", port, "::1", peer.port(), gtpu(1, 1));
  Bytes version = tcp;
  version[0] = std::byte{0x75};
  const Bytes good = outer("127.0.0.1", port, "127.0.0.2", peer.port(), gtpu(1, 5));
  const Bytes no_port = outer("127.0.0.1", port, "127.0.0.2", 0, gtpu(1, 1));
  ASSERT_EQ(bench.tx({tcp, v6, version, Bytes(10), no_port, good}), 6U);
  EXPECT_EQ(bench.port->queue(0).counters().tx_errors, 5U);
  EXPECT_EQ(bench.port->queue(0).counters().tx_packets, 1U);
  const auto got = peer.take();
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].payload, gtpu(1, 5));
}

void refuses(const PortConfig& config, const char* field, const char* remedy) {
  Bench bench(config, 2);
  ASSERT_FALSE(bench.status) << field;
  EXPECT_EQ(bench.status.error().field, field);
  EXPECT_NE(bench.status.error().message.find(remedy), std::string::npos)
      << bench.status.error().message;
}

TEST(SocketPort, RefusesWithTheFieldAndARemedy) {
  Peer taken("127.0.0.2");
  refuses(config_of({"127.0.0.1", "127.0.0.2"}, taken.port()), "addresses[1]", "ss -ulpn");
  refuses(config_of({"192.0.2.1"}), "addresses[0]", "ip address add 192.0.2.1/32");
  refuses(config_of({"127.0.0.1", "127.0.0.1"}), "addresses[1]", "remove one");
  refuses(config_of({"127.0.0.1", "0.0.0.0"}), "addresses[1]", "remove one");
  refuses(config_of({}), "addresses", "at least one");
  PortConfig config = config_of({"127.0.0.1"});
  config.source_ports = 3;
  refuses(config, "sourcePorts", "choose 1, 2, 4");
  config = config_of({"127.0.0.1"});
  config.udp_port = 0;
  refuses(config, "udpPort", "1 to 65535");
  config = config_of({"127.0.0.1"});
  config.role = PortRole::Core;
  refuses(config, "role", "access");
}

TEST(SocketPort, ASecondOneOnTheSamePortIsAnErrorNotAThief) {
  Bench first(config_of({"127.0.0.1"}), 2);
  ASSERT_TRUE(first.status) << first.status.error().message;
  refuses(first.port->config(), "addresses[0]", "in use");
  // And all is free again once the first one is gone.
  first.port->close();
  Bench second(first.port->config(), 2);
  EXPECT_TRUE(second.status) << second.status.error().message;
}

TEST(SocketPort, APortBelow1024NeedsARight) {
  const int code = without_privileges([] {
    PoolFixture pool(64, 1);
    SocketPort port(config_of({"127.0.0.1"}, 81), 0);
    PoolCache* cache = &pool.pool->cache(0);
    const Status status = port.open({&cache, 1});
    if (status) return 1;  // the system may let anybody: net.ipv4.ip_unprivileged_port_start
    return status.error().field == "udpPort" &&
                   status.error().message.find("CAP_NET_BIND_SERVICE") != std::string::npos
               ? 2
               : 3;
  });
  FILE* file = std::fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "r");
  int start = 1024;
  if (file != nullptr) {
    EXPECT_EQ(std::fscanf(file, "%d", &start), 1);
    std::fclose(file);
  }
  EXPECT_EQ(code, start <= 81 ? 1 : 2);
}

}  // namespace
}  // namespace sluice::test::socket_port
