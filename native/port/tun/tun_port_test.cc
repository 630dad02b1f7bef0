// A TUN device in a network namespace of the test's own. Without the right to make one,
// each test asserts the documented error instead.
#include "port/tun/tun_port.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <poll.h>

#include <atomic>
#include <cstdio>
#include <optional>
#include <string>

#include "port/address_text.h"
#include "port/namespace_test_scope.h"
#include "port/port_contract_test.h"
#include "port/tun/masquerade.h"
#include "wire/ipv6.h"

namespace sluice {
namespace {

using test::Bytes;
using test::PoolFixture;

IpPrefix prefix(const char* text, std::uint8_t length) {
  IpPrefix result;
  result.length = length;
  result.address.is_v6 = std::strchr(text, ':') != nullptr;
  const int family = result.address.is_v6 ? AF_INET6 : AF_INET;
  EXPECT_EQ(::inet_pton(family, text, result.address.bytes.data()), 1);
  return result;
}

PortConfig config_of(const char* device, std::vector<IpPrefix> pools) {
  PortConfig config;
  config.name = "n6";
  config.driver = "tun";
  config.role = PortRole::Core;
  config.device = device;
  config.ue_pools = std::move(pools);
  return config;
}

PortConfig default_config() {
  return config_of("sluice0", {prefix("10.60.0.0", 16), prefix("fd00:60::", 40)});
}

struct Bench {
  explicit Bench(const PortConfig& config, unsigned queues = 1)
      : pool(2048, queues + 1), port(std::in_place, config, std::uint8_t{4}) {
    for (unsigned i = 0; i < queues; ++i) caches.push_back(&pool.pool->cache(i));
    BucketOwners owners;
    for (unsigned i = 0; i < 256; ++i) owners[i] = static_cast<std::uint8_t>(i % queues);
    port->steer(owners);
    status = port->open(caches);
  }
  ~Bench() {
    port.reset();
    EXPECT_EQ(pool.pool->available(), pool.pool->capacity()) << "packets are lost";
  }
  /// True if the device is there; else the error must be the documented one.
  bool is_open() const {
    if (!status) {
      EXPECT_EQ(status.error().field, "driver") << status.error().message;
      EXPECT_NE(status.error().message.find("driver: memory"), std::string::npos);
    }
    return static_cast<bool>(status);
  }

  PoolFixture pool;
  std::vector<PoolCache*> caches;
  std::optional<TunPort> port;
  Status status = Ok{};
};

/// Runs the test in a namespace; where none can be made, opening must be refused.
void with_tun(const std::function<void()>& body) {
  test::in_namespace([&](bool has_own) {
    if (has_own) return body();
    Bench bench(config_of("sluicetest", {}));
    EXPECT_NE(::geteuid(), 0U) << "root may make a namespace";
    EXPECT_FALSE(bench.is_open());
  });
}

/// Kernel sockets that see whole IP packets on the far side of the device.
class RawPeer {
 public:
  explicit RawPeer(const char* device) {
    raw_ = ::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    tap_ = ::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL));
    const int on = 1;
    EXPECT_EQ(::setsockopt(tap_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on), 0);
    sockaddr_ll name{};
    name.sll_family = AF_PACKET;
    name.sll_protocol = htons(ETH_P_ALL);
    name.sll_ifindex = static_cast<int>(::if_nametoindex(device));
    EXPECT_EQ(::bind(tap_, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  }
  ~RawPeer() {
    ::close(raw_);
    ::close(tap_);
  }
  bool put(const Bytes& bytes) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    std::memcpy(&to.sin_addr, bytes.data() + 16, 4);
    return ::sendto(raw_, bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&to),
                    sizeof to) == static_cast<ssize_t>(bytes.size());
  }
  std::vector<Bytes> take() {
    std::vector<Bytes> all;
    for (;;) {
      pollfd wait{tap_, POLLIN, 0};
      if (::poll(&wait, 1, 50) <= 0) return all;
      Bytes bytes(65536);
      const ssize_t n = ::recv(tap_, bytes.data(), bytes.size(), 0);
      bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
      all.push_back(std::move(bytes));
    }
  }

 private:
  int raw_ = -1;
  int tap_ = -1;
};

/// Drops what the kernel says by itself (multicast listener reports and the like).
void drain(Bench& bench, unsigned queues = 1) {
  for (unsigned queue = 0; queue < queues; ++queue) {
    for (auto& p : test::receive(bench.port->queue(queue), 8)) bench.caches[queue]->free(&p, 1);
  }
}

TEST(TunPort, KeepsTheContract) {
  with_tun([] {
    Bench bench(default_config());
    ASSERT_TRUE(bench.is_open());
    drain(bench);
    RawPeer peer("sluice0");
    test::PortPeer far;
    far.put = [&](const Bytes& bytes) { return peer.put(bytes); };
    far.take = [&] { return peer.take(); };
    test::port_contract(*bench.port, *bench.pool.pool, 0, far);
  });
}

TEST(TunPort, GivesTheDeviceItsAddressesMtuAndRoutes) {
  with_tun([] {
    PortConfig config = default_config();
    config.mtu = 1400;
    config.ue_pools.push_back(prefix("10.99.0.7", 32));
    config.ue_pools.push_back(prefix("10.61.5.77", 20));
    {
      Bench bench(config);
      ASSERT_TRUE(bench.is_open());
      const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
      ifreq request{};
      std::strcpy(request.ifr_name, "sluice0");
      EXPECT_EQ(::ioctl(fd, SIOCGIFMTU, &request), 0);
      EXPECT_EQ(request.ifr_mtu, 1400);
      EXPECT_EQ(::ioctl(fd, SIOCGIFFLAGS, &request), 0);
      EXPECT_NE(request.ifr_flags & IFF_UP, 0);
      ::close(fd);
      // An own address can be bound, one of the pool is reached from it by the device.
      const auto source_towards = [](const char* text) -> std::string {
        const IpPrefix to = prefix(text, 0);
        sockaddr_in6 name{};
        socklen_t length = sizeof name;
        name.sin6_port = htons(9);
        if (to.address.is_v6) {
          name.sin6_family = AF_INET6;
          std::memcpy(&name.sin6_addr, to.address.bytes.data(), 16);
        } else {
          name.sin6_family = AF_INET;
          std::memcpy(&reinterpret_cast<sockaddr_in&>(name).sin_addr, to.address.bytes.data(), 4);
          length = sizeof(sockaddr_in);
        }
        const int s = ::socket(name.sin6_family, SOCK_DGRAM, 0);
        std::string source = "unreachable";
        if (::connect(s, reinterpret_cast<sockaddr*>(&name), length) == 0) {
          ::getsockname(s, reinterpret_cast<sockaddr*>(&name), &length);
          IpAddress own;
          own.is_v6 = to.address.is_v6;
          const void* bytes = own.is_v6 ? static_cast<const void*>(&name.sin6_addr)
                                        : &reinterpret_cast<sockaddr_in&>(name).sin_addr;
          std::memcpy(own.bytes.data(), bytes, own.is_v6 ? 16 : 4);
          source = address_text(own);
        }
        ::close(s);
        return source;
      };
      EXPECT_EQ(source_towards("10.60.200.3"), "10.60.0.1");
      EXPECT_EQ(source_towards("10.61.15.3"), "10.61.0.1");
      EXPECT_EQ(source_towards("fd00:60:5::9"), "fd00:60::1");
      EXPECT_NE(source_towards("10.99.0.7"), "unreachable");
      EXPECT_EQ(source_towards("10.99.0.8"), "unreachable");
    }
    EXPECT_EQ(::if_nametoindex("sluice0"), 0U) << "the device stays after close()";
  });
}

TEST(TunPort, SteersByTheBucketOctetAndAgainWhenTheTableChanges) {
  with_tun([] {
    constexpr unsigned kQueues = 3;
    Bench bench(default_config(), kQueues);
    ASSERT_TRUE(bench.is_open());
    EXPECT_EQ(bench.port->capabilities()["steering"], "ebpf");
    drain(bench, kQueues);
    BucketOwners owners;
    for (unsigned i = 0; i < 256; ++i) owners[i] = static_cast<std::uint8_t>(i % kQueues);
    const int v4 = ::socket(AF_INET, SOCK_DGRAM, 0);
    const int v6 = ::socket(AF_INET6, SOCK_DGRAM, 0);
    for (unsigned round = 0; round < 2; ++round) {
      for (unsigned bucket = 2; bucket < 250; bucket += 7) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(9);
        to.sin_addr.s_addr = htonl(0x0a3c0500 | bucket);
        ASSERT_EQ(::sendto(v4, "x", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof to), 1);
        sockaddr_in6 to6{};
        to6.sin6_family = AF_INET6;
        to6.sin6_port = htons(9);
        ::inet_pton(AF_INET6, "fd00:60::7", &to6.sin6_addr);
        to6.sin6_addr.s6_addr[7] = static_cast<std::uint8_t>(bucket);
        ASSERT_EQ(::sendto(v6, "x", 1, 0, reinterpret_cast<sockaddr*>(&to6), sizeof to6), 1);
        auto packets = test::receive(bench.port->queue(owners[bucket]), 2);
        EXPECT_EQ(packets.size(), 2U) << "bucket " << bucket;
        for (Packet* p : packets) bench.caches[0]->free(&p, 1);
      }
      for (unsigned i = 0; i < 256; ++i) owners[i] = static_cast<std::uint8_t>(2 - i / 100);
      bench.port->steer(owners);
    }
    ::close(v4);
    ::close(v6);
  });
}

// Moves packets between two devices in two namespaces, as a wire would.
class Wire {
 public:
  Wire(PortQueue& a, PortQueue& b) : thread_([this, &a, &b] { run(a, b); }) {}
  ~Wire() {
    stop_.store(true);
    thread_.join();
  }

 private:
  void run(PortQueue& a, PortQueue& b) {
    // Pairs with the store in the destructor; nothing else is handed over by it.
    while (!stop_.load(std::memory_order_relaxed)) {
      const unsigned moved = move(a, b) + move(b, a);
      if (moved == 0) ::usleep(50);
    }
  }
  unsigned move(PortQueue& from, PortQueue& to) {
    Packet* burst[64];
    const unsigned n = from.rx(burst, 64);
    for (unsigned i = 0; i < n; ++i) {
      const Packet& p = *burst[i];
      if (!is_well_formed(p)) ADD_FAILURE() << "a packet with a wrong length or checksum";
    }
    EXPECT_EQ(to.tx(burst, n), n);
    to.flush();
    return n;
  }
  static bool is_well_formed(const Packet& p) {
    const std::byte* ip = p.data();
    if (wire::load8(ip) >> 4 == 6) {
      if (wire::load16(ip + 4) + 40U != p.length) return false;
      const std::uint8_t next = wire::load8(ip + 6);
      if (next != 6 && next != 17) return true;
      const std::uint32_t sum = wire::pseudo_header_v6(ip + 8, ip + 24, next, p.length - 40U);
      return wire::fold(wire::checksum_partial(ip + 40, p.length - 40U, sum)) == 0;
    }
    if (wire::load16(ip + 2) != p.length || wire::checksum(ip, 20) != 0) return false;
    const std::uint8_t protocol = wire::load8(ip + 9);
    const auto bytes = static_cast<std::uint16_t>(p.length - 20);
    const std::uint32_t sum =
        wire::pseudo_header_v4(wire::load32(ip + 12), wire::load32(ip + 16), protocol, bytes);
    return wire::fold(wire::checksum_partial(ip + 20, bytes, sum)) == 0;
  }

  std::atomic<bool> stop_{false};
  std::thread thread_;
};

sockaddr_in6 endpoint(const char* text, std::uint16_t port, socklen_t& length) {
  const IpPrefix to = prefix(text, 0);
  sockaddr_in6 name{};
  name.sin6_port = htons(port);
  if (to.address.is_v6) {
    name.sin6_family = AF_INET6;
    std::memcpy(&name.sin6_addr, to.address.bytes.data(), 16);
    length = sizeof name;
  } else {
    name.sin6_family = AF_INET;
    std::memcpy(&reinterpret_cast<sockaddr_in&>(name).sin_addr, to.address.bytes.data(), 4);
    length = sizeof(sockaddr_in);
  }
  return name;
}

Bytes pattern(std::size_t bytes) {
  Bytes result(bytes);
  for (std::size_t i = 0; i < bytes; ++i) result[i] = static_cast<std::byte>(i * 2654435761u >> 24);
  return result;
}

// Listens in this namespace, connects from the other one, sends both ways at once.
void transfer(const char* text, std::uint16_t port, const std::function<void()>& enter_peer) {
  const Bytes sent = pattern(8 << 20);
  socklen_t length = 0;
  const sockaddr_in6 name = endpoint(text, port, length);
  const int listener = ::socket(name.sin6_family, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&name), length), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  const auto run_end = [&](int fd) {
    std::thread sender([&] {
      for (std::size_t done = 0; done < sent.size();) {
        const ssize_t n = ::send(fd, sent.data() + done, sent.size() - done, MSG_NOSIGNAL);
        if (n <= 0) break;
        done += static_cast<std::size_t>(n);
      }
      ::shutdown(fd, SHUT_WR);
    });
    Bytes received;
    Bytes part(1 << 16);
    for (ssize_t n = 0; (n = ::recv(fd, part.data(), part.size(), 0)) > 0;) {
      received.insert(received.end(), part.begin(), part.begin() + n);
    }
    sender.join();
    EXPECT_TRUE(received == sent) << received.size() << " bytes";
    ::close(fd);
  };
  std::thread client([&] {
    enter_peer();
    const int fd = ::socket(name.sin6_family, SOCK_STREAM, 0);
    ASSERT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&name), length), 0);
    run_end(fd);
  });
  const int fd = ::accept(listener, nullptr, nullptr);
  run_end(fd);
  client.join();
  ::close(listener);
}

TEST(TunPort, CarriesTcpBetweenTwoKernelsWithSuperFramesAtBothEnds) {
  with_tun([] {
    // This namespace has .60, the other one .61; each has a route to the other's address.
    Bench here(config_of("sluice0", {prefix("10.60.0.0", 24), prefix("fd00:60::", 64),
                                     prefix("10.61.0.1", 32), prefix("fd00:61::1", 128)}));
    ASSERT_TRUE(here.is_open());
    int namespace_fd = -1;
    TunPort there(config_of("sluice1", {prefix("10.61.0.0", 24), prefix("fd00:61::", 64),
                                        prefix("10.60.0.1", 32), prefix("fd00:60::1", 128)}),
                  5);
    test::in_namespace([&](bool) {
      // One thread is the worker of both queues, so that they share its cache.
      const Status status = there.open(here.caches);
      ASSERT_TRUE(status) << status.error().message;
      const std::string self = "/proc/self/task/" + std::to_string(::gettid()) + "/ns/net";
      namespace_fd = ::open(self.c_str(), O_RDONLY | O_CLOEXEC);
    });
    const auto enter = [&] { ASSERT_EQ(::setns(namespace_fd, CLONE_NEWNET), 0); };
    {
      Wire wire(here.port->queue(0), there.queue(0));
      transfer("10.60.0.1", 5001, enter);
      transfer("fd00:60::1", 5002, enter);
    }
    ::close(namespace_fd);
    for (PortQueue* queue : {&here.port->queue(0), &there.queue(0)}) {
      EXPECT_EQ(queue->counters().rx_errors, 0U);
      EXPECT_EQ(queue->counters().tx_errors, 0U);
      EXPECT_GT(queue->counters().rx_bytes, 16U << 20);
    }
    there.close();
  });
}

TEST(TunPort, RefusesWithTheFieldAndARemedy) {
  with_tun([] {
    const auto refuses = [](const PortConfig& config, const char* field, const char* remedy) {
      Bench bench(config);
      ASSERT_FALSE(bench.status) << field;
      EXPECT_EQ(bench.status.error().field, field);
      EXPECT_NE(bench.status.error().message.find(remedy), std::string::npos)
          << bench.status.error().message;
    };
    refuses(config_of("lo", {}), "device", "ip link delete lo");
    for (const char* name : {"", "sixteen-letters!", "a/b", "a b", "tun%d", ".", ".."}) {
      refuses(config_of(name, {}), "device", "is no device name");
    }
    PortConfig config = default_config();
    config.mtu = 1279;
    refuses(config, "mtu", "1280");
    config.mtu = kPacketBytesMax + 1;
    refuses(config, "mtu", "1280 to");
    config = default_config();
    config.role = PortRole::Access;
    refuses(config, "role", "core");
    refuses(config_of("sluice0", {prefix("10.60.0.0", 33)}), "uePools[0]", "33");
    refuses(config_of("sluice0", {prefix("10.60.0.0", 16), prefix("10.60.0.0", 16)}), "uePools[1]",
            "10.60.0.1/16");
    // What was refused has left nothing behind, and two ports cannot share a device.
    Bench first(default_config(), 2);
    ASSERT_TRUE(first.is_open());
    refuses(default_config(), "device", "exists already");
  });
}

TEST(TunPort, WithoutPrivilegesNamesTheRemedy) {
  const int code = test::without_privileges([] {
    PoolFixture pool(64, 1);
    TunPort port(config_of("sluicetest", {}), 0);
    PoolCache* cache = &pool.pool->cache(0);
    const Status status = port.open({&cache, 1});
    if (status) return 1;
    if (status.error().field != "driver") return 2;
    const std::string& message = status.error().message;
    const bool names = message.find("CAP_NET_ADMIN") != std::string::npos ||
                       message.find("/dev/net/tun") != std::string::npos;
    return names && message.find("driver: memory") != std::string::npos ? 0 : 3;
  });
  EXPECT_EQ(code, 0);
}

TEST(Masquerade, ScriptReplacesItsOwnTableOnly) {
  const IpPrefix pools[] = {prefix("10.60.0.0", 16), prefix("fd00:60::", 40)};
  EXPECT_EQ(masquerade_script("up-f.0", pools),
            "add table inet sluice_up_f_0\n"
            "delete table inet sluice_up_f_0\n"
            "add table inet sluice_up_f_0\n"
            "add chain inet sluice_up_f_0 postrouting { type nat hook postrouting priority 100 ; "
            "policy accept ; }\n"
            "add rule inet sluice_up_f_0 postrouting oifname != \"up-f.0\" ip saddr 10.60.0.0/16 "
            "masquerade\n"
            "add rule inet sluice_up_f_0 postrouting oifname != \"up-f.0\" ip6 saddr fd00:60::/40 "
            "masquerade\n");
}

std::string output_of(const char* command) {
  FILE* pipe = ::popen(command, "r");
  std::string text;
  char part[256];
  while (std::fgets(part, sizeof part, pipe) != nullptr) text += part;
  ::pclose(pipe);
  return text;
}

TEST(Masquerade, IsThereWhileThePortIsOpenOrRefused) {
  with_tun([] {
    PortConfig config = default_config();
    config.masquerade = true;
    {
      Bench bench(config);
      if (!bench.status) {
        // No nft, or a kernel without nf_tables: said on the key that asked for it.
        EXPECT_EQ(bench.status.error().field, "masquerade");
        EXPECT_NE(bench.status.error().message.find("nft"), std::string::npos);
        EXPECT_EQ(::if_nametoindex("sluice0"), 0U);
        return;
      }
      const std::string rules =
          output_of("PATH=$PATH:/usr/sbin nft list table inet sluice_sluice0");
      EXPECT_NE(rules.find("10.60.0.0/16 masquerade"), std::string::npos) << rules;
      EXPECT_NE(rules.find("fd00:60::/40 masquerade"), std::string::npos) << rules;
      EXPECT_EQ(output_of("cat /proc/sys/net/ipv4/ip_forward"), "1\n");
      EXPECT_EQ(output_of("cat /proc/sys/net/ipv6/conf/all/forwarding"), "1\n");
      EXPECT_EQ(bench.port->capabilities()["masquerade"], "yes");
    }
    EXPECT_EQ(output_of("PATH=$PATH:/usr/sbin nft list tables"), "");
  });
}

}  // namespace
}  // namespace sluice
