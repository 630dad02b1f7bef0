// The TUN device as the kernel sees it, and what opening it refuses.
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <poll.h>

#include <string>

#include "port/address_text.h"
#include "port/tun/tun_bench_test.h"

namespace sluice::test::tun_port {
namespace {

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
    for (auto& p : receive(bench.port->queue(queue), 8)) bench.caches[queue]->free(&p, 1);
  }
}

TEST(TunPort, KeepsTheContract) {
  with_tun([] {
    Bench bench(default_config());
    ASSERT_TRUE(bench.is_open());
    drain(bench);
    RawPeer peer("sluice0");
    PortPeer far;
    far.put = [&](const Bytes& bytes) { return peer.put(bytes); };
    far.take = [&] { return peer.take(); };
    port_contract(*bench.port, *bench.pool.pool, 0, far);
  });
}

/// What the kernel does with IPv4 of the device; one digit.
char kernel_option(const char* name) {
  const std::string path = std::string("/proc/sys/net/ipv4/conf/sluice0/") + name;
  const int file = ::open(path.c_str(), O_RDONLY);
  char value = '?';
  EXPECT_EQ(::read(file, &value, 1), 1);
  ::close(file);
  return value;
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
      EXPECT_EQ(kernel_option("accept_local"), '1')
          << "else ICMP errors from the own address are martians";
      EXPECT_EQ(kernel_option("send_redirects"), '0') << "a UE has no other way";
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
        auto packets = receive(bench.port->queue(owners[bucket]), 2);
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
  const int code = without_privileges([] {
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

}  // namespace
}  // namespace sluice::test::tun_port
