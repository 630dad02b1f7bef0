// How the socket port carries packets.
#include <map>
#include <random>

#include "port/namespace_test.h"
#include "port/socket/socket_bench_test.h"

namespace sluice::test::socket_port {
namespace {

TEST(SocketPort, KeepsTheContract) {
  Bench bench(config_of({"127.0.0.1"}));
  ASSERT_TRUE(bench.status) << bench.status.error().message;
  Peer peer("127.0.0.2");
  const std::uint16_t port = bench.port->config().udp_port;
  // Packets are written as they leave; those that arrive come the other way round.
  PortPeer far{
      .put =
          [&](const Bytes& bytes) {
            return peer.send("127.0.0.1", port, {bytes.begin() + 28, bytes.end()});
          },
      .take =
          [&] {
            std::vector<Bytes> all;
            for (const auto& d : peer.take()) {
              all.push_back(outer("127.0.0.1", d.source_port, "127.0.0.2", peer.port(), d.payload));
            }
            return all;
          },
      .make =
          [&](unsigned i, std::size_t size) {
            return outer("127.0.0.1", port, "127.0.0.2", peer.port(), gtpu(i << 24, i, size - 28));
          },
      .same =
          [&](const Bytes& sent, const Bytes& received) {
            const Bytes payload(sent.begin() + 28, sent.end());
            return received == sent ||
                   received == outer("127.0.0.2", peer.port(), "127.0.0.1", port, payload);
          },
  };
  port_contract(*bench.port, *bench.pool.pool, 0, far);
}

TEST(SocketPort, GivesIpv6PacketsTheirOuterHeader) {
  Bench bench(config_of({"::1"}));
  ASSERT_TRUE(bench.status) << bench.status.error().message;
  Peer peer("::1");
  const std::uint16_t port = bench.port->config().udp_port;
  const Bytes payload = gtpu(0x05000001, 1, 100);
  ASSERT_TRUE(peer.send("::1", port, payload));
  auto packets = bench.rx(0, 1);
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(bytes_of(*packets[0]), outer("::1", peer.port(), "::1", port, payload));
  EXPECT_EQ(packets[0]->offset, kAccessDataOffset);
  EXPECT_EQ(packets[0]->flags, kPacketOuterChecksumGood);
  EXPECT_EQ(packets[0]->port, 3);
  bench.free(packets);
  ASSERT_EQ(bench.tx({outer("::1", port, "::1", peer.port(), payload, 0xb8)}), 1U);
  const auto got = peer.take();
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].payload, payload);
  EXPECT_EQ(got[0].source_port, port);
  EXPECT_EQ(got[0].tos, 0xb8);
}

TEST(SocketPort, SplitsSuperFramesInOrderAtAnyBurstSize) {
  for (const unsigned burst : {1U, 7U, 64U}) {
    Bench bench(config_of({"127.0.0.1"}));
    ASSERT_TRUE(bench.status) << bench.status.error().message;
    Peer peer("127.0.0.2");
    Bytes super;
    for (std::uint32_t i = 0; i < 40; ++i) {
      const Bytes one = gtpu(0x01000000, i, i == 39 ? 500 : 1400);
      super.insert(super.end(), one.begin(), one.end());
    }
    for (unsigned frame = 0; frame < 3; ++frame) {
      ASSERT_TRUE(peer.send("127.0.0.1", bench.port->config().udp_port, super, 1400));
      ASSERT_TRUE(peer.send("127.0.0.1", bench.port->config().udp_port, gtpu(0x01000000, 40)));
    }
    std::vector<Packet*> packets;
    for (unsigned idle = 0; packets.size() < 123 && idle < 1000;) {
      Packet* some[64];
      const unsigned n = bench.port->queue(0).rx(some, burst);
      ASSERT_LE(n, burst);
      packets.insert(packets.end(), some, some + n);
      idle = n == 0 ? idle + 1 : 0;
    }
    ASSERT_EQ(packets.size(), 123U);
    for (std::uint32_t i = 0; i < packets.size(); ++i) {
      const Bytes bytes = bytes_of(*packets[i]);
      ASSERT_EQ(wire::load32(bytes.data() + 28 + 8), i % 41);
      EXPECT_EQ(bytes.size(), 28U + (i % 41 == 39 ? 500 : i % 41 == 40 ? 64 : 1400));
      EXPECT_EQ(wire::load16(bytes.data() + 2), bytes.size());
      EXPECT_TRUE(wire::ipv4_checksum_good(bytes.data(), 20));
    }
    EXPECT_EQ(bench.port->capabilities()["gro"], "yes");
    bench.free(packets);
  }
}

TEST(SocketPort, SteersByTheTeidThroughAnyTableAndAgainWhenItChanges) {
  constexpr unsigned kQueues = 3;
  Bench bench(config_of({"127.0.0.1", "::1"}), kQueues);
  ASSERT_TRUE(bench.status) << bench.status.error().message;
  EXPECT_EQ(bench.port->capabilities()["steering"], "bpf");
  const std::uint16_t port = bench.port->config().udp_port;
  std::mt19937 random(3);
  BucketOwners owners = modulo(kQueues);
  for (unsigned round = 0; round < 3; ++round) {
    for (const char* local : {"127.0.0.1", "::1"}) {
      Peer peer(local);
      std::array<std::vector<std::uint32_t>, kQueues> want;
      for (std::uint32_t bucket = 0; bucket < 256; ++bucket) {
        ASSERT_TRUE(peer.send(local, port, gtpu(bucket << 24 | 5, bucket, 64 + bucket)));
        want[owners[bucket]].push_back(bucket);
      }
      for (unsigned queue = 0; queue < kQueues; ++queue) {
        auto packets = bench.rx(queue, want[queue].size());
        std::vector<std::uint32_t> got;
        for (const Packet* p : packets) {
          got.push_back(wire::load32(p->data() + (local[0] == ':' ? 48 : 28) + 8));
        }
        EXPECT_EQ(got, want[queue]) << "queue " << queue << " round " << round;
        bench.free(packets);
      }
    }
    for (auto& owner : owners) owner = static_cast<std::uint8_t>(random() % kQueues);
    bench.port->steer(owners);
  }
}

TEST(SocketPort, TakesEspInUdpAndSteersItByTheSpi) {
  constexpr unsigned kQueues = 3;
  constexpr std::uint16_t kEspPort = 4500;
  // An address of this test's own: whoever else has the port is not in the way.
  PortConfig config = config_of({"127.77.0.3"});
  config.esp_in_udp = true;
  Bench bench(config, kQueues);
  ASSERT_TRUE(bench.status) << bench.status.error().message;
  Peer peer("127.0.0.1");
  std::array<std::vector<std::uint32_t>, kQueues> want;
  for (std::uint32_t spi = 1000; spi < 1100; ++spi) {
    Bytes esp(64);
    wire::store32(esp.data(), spi);
    ASSERT_TRUE(peer.send("127.77.0.3", kEspPort, esp));
    want[spi % kQueues].push_back(spi);
  }
  for (unsigned queue = 0; queue < kQueues; ++queue) {
    auto packets = bench.rx(queue, want[queue].size());
    std::vector<std::uint32_t> got;
    for (const Packet* p : packets) {
      EXPECT_EQ(wire::load16(p->data() + 22), kEspPort);
      got.push_back(wire::load32(p->data() + 28));
    }
    EXPECT_EQ(got, want[queue]) << "queue " << queue;
    bench.free(packets);
  }
  // From its port, too.
  const Bytes esp(64, std::byte{7});
  EXPECT_EQ(bench.tx({outer("127.77.0.3", kEspPort, "127.0.0.1", peer.port(), esp)}), 1u);
  const auto datagrams = peer.take();
  ASSERT_EQ(datagrams.size(), 1u);
  EXPECT_EQ(datagrams[0].source_port, kEspPort);
  EXPECT_EQ(datagrams[0].payload, esp);
}

TEST(SocketPort, TellsOfEspHowItsOuterHeaderWasMarked) {
  for (const auto& [own, from] : {std::pair{"127.77.0.4", "127.0.0.1"}, std::pair{"::1", "::1"}}) {
    PortConfig config = config_of({own});
    config.esp_in_udp = true;
    Bench bench(config, 1);
    ASSERT_TRUE(bench.status) << bench.status.error().message;
    Peer peer(from);
    for (const int tos : {0, 0xb9, 3}) {
      peer.set_tos(tos);
      ASSERT_TRUE(peer.send(own, 4500, Bytes(64)));
      const auto packets = bench.rx(0, 1);
      ASSERT_EQ(packets.size(), 1U);
      const unsigned first = wire::load16(packets[0]->data());
      EXPECT_EQ(first >> 12 == 6 ? first >> 4 & 0xff : first & 0xff, static_cast<unsigned>(tos));
      bench.free(packets);
    }
  }
}

TEST(SocketPort, SendsFromEverySourcePortAndReceivesThereToo) {
  PortConfig config = config_of({"127.0.0.1", "127.0.0.3"});
  config.source_ports = 8;
  Bench bench(config, 2);
  ASSERT_TRUE(bench.status) << bench.status.error().message;
  const auto ports = bench.port->source_ports();
  ASSERT_EQ(ports.size(), 8U);
  EXPECT_EQ(ports[0], config.udp_port);
  Peer peer("127.0.0.2");
  for (const char* local : {"127.0.0.1", "127.0.0.3"}) {
    std::vector<Bytes> burst;
    for (std::uint32_t i = 0; i < 64; ++i) {
      burst.push_back(outer(local, ports[i % 8], "127.0.0.2", peer.port(), gtpu(i, i, 200)));
    }
    ASSERT_EQ(bench.tx(burst), 64U);
    const auto got = peer.take();
    ASSERT_EQ(got.size(), 64U);
    std::map<std::uint16_t, std::vector<std::uint32_t>> by_port;
    for (const auto& d : got) {
      by_port[d.source_port].push_back(wire::load32(d.payload.data() + 8));
      const IpAddress source = address(local);
      EXPECT_EQ(std::memcmp(d.source.data(), source.bytes.data(), 4), 0);
    }
    for (std::uint32_t i = 0; i < 8; ++i) {
      const std::vector<std::uint32_t> want{i,      i + 8,  i + 16, i + 24,
                                            i + 32, i + 40, i + 48, i + 56};
      EXPECT_EQ(by_port[ports[i]], want);
    }
    ASSERT_TRUE(peer.send(local, ports[5], gtpu(0x01000000, 77)));
    auto packets = bench.rx(1, 1);
    ASSERT_EQ(packets.size(), 1U);
    EXPECT_EQ(wire::load16(packets[0]->data() + 22), ports[5]);
    bench.free(packets);
  }
}

TEST(SocketPort, AWildcardAddressSeesAndKeepsTheRealOne) {
  in_namespace([](bool) {
    Bench bench(config_of({"0.0.0.0", "::"}));
    ASSERT_TRUE(bench.status) << bench.status.error().message;
    const std::uint16_t port = bench.port->config().udp_port;
    for (const char* local : {"127.0.0.7", "::1"}) {
      Peer peer(local[0] == ':' ? "::1" : "127.0.0.2");
      const char* remote = local[0] == ':' ? "::1" : "127.0.0.2";
      const Bytes payload = gtpu(9, 9);
      ASSERT_TRUE(peer.send(local, port, payload));
      auto packets = bench.rx(0, 1);
      ASSERT_EQ(packets.size(), 1U);
      EXPECT_EQ(bytes_of(*packets[0]), outer(remote, peer.port(), local, port, payload));
      bench.free(packets);
      ASSERT_EQ(bench.tx({outer(local, port, remote, peer.port(), payload)}), 1U);
      const auto got = peer.take();
      ASSERT_EQ(got.size(), 1U);
      const IpAddress source = address(local);
      EXPECT_EQ(std::memcmp(got[0].source.data(), source.bytes.data(), source.is_v6 ? 16 : 4), 0);
    }
  });
}

TEST(SocketPort, JoinsOnlyWhatTheKernelTakesApartAgain) {
  Bench bench(config_of({"127.0.0.1"}));
  ASSERT_TRUE(bench.status) << bench.status.error().message;
  const std::uint16_t port = bench.port->config().udp_port;
  Peer one("127.0.0.2");
  Peer two("127.0.0.2");
  std::mt19937 random(11);
  std::map<const Peer*, std::vector<std::pair<Bytes, int>>> want;
  for (unsigned round = 0; round < 12; ++round) {
    std::vector<Bytes> burst;
    const std::size_t common = 20 + random() % 1200;
    for (std::uint32_t i = 0; i < 64; ++i) {
      const Peer& peer = random() % 3 == 0 ? one : two;
      const std::size_t size = random() % 6 == 0 ? 12 + random() % 1400 : common;
      const std::uint8_t tos = random() % 8 == 0 ? 0x28 : 0;
      const Bytes payload = gtpu(i << 24, round * 64 + i, size);
      burst.push_back(outer("127.0.0.1", port, "127.0.0.2", peer.port(), payload, tos));
      want[&peer].emplace_back(payload, tos);
    }
    ASSERT_EQ(bench.tx(burst), 64U);
    for (Peer* peer : {&one, &two}) {
      // Packets of another class may overtake: each class keeps its order.
      const auto got = peer->take();
      ASSERT_EQ(got.size(), want[peer].size());
      for (const int tos : {0, 0x28}) {
        std::vector<Bytes> sent, received;
        for (const auto& [payload, of] : want[peer]) {
          if (of == tos) sent.push_back(payload);
        }
        for (const auto& d : got) {
          if (d.tos == tos) received.push_back(d.payload);
        }
        EXPECT_TRUE(sent == received) << "round " << round;
      }
      want[peer].clear();
    }
  }
  EXPECT_EQ(bench.port->queue(0).counters().tx_errors, 0U);
}

TEST(SocketPort, TheWaitDescriptorWakesForEverySocket) {
  Bench bench(config_of({"127.0.0.1", "127.0.0.3", "127.0.0.4"}));
  ASSERT_TRUE(bench.status) << bench.status.error().message;
  Peer peer("127.0.0.2");
  pollfd wait{bench.port->queue(0).wait_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&wait, 1, 0), 0);
  for (const char* local : {"127.0.0.1", "127.0.0.3", "127.0.0.4"}) {
    for (const std::uint16_t port : bench.port->source_ports()) {
      ASSERT_TRUE(peer.send(local, port, gtpu(1, 1)));
      EXPECT_EQ(::poll(&wait, 1, 1000), 1);
      auto packets = bench.rx(0, 1);
      EXPECT_EQ(packets.size(), 1U);
      bench.free(packets);
      EXPECT_EQ(::poll(&wait, 1, 0), 0);
    }
  }
}

}  // namespace
}  // namespace sluice::test::socket_port
