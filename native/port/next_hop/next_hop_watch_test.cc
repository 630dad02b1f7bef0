// The kernel's tables as `ip` changes them, in a network namespace of the test's own.
#include "port/next_hop/next_hop_watch.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include "port/namespace_test.h"

namespace sluice::test {
namespace {

void ip(const std::string& words) { ASSERT_EQ(std::system(("ip " + words).c_str()), 0) << words; }

HopAddress address(const char* text) {
  std::array<std::uint8_t, 16> bytes{};
  const bool is_v6 = std::string(text).find(':') != std::string::npos;
  EXPECT_EQ(::inet_pton(is_v6 ? AF_INET6 : AF_INET, text, bytes.data()), 1);
  return HopAddress::of(bytes.data(), is_v6);
}

/// Runs `body` where "port" is an Ethernet device with an address of each family.
void on_device(const std::function<void()>& body) {
  in_namespace([&](bool has_own) {
    if (!has_own) GTEST_SKIP() << "no right to make a network namespace";
    if (std::system("ip link add port type veth peer name peer") != 0) {
      GTEST_SKIP() << "no veth pair";
    }
    ASSERT_TRUE(set_up("port", 1600) && set_up("peer"));
    ip("address add 192.0.2.1/24 dev port");
    ip("address add fd00:3::1/64 dev port nodad");
    body();
  });
}

struct Watched {
  explicit Watched(const char* device = "port") {
    auto made = NextHopWatch::start(::if_nametoindex(device), 1);
    EXPECT_TRUE(made) << made.error().message;
    watch = std::move(made).value();
  }
  /// Waits until the way to an address begins with this octet at its link address's end; 0: none.
  bool becomes(const char* to, unsigned last) {
    for (unsigned tries = 0; tries < 500; ++tries) {
      const Neighbour* found = watch->box(0).newest().table.find(address(to));
      if ((found == nullptr ? 0 : found->link[5]) == last) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  std::unique_ptr<NextHopWatch> watch;
};

TEST(NextHopWatch, FollowsRoutesAndNeighbours) {
  on_device([] {
    ip("neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 dev port");
    ip("neigh add fd00:3::7 lladdr 02:00:00:00:00:67 dev port");
    ip("route add default via 192.0.2.7");
    Watched watched;
    EXPECT_TRUE(watched.becomes("192.0.2.7", 0x07));
    EXPECT_TRUE(watched.becomes("8.8.8.8", 0x07));
    EXPECT_TRUE(watched.becomes("fd00:3::7", 0x67));
    EXPECT_TRUE(watched.becomes("2001:db8::1", 0));
    ip("-6 route add 2001:db8::/32 via fd00:3::7");
    EXPECT_TRUE(watched.becomes("2001:db8::1", 0x67));
    ip("neigh change 192.0.2.7 lladdr 02:00:00:00:00:08 dev port");
    EXPECT_TRUE(watched.becomes("8.8.8.8", 0x08));
    ip("neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev port");
    ip("route add 203.0.113.0/24 nexthop via 192.0.2.9 nexthop via 192.0.2.7");
    EXPECT_TRUE(watched.becomes("203.0.113.5", 0x09));
    ip("route del 203.0.113.0/24");
    EXPECT_TRUE(watched.becomes("203.0.113.5", 0x08));
    ip("neigh del 192.0.2.7 dev port");
    EXPECT_TRUE(watched.becomes("8.8.8.8", 0));
  });
}

TEST(NextHopWatch, KeepsWhatSomebodyWroteDown) {
  on_device([] {
    ip("neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 dev port nud permanent");
    Watched watched;
    EXPECT_TRUE(watched.becomes("192.0.2.7", 0x07));
    ip("route add 203.0.113.0/24 via 192.0.2.7");  // another table: what was used is confirmed
    EXPECT_TRUE(watched.becomes("203.0.113.1", 0x07));
    EXPECT_EQ(std::system("ip neigh show 192.0.2.7 dev port | grep -q PERMANENT"), 0);
  });
}

TEST(NextHopWatch, SeesWhatTheDeviceIs) {
  on_device([] {
    const Watched plain;
    EXPECT_TRUE(plain.watch->link().is_ethernet && plain.watch->link().is_up);
    EXPECT_EQ(plain.watch->link().mtu, 1600U);
    EXPECT_EQ(plain.watch->link().vlan, 0U);
    EXPECT_EQ(plain.watch->link().parent, 0U);
    const Watched loopback("lo");
    EXPECT_FALSE(loopback.watch->link().is_ethernet);
  });
}

TEST(NextHopWatch, KnowsAVlanAndItsParent) {
  on_device([] {
    if (std::system("ip link add link port name port.100 type vlan id 100") != 0) {
      GTEST_SKIP() << "this kernel has no VLANs";
    }
    ASSERT_TRUE(set_up("port.100"));
    ip("address add 198.51.100.1/24 dev port.100");
    ip("neigh add 198.51.100.2 lladdr 02:00:00:00:00:22 dev port.100");
    Watched vlan("port.100");
    EXPECT_EQ(vlan.watch->link().vlan, 100U);
    EXPECT_EQ(vlan.watch->link().parent, ::if_nametoindex("port"));
    EXPECT_TRUE(vlan.becomes("198.51.100.2", 0x22));
    EXPECT_TRUE(vlan.becomes("192.0.2.7", 0)) << "another device's network";
  });
}

}  // namespace
}  // namespace sluice::test
