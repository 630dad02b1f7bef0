// The port on one end of a veth pair, a packet socket on the other.
#include "port/afxdp/afxdp_port.h"

#include <net/ethernet.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include "port/afxdp/veth_pair_test.h"
#include "port/port_contract_test.h"

namespace sluice::test {
namespace {

constexpr std::uint32_t kPackets = 8192;
constexpr const char* kPortLink = "02:00:00:00:00:01";
constexpr IpAddress kN3{{192, 0, 2, 1}};

void ip(const std::string& words) { ASSERT_EQ(std::system(("ip " + words).c_str()), 0) << words; }

Bytes link_header(std::uint8_t to, std::uint8_t from, unsigned type = ETH_P_IP) {
  Bytes header(ETH_HLEN, std::byte{0});
  header[0] = header[6] = std::byte{2};
  header[5] = std::byte{to};
  header[11] = std::byte{from};
  wire::store16(header.data() + 12, static_cast<std::uint16_t>(type));
  return header;
}
Bytes joined(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
/// GTP-U to the port's address, told apart by a number; towards the peer's with `out`.
Bytes gtpu(unsigned number, std::size_t size, bool out = false) {
  Bytes packet = numbered_packet(number, size);
  packet[19] = std::byte{static_cast<std::uint8_t>(out ? 2 : 1)};
  std::memcpy(packet.data() + 16, kN3.bytes.data(), 3);
  return packet;
}

PortConfig access_config(const char* device = "port") {
  PortConfig config;
  config.name = "n3";
  config.driver = "afxdp";
  config.role = PortRole::Access;
  config.addresses = {kN3};
  config.network_instances = {"*"};
  config.device = device;
  return config;
}

struct Bench {
  explicit Bench(const PortConfig& config = access_config()) : pool(kPackets, 2) {
    auto made = make_port(config, 3);
    EXPECT_TRUE(made);
    port = std::move(made).value();
    caches = {&pool.pool->cache(0)};
    opened = port->open(caches);
  }
  ~Bench() {
    port->close();
    EXPECT_EQ(pool.pool->available(), kPackets);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  /// One packet out by queue 0.
  void send(const Bytes& bytes) {
    Packet* packet = nullptr;
    ASSERT_EQ(caches[0]->allocate(&packet, 1), 1U);
    *packet = Packet{};
    packet->offset = kAccessDataOffset;
    packet->length = static_cast<std::uint16_t>(bytes.size());
    std::memcpy(packet->data(), bytes.data(), bytes.size());
    ASSERT_EQ(port->queue(0).tx(&packet, 1), 1U);
    port->queue(0).flush();
  }
  std::vector<Bytes> received(std::size_t want) {
    std::vector<Bytes> all;
    for (Packet* packet : receive(port->queue(0), want)) {
      all.push_back(bytes_of(*packet));
      caches[0]->free(&packet, 1);
    }
    return all;
  }

  PoolFixture pool;
  std::unique_ptr<Port> port;
  std::vector<PoolCache*> caches;
  Status opened = Ok{};
};

/// The port has an address and a link address, and knows the peer.
void on_veth(const std::function<void()>& body) {
  on_veth_pair([&] {
    ip(std::string("link set port address ") + kPortLink);
    ip("address add 192.0.2.1/24 dev port");
    ip("neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev port");
    body();
  });
}

void expect_error(const PortConfig& config, const char* field, const char* words) {
  const Bench bench(config);
  ASSERT_FALSE(bench.opened) << words;
  EXPECT_EQ(bench.opened.error().field, field);
  EXPECT_NE(bench.opened.error().message.find(words), std::string::npos)
      << bench.opened.error().message;
}

TEST(AfxdpPort, KeepsTheContract) {
  on_veth([] {
    Bench bench;
    ASSERT_TRUE(bench.opened) << bench.opened.error().message;
    const VethPeer peer;
    PortPeer far;
    far.make = [](unsigned i, std::size_t size) { return gtpu(i, size, true); };
    far.put = [&](Bytes bytes) {
      bytes[19] = std::byte{1};  // what it sends goes to the port
      return peer.put(joined(link_header(1, 2), bytes));
    };
    far.take = [&] {
      std::vector<Bytes> all;
      for (unsigned i = 0; i < 60; ++i) {
        Bytes frame = peer.take(ETH_P_IP);
        if (frame.empty()) break;
        EXPECT_EQ(Bytes(frame.begin(), frame.begin() + ETH_HLEN), link_header(2, 1));
        all.emplace_back(frame.begin() + ETH_HLEN, frame.end());
      }
      return all;
    };
    far.same = [](Bytes sent, Bytes received) {
      sent[19] = received[19] = std::byte{0};
      return sent == received;
    };
    port_contract(*bench.port, *bench.pool.pool, 0, far);
  });
}

TEST(AfxdpPort, SaysHowPacketsLeave) {
  on_veth([] {
    ip("route add default via 192.0.2.2 dev port");
    ASSERT_EQ(std::system("ethtool -K peer gro on"), 0);
    PortConfig config = access_config();
    config.forward_in_driver = true;
    Bench bench(config);
    ASSERT_TRUE(bench.opened) << bench.opened.error().message;
    EXPECT_EQ(bench.port->capabilities().at("forwardInDriver"), "yes");
    ASSERT_NE(bench.port->lent_flows(), nullptr);
    PortQueue& queue = bench.port->queue(0);
    const auto raw = [](std::uint32_t address) { return __builtin_bswap32(address); };
    LinkWay way{};
    ASSERT_TRUE(queue.way_to(raw(0x08080808), way));
    EXPECT_EQ(way.interface, ::if_nametoindex("port"));
    const Bytes header = link_header(2, 1);
    EXPECT_EQ(std::memcmp(way.header.data(), header.data(), header.size()), 0);
    // All but the device's own network.
    const auto reaches = [&](std::uint32_t address) {
      return way.reach[0].contains(raw(address)) && !way.reach[1].contains(raw(address)) &&
             !way.reach[2].contains(raw(address));
    };
    EXPECT_TRUE(reaches(0xcb007101));
    EXPECT_FALSE(reaches(0xc0000207));
    // There each is its own next hop.
    ASSERT_TRUE(queue.way_to(raw(0xc0000202), way));
    EXPECT_TRUE(reaches(0xc0000202));
    EXPECT_FALSE(reaches(0xc0000203));
    EXPECT_FALSE(queue.way_to(raw(0xc0000203), way)) << "nobody is known there";
  });
}

TEST(AfxdpPort, SaysWhatItFound) {
  on_veth([] {
    Bench bench;
    ASSERT_TRUE(bench.opened) << bench.opened.error().message;
    const auto found = bench.port->capabilities();
    EXPECT_EQ(found.at("device"), "port");
    EXPECT_EQ(found.at("mtu"), "1500");
    EXPECT_EQ(found.at("queues"), "1");
    EXPECT_EQ(found.at("xdp"), "native");
    EXPECT_EQ(found.at("zeroCopy"), "no");
    EXPECT_EQ(bench.port->config().outer_mtu, 1500) << "longer packets cannot leave";
    EXPECT_EQ(bench.port->source_ports().size(), 4U);
    EXPECT_EQ(bench.port->source_ports()[0], 2152);
  });
}

TEST(AfxdpPort, TakesWhatIsItsOwnWithoutPaddingAndLeavesTheRest) {
  on_veth([] {
    Bench bench;
    ASSERT_TRUE(bench.opened) << bench.opened.error().message;
    const VethPeer peer;
    const Bytes packet = gtpu(1, 40);
    Bytes padded = joined(link_header(1, 2), packet);
    padded.resize(60, std::byte{0xee});
    EXPECT_TRUE(peer.put(joined(link_header(9, 2), packet))) << "to somebody else";
    EXPECT_TRUE(peer.put(padded));
    EXPECT_EQ(bench.received(2), std::vector<Bytes>{packet});
    EXPECT_EQ(bench.port->queue(0).counters().rx_ignored, 1U);
    // The kernel still answers for its addresses.
    Bytes request = joined(link_header(0xff, 2, ETH_P_ARP), Bytes(28, std::byte{0}));
    std::fill_n(request.begin(), 6, std::byte{0xff});
    const std::uint8_t arp[] = {0,   1, 8, 0, 6, 4, 0, 1, 2, 0, 0,   0, 0, 2,
                                192, 0, 2, 2, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1};
    std::memcpy(request.data() + ETH_HLEN, arp, sizeof arp);
    EXPECT_TRUE(peer.put(request));
    EXPECT_EQ(peer.take(ETH_P_ARP)[21], std::byte{2}) << "no ARP reply";
  });
}

TEST(AfxdpPort, FollowsANeighbourThatChanges) {
  on_veth([] {
    Bench bench;
    ASSERT_TRUE(bench.opened) << bench.opened.error().message;
    const VethPeer peer;
    bench.send(gtpu(1, 100, true));
    EXPECT_EQ(peer.take(ETH_P_IP)[5], std::byte{2});
    ip("neigh change 192.0.2.2 lladdr 02:00:00:00:00:0a dev port");
    std::byte last{0};
    for (unsigned i = 0; i < 500 && last != std::byte{0x0a}; ++i) {
      bench.send(gtpu(i, 100, true));
      const Bytes frame = peer.take(ETH_P_IP);
      ASSERT_FALSE(frame.empty());
      last = frame[5];
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(last, std::byte{0x0a});
    EXPECT_EQ(bench.port->queue(0).counters().tx_errors, 0U);
  });
}

TEST(AfxdpPort, HasTheKernelAskForANeighbourThatIsNotKnown) {
  on_veth([] {
    Bench bench;
    ASSERT_TRUE(bench.opened) << bench.opened.error().message;
    const VethPeer peer;
    Bytes packet = gtpu(1, 100, true);
    packet[19] = std::byte{77};
    bench.send(packet);
    const Bytes asked = peer.take(ETH_P_ARP);
    ASSERT_GE(asked.size(), 42U);
    EXPECT_EQ(asked[41], std::byte{77});
    ip("neigh replace 192.0.2.77 lladdr 02:00:00:00:00:4d dev port");
    const Bytes kept = peer.take(ETH_P_IP);
    ASSERT_EQ(kept.size(), ETH_HLEN + packet.size()) << "the packet itself is not lost";
    EXPECT_EQ(kept[5], std::byte{0x4d});
    EXPECT_TRUE(std::equal(packet.begin() + 16, packet.end(), kept.begin() + ETH_HLEN + 16));
    // No route leads there by this device.
    packet[16] = std::byte{203};
    bench.send(packet);
    EXPECT_EQ(bench.port->queue(0).counters().tx_errors, 1U);
  });
}

TEST(AfxdpPort, SendsAndReceivesOnAVlan) {
  on_veth([] {
    if (std::system("ip link add link port name port.100 type vlan id 100") != 0) {
      GTEST_SKIP() << "this kernel has no VLANs";
    }
    ASSERT_TRUE(set_up("port.100"));
    ip("address add 198.51.100.1/24 dev port.100");
    ip("neigh add 198.51.100.2 lladdr 02:00:00:00:00:22 dev port.100");
    PortConfig config = access_config("port.100");
    config.addresses = {IpAddress{{198, 51, 100, 1}}};
    {
      const Bench bench(config);
      ASSERT_FALSE(bench.opened) << "a veth takes tags off by default";
      EXPECT_NE(bench.opened.error().message.find("ethtool -K port rxvlan off"), std::string::npos);
    }
    if (std::system("ethtool -K port rxvlan off && ethtool -K peer txvlan off") != 0) {
      GTEST_SKIP() << "no ethtool here";
    }
    Bench bench(config);
    ASSERT_TRUE(bench.opened) << bench.opened.error().message;
    const VethPeer peer;
    Bytes packet = gtpu(1, 100);
    std::memcpy(packet.data() + 16, config.addresses[0].bytes.data(), 4);
    const auto tagged = [&](std::uint8_t id) {
      Bytes header = link_header(1, 2, ETH_P_8021Q);
      header.resize(18, std::byte{0});
      header[15] = std::byte{id};
      wire::store16(header.data() + 16, ETH_P_IP);
      return joined(header, packet);
    };
    EXPECT_TRUE(peer.put(tagged(101)));
    EXPECT_TRUE(peer.put(joined(link_header(1, 2), packet)));
    EXPECT_TRUE(peer.put(tagged(100)));
    EXPECT_EQ(bench.received(2), std::vector<Bytes>{packet});
    packet[19] = std::byte{2};
    bench.send(packet);
    Bytes sent;
    // The kernel has things of its own to say on the VLAN.
    do {
      sent = peer.take(ETH_P_8021Q);
    } while (!sent.empty() && wire::load16(sent.data() + 16) != ETH_P_IP);
    ASSERT_EQ(sent.size(), 18 + packet.size());
    EXPECT_EQ(sent[5], std::byte{0x22});
    EXPECT_EQ(wire::load16(sent.data() + 14), 100);
    EXPECT_EQ(Bytes(sent.begin() + 18, sent.end()), packet);
  });
}

TEST(AfxdpPort, WaitsForADeviceThatAnotherIsAboutToLetGo) {
  on_veth([] {
    Bench first;
    ASSERT_TRUE(first.opened) << first.opened.error().message;
    std::thread closer([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      first.port->close();
    });
    const Bench second;
    closer.join();
    EXPECT_TRUE(second.opened) << second.opened.error().message;
  });
}

TEST(AfxdpPort, NamesWhatIsWrong) {
  on_veth([] {
    expect_error(access_config(""), "device", "needs the interface");
    expect_error(access_config("eth77"), "device", "no interface eth77");
    expect_error(access_config("lo"), "device", "no Ethernet");
    PortConfig config = access_config();
    config.outer_mtu = 1600;
    expect_error(config, "mtu", "1500");
    config = access_config();
    config.role = PortRole::Core;
    expect_error(config, "uePools", "pools");
    ip("link set port mtu 9000");
    expect_error(access_config(), "device", "mtu 1842");
    ip("link set port mtu 1500");
    ip("link set port down");
    expect_error(access_config(), "device", "ip link set port up");
    ip("link set port up");
    const Bench first;
    ASSERT_TRUE(first.opened) << first.opened.error().message;
    expect_error(access_config(), "device", "already");
    Bench two_workers(access_config("peer"));
    two_workers.port->close();
    two_workers.caches.push_back(&two_workers.pool.pool->cache(1));
    const Status refused = two_workers.port->open(two_workers.caches);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("ethtool -L peer"), std::string::npos);
  });
}

TEST(AfxdpPort, NeedsPrivileges) {
  on_veth([] {
    const int code = without_privileges([] {
      PoolFixture pool(1024, 1);
      AfxdpPort port(access_config(), 0);
      PoolCache* cache = &pool.pool->cache(0);
      const Status opened = port.open({&cache, 1});
      if (opened) return 1;
      return opened.error().message.find("CAP_") != std::string::npos ? 0 : 2;
    });
    EXPECT_EQ(code, 0);
  });
}

}  // namespace
}  // namespace sluice::test
