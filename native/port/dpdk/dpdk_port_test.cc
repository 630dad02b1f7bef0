// The port on devices of DPDK that need no hardware: net_ring, whose frames come back to the port
// that sent them; packet sockets on one end of a veth pair; two ends of a memif.
#include "port/dpdk/dpdk_port.h"

#include <net/ethernet.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <set>
#include <string>

#include "port/afxdp/veth_pair_test.h"
#include "port/dpdk/plugin_library.h"
#include "port/port_contract_test.h"

namespace sluice::test {
namespace {

constexpr std::uint32_t kPackets = 8192;
constexpr IpAddress kOwn{{192, 0, 2, 1}};
constexpr IpAddress kPeer{{192, 0, 2, 2}};

PortConfig config_of(const std::string& device, const IpAddress& own = kOwn,
                     const IpAddress& gateway = kPeer) {
  PortConfig config;
  config.name = "n3";
  config.driver = "dpdk";
  config.role = PortRole::Access;
  config.addresses = {own};
  config.gateways = {gateway};
  config.network_instances = {"*"};
  config.device = device;
  return config;
}

/// A port that is open, and the memory it is on.
struct Bench {
  explicit Bench(const PortConfig& config, unsigned workers = 1) : pool(kPackets, 2) {
    auto made = make_port(config, 3);
    EXPECT_TRUE(made);
    port = std::move(made).value();
    for (unsigned w = 0; w < workers; ++w) caches.push_back(&pool.pool->cache(w));
    opened = port->open(caches);
  }
  ~Bench() {
    port->close();
    EXPECT_EQ(pool.pool->available(), kPackets) << "the device keeps packets";
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  bool knows_gateway() { return port->capabilities().at("gateway4") == "known"; }
  Packet* packet_of(const Bytes& bytes) {
    Packet* packet = nullptr;
    EXPECT_EQ(caches[0]->allocate(&packet, 1), 1U);
    *packet = Packet{};
    packet->offset = kCoreDataOffset;
    packet->length = static_cast<std::uint16_t>(bytes.size());
    std::memcpy(packet->data(), bytes.data(), bytes.size());
    return packet;
  }

  PoolFixture pool;
  std::unique_ptr<Port> port;
  std::vector<PoolCache*> caches;
  Status opened = Ok{};
};

/// Polls until it is so; false: not for a long while.
bool until(const std::function<bool()>& is_so, const std::function<void()>& poll) {
  for (unsigned i = 0; i < 2'000'000; ++i) {
    if (is_so()) return true;
    poll();
  }
  return false;
}
void poll(Bench& bench) {
  Packet* packets[32];
  const unsigned n = bench.port->queue(0).rx(packets, 32);
  bench.caches[0]->free(packets, n);
}

/// Skips where the plug-in was not built or DPDK is not there.
#define NEEDS_DPDK()                               \
  if (auto plugin = load_dpdk_plugin(); !plugin) { \
    GTEST_SKIP() << plugin.error().message;        \
  }

// The loop makes it its own gateway: it asks, hears itself, and answers.
TEST(DpdkPort, WhatComesBackIsInTheChunkThatWasSent) {
  NEEDS_DPDK();
  Bench bench(config_of("net_ring0", kOwn, kOwn));
  ASSERT_TRUE(bench.opened) << bench.opened.error().message;
  ASSERT_TRUE(until([&] { return bench.knows_gateway(); }, [&] { poll(bench); }));
  for (unsigned round = 0; round < 100; ++round) {
    const Bytes sent = numbered_packet(round, 64 + round * 14);
    Packet* const packet = bench.packet_of(sent);
    ASSERT_EQ(bench.port->queue(0).tx(&packet, 1), 1U);
    const auto back = receive(bench.port->queue(0), 1);
    ASSERT_EQ(back.size(), 1U);
    EXPECT_EQ(back[0], packet) << "it was copied";
    EXPECT_EQ(bytes_of(*back[0]), sent);
    bench.caches[0]->free(back.data(), 1);
  }
}

/// GTP-U of a number; to the port, or to the peer with `out`.
Bytes gtpu(unsigned number, std::size_t size, bool out) {
  Bytes packet = numbered_packet(number, size);
  std::memcpy(packet.data() + 16, out ? kPeer.bytes.data() : kOwn.bytes.data(), 4);
  return packet;
}
Bytes link_header(const LinkAddress& to, const LinkAddress& from, unsigned type = ETH_P_IP) {
  Bytes header(ETH_HLEN);
  std::memcpy(header.data(), to.data(), ETH_ALEN);
  std::memcpy(header.data() + ETH_ALEN, from.data(), ETH_ALEN);
  wire::store16(header.data() + 2 * ETH_ALEN, static_cast<std::uint16_t>(type));
  return header;
}
Bytes joined(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Packet sockets: the far end is the kernel's, which is asked for its address and answers.
TEST(DpdkPort, KeepsTheContractOnAPacketSocket) {
  NEEDS_DPDK();
  on_veth_pair([] {
    ASSERT_EQ(std::system("ip link set port address 02:00:00:00:00:01;"
                          "ip address add 192.0.2.2/24 dev peer; ip link set peer address "
                          "02:00:00:00:00:02; ethtool -K peer tx off >/dev/null"),
              0);
    Bench bench(config_of("net_af_packet0,iface=port"));
    ASSERT_TRUE(bench.opened) << bench.opened.error().message;
    ASSERT_TRUE(until([&] { return bench.knows_gateway(); }, [&] { poll(bench); }));
    const VethPeer peer;
    constexpr LinkAddress kPortLink{2, 0, 0, 0, 0, 1}, kPeerLink{2, 0, 0, 0, 0, 2};
    PortPeer far;
    far.make = [](unsigned i, std::size_t size) { return gtpu(i, size, true); };
    far.put = [&](Bytes bytes) {
      return peer.put(joined(link_header(kPortLink, kPeerLink), bytes));
    };
    far.take = [&] {
      std::vector<Bytes> all;
      while (all.size() < 60) {
        const Bytes frame = peer.take(ETH_P_IP);
        if (frame.empty()) break;
        EXPECT_EQ(Bytes(frame.begin(), frame.begin() + ETH_HLEN),
                  link_header(kPeerLink, kPortLink));
        all.emplace_back(frame.begin() + ETH_HLEN, frame.end());
      }
      return all;
    };
    // A frame on a link is at least 60 octets, and a packet socket sends no shorter ones either.
    port_contract(*bench.port, *bench.pool.pool, 0, far);
    EXPECT_EQ(bench.port->capabilities().at("driver"), "net_af_packet");
  });
}

// Two ends in one process, each the other's gateway.
TEST(DpdkPort, KeepsTheContractOverAMemif) {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
  GTEST_SKIP() << "DPDK's own thread for memif is not instrumented, nor are its locks";
#endif
#endif
  NEEDS_DPDK();
  const std::string socket = ",socket=sluice-test-" + std::to_string(::getpid());
  Bench bench(config_of("net_memif0,role=server" + socket));
  ASSERT_TRUE(bench.opened) << bench.opened.error().message;
  Bench other(config_of("net_memif1,role=client" + socket, kPeer, kOwn));
  ASSERT_TRUE(other.opened) << other.opened.error().message;
  ASSERT_TRUE(until([&] { return bench.knows_gateway() && other.knows_gateway(); },
                    [&] {
                      poll(bench);
                      poll(other);
                    }));
  PortPeer far;
  far.make = [](unsigned i, std::size_t size) { return gtpu(i, size, true); };
  far.put = [&](const Bytes& bytes) {
    Packet* const packet = other.packet_of(bytes);
    const bool is_put = other.port->queue(0).tx(&packet, 1) == 1;
    other.port->queue(0).flush();
    return is_put;
  };
  far.take = [&] {
    std::vector<Bytes> all;
    for (Packet* packet : receive(other.port->queue(0), 60)) {
      all.push_back(bytes_of(*packet));
      other.caches[0]->free(&packet, 1);
    }
    return all;
  };
  port_contract(*bench.port, *bench.pool.pool, 0, far);
}

}  // namespace
}  // namespace sluice::test
