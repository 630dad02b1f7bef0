#include "port/socket/socket_port.h"

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <poll.h>

#include <cstdio>
#include <map>
#include <optional>

#include <random>

#include "port/namespace_test_scope.h"
#include "port/port_contract_test.h"
#include "wire/ipv6.h"

namespace sluice {
namespace {

using test::Bytes;
using test::PoolFixture;

IpAddress address(const char* text) {
  IpAddress result;
  result.is_v6 = std::strchr(text, ':') != nullptr;
  EXPECT_EQ(::inet_pton(result.is_v6 ? AF_INET6 : AF_INET, text, result.bytes.data()), 1);
  return result;
}

/// A kernel UDP socket: a gNB as far as the port can tell.
class Peer {
 public:
  explicit Peer(const char* text) : is_v6_(std::strchr(text, ':') != nullptr) {
    fd_ = ::socket(is_v6_ ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const sockaddr_in6 name = sockaddr_of(text, 0);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&name), size()), 0) << text;
    sockaddr_in6 bound{};
    socklen_t length = sizeof bound;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&bound), &length);
    port_ = ntohs(bound.sin6_port);
    const int on = 1;
    const int bytes = 8 << 20;
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    ::setsockopt(fd_, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
    ::setsockopt(fd_, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on);
  }
  ~Peer() { ::close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  std::uint16_t port() const { return port_; }
  int fd() const { return fd_; }
  bool send(const char* to, std::uint16_t port, const Bytes& payload, std::uint16_t segment = 0) {
    sockaddr_in6 name = sockaddr_of(to, port);
    iovec piece{const_cast<std::byte*>(payload.data()), payload.size()};
    alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof segment)]{};
    msghdr header{};
    header.msg_name = &name;
    header.msg_namelen = size();
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    if (segment != 0) {
      header.msg_control = control;
      header.msg_controllen = sizeof control;
      cmsghdr* c = CMSG_FIRSTHDR(&header);
      c->cmsg_level = SOL_UDP;
      c->cmsg_type = UDP_SEGMENT;
      c->cmsg_len = CMSG_LEN(sizeof segment);
      std::memcpy(CMSG_DATA(c), &segment, sizeof segment);
    }
    return ::sendmsg(fd_, &header, 0) == static_cast<ssize_t>(payload.size());
  }
  struct Datagram {
    Bytes payload;
    std::uint16_t source_port;
    std::array<std::byte, 16> source;
    int tos;
  };
  /// Everything that is there; waits a moment for the first datagram, as loopback is no queue.
  std::vector<Datagram> take() {
    std::vector<Datagram> all;
    for (;;) {
      pollfd wait{fd_, POLLIN, 0};
      if (::poll(&wait, 1, 50) <= 0) return all;
      Bytes bytes(65536);
      sockaddr_in6 from{};
      iovec piece{bytes.data(), bytes.size()};
      alignas(cmsghdr) std::byte control[256];
      msghdr header{};
      header.msg_name = &from;
      header.msg_namelen = sizeof from;
      header.msg_iov = &piece;
      header.msg_iovlen = 1;
      header.msg_control = control;
      header.msg_controllen = sizeof control;
      const ssize_t n = ::recvmsg(fd_, &header, MSG_DONTWAIT);
      if (n < 0) continue;  // an ICMP error that somebody else caused
      bytes.resize(static_cast<std::size_t>(n));
      Datagram datagram{std::move(bytes), ntohs(from.sin6_port), {}, 0};
      const void* source = is_v6_ ? static_cast<const void*>(&from.sin6_addr)
                                  : &reinterpret_cast<sockaddr_in&>(from).sin_addr;
      std::memcpy(datagram.source.data(), source, is_v6_ ? 16 : 4);
      for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
        datagram.tos = static_cast<int>(*CMSG_DATA(c));
      }
      all.push_back(std::move(datagram));
    }
  }

 private:
  socklen_t size() const { return is_v6_ ? sizeof(sockaddr_in6) : sizeof(sockaddr_in); }
  static sockaddr_in6 sockaddr_of(const char* text, std::uint16_t port) {
    const IpAddress ip = address(text);
    sockaddr_in6 name{};
    if (ip.is_v6) {
      name.sin6_family = AF_INET6;
      name.sin6_port = htons(port);
      std::memcpy(&name.sin6_addr, ip.bytes.data(), 16);
      return name;
    }
    auto& v4 = reinterpret_cast<sockaddr_in&>(name);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, ip.bytes.data(), 4);
    return name;
  }

  bool is_v6_;
  int fd_ = -1;
  std::uint16_t port_ = 0;
};

std::uint16_t free_port() { return Peer("127.0.0.1").port(); }

PortConfig config_of(std::initializer_list<const char*> addresses, std::uint16_t port = 0) {
  PortConfig config;
  config.name = "n3";
  config.driver = "socket";
  config.role = PortRole::Access;
  for (const char* text : addresses) config.addresses.push_back(address(text));
  config.udp_port = port == 0 ? free_port() : port;
  return config;
}

BucketOwners modulo(unsigned n) {
  BucketOwners owners;
  for (unsigned i = 0; i < 256; ++i) owners[i] = static_cast<std::uint8_t>(i % n);
  return owners;
}

/// An open port with its pool: `queues` workers and one cache for the test.
struct Bench {
  explicit Bench(const PortConfig& config, unsigned queues = 1)
      : pool(2048, queues + 1), port(std::in_place, config, std::uint8_t{3}) {
    for (unsigned i = 0; i < queues; ++i) caches.push_back(&pool.pool->cache(i));
    const BucketOwners owners = modulo(queues);
    port->steer(owners);
    status = port->open(caches);
  }
  ~Bench() {
    port.reset();
    EXPECT_EQ(pool.pool->available(), pool.pool->capacity()) << "packets are lost";
  }
  std::vector<Packet*> rx(unsigned queue, std::size_t want) {
    return test::receive(port->queue(queue), want);
  }
  void free(const std::vector<Packet*>& packets) {
    pool.pool->cache(static_cast<unsigned>(caches.size()))
        .free(packets.data(), static_cast<unsigned>(packets.size()));
  }
  unsigned tx(const std::vector<Bytes>& outer) {
    std::vector<Packet*> packets(outer.size());
    PoolCache& cache = pool.pool->cache(0);
    EXPECT_EQ(cache.allocate(packets.data(), static_cast<unsigned>(packets.size())),
              packets.size());
    for (std::size_t i = 0; i < outer.size(); ++i) {
      packets[i]->offset = kAccessDataOffset;
      packets[i]->length = static_cast<std::uint16_t>(outer[i].size());
      std::memcpy(packets[i]->data(), outer[i].data(), outer[i].size());
    }
    return port->queue(0).tx(packets.data(), static_cast<unsigned>(packets.size()));
  }

  PoolFixture pool;
  std::vector<PoolCache*> caches;
  std::optional<SocketPort> port;
  Status status = Ok{};
};

Bytes gtpu(std::uint32_t teid, std::uint32_t number, std::size_t size = 64) {
  Bytes bytes(size, std::byte{0xab});
  wire::store32(bytes.data(), 0x30ff0000 | static_cast<std::uint32_t>(size - 8));
  wire::store32(bytes.data() + 4, teid);
  wire::store32(bytes.data() + 8, number);
  return bytes;
}

Bytes outer(const char* from, std::uint16_t from_port, const char* to, std::uint16_t to_port,
            const Bytes& payload, std::uint8_t tos = 0) {
  const IpAddress source = address(from);
  const IpAddress destination = address(to);
  const std::size_t ip_bytes = source.is_v6 ? 40 : 20;
  const auto udp_bytes = static_cast<std::uint16_t>(8 + payload.size());
  Bytes bytes(ip_bytes + 8);
  const auto* s = reinterpret_cast<const std::byte*>(source.bytes.data());
  const auto* d = reinterpret_cast<const std::byte*>(destination.bytes.data());
  if (source.is_v6) {
    wire::write_ipv6(
        bytes.data(),
        {.source = s, .destination = d, .payload_length = udp_bytes, .traffic_class = tos});
  } else {
    wire::write_ipv4(bytes.data(), {.source = wire::load32(s),
                                    .destination = wire::load32(d),
                                    .total_length = static_cast<std::uint16_t>(20 + udp_bytes),
                                    .tos = tos});
  }
  wire::write_udp(bytes.data() + ip_bytes, from_port, to_port, udp_bytes);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

TEST(SocketPort, KeepsTheContract) {
  Bench bench(config_of({"127.0.0.1"}));
  ASSERT_TRUE(bench.status) << bench.status.error().message;
  Peer peer("127.0.0.2");
  const std::uint16_t port = bench.port->config().udp_port;
  // Packets are written as they leave; those that arrive come the other way round.
  test::PortPeer far{
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
  test::port_contract(*bench.port, *bench.pool.pool, 0, far);
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
  EXPECT_EQ(test::bytes_of(*packets[0]), outer("::1", peer.port(), "::1", port, payload));
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
      const Bytes bytes = test::bytes_of(*packets[i]);
      ASSERT_EQ(wire::load32(bytes.data() + 28 + 8), i % 41);
      EXPECT_EQ(bytes.size(), 28U + (i % 41 == 39 ? 500 : i % 41 == 40 ? 64 : 1400));
      EXPECT_EQ(wire::load16(bytes.data() + 2), bytes.size());
      EXPECT_TRUE(wire::ipv4_checksum_good(bytes.data(), 20));
    }
    EXPECT_EQ(bench.port->capabilities()["gro"], "yes");
    bench.free(packets);
  }
}

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
  test::in_namespace([](bool) {
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
      EXPECT_EQ(test::bytes_of(*packets[0]), outer(remote, peer.port(), local, port, payload));
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

TEST(SocketPort, FragmentsWhatIsLongerThanThePath) {
  test::in_namespace([](bool has_own) {
    if (has_own) {
      ASSERT_TRUE(test::set_up("lo", 1280));
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
  const int code = test::without_privileges([] {
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
}  // namespace sluice
