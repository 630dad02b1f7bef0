#include "port/next_hop/next_hop_table.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace sluice {
namespace {

HopAddress v4(std::initializer_list<unsigned> octets) {
  std::array<std::uint8_t, 4> bytes{};
  std::size_t at = 0;
  for (const unsigned octet : octets) bytes[at++] = static_cast<std::uint8_t>(octet);
  return HopAddress::of(bytes.data(), false);
}
/// fd00:<net>::<host>
HopAddress v6(unsigned net, unsigned host) {
  std::array<std::uint8_t, 16> bytes{0xfd};
  bytes[3] = static_cast<std::uint8_t>(net);
  bytes[15] = static_cast<std::uint8_t>(host);
  return HopAddress::of(bytes.data(), true);
}
LinkAddress link(std::uint8_t last) { return {2, 0, 0, 0, 0, last}; }

/// The last octet of the link address on the way to an address; 0: none.
unsigned hop(const NextHopTable& table, const HopAddress& to) {
  const Neighbour* found = table.find(to);
  return found == nullptr ? 0 : found->link[5];
}

constexpr unsigned kV4 = NextHopTable::kIpv4Bits;

TEST(NextHopTable, TakesTheLongestPrefixOfEachFamily) {
  NextHopTable table;
  const HopAddress gateway4 = v4({192, 0, 2, 254}), gateway6 = v6(3, 254);
  const HopAddress inner = v4({192, 0, 2, 7});
  table.add_route(v4({0, 0, 0, 0}), kV4, 0, &gateway4);
  table.add_route(v4({192, 0, 2, 0}), kV4 + 24, 0, nullptr);
  table.add_route(v4({203, 0, 113, 64}), kV4 + 26, 0, &inner);
  table.add_route({}, 0, 0, &gateway6);
  table.add_route(v6(3, 0), 64, 0, nullptr);
  table.add_neighbour({gateway4, link(4), false});
  table.add_neighbour({inner, link(7), false});
  table.add_neighbour({gateway6, link(6), false});
  table.add_neighbour({v6(3, 9), link(9), false});
  table.finish();
  EXPECT_EQ(hop(table, v4({8, 8, 8, 8})), 4U);
  EXPECT_EQ(hop(table, v4({192, 0, 2, 7})), 7U);
  EXPECT_EQ(hop(table, v4({203, 0, 113, 100})), 7U);
  EXPECT_EQ(hop(table, v4({203, 0, 113, 128})), 4U);
  EXPECT_EQ(hop(table, v4({192, 0, 2, 8})), 0U) << "on the link, and nobody is known there";
  EXPECT_TRUE(table.has_route(v4({192, 0, 2, 8})));
  EXPECT_EQ(hop(table, v6(3, 9)), 9U);
  EXPECT_EQ(hop(table, v6(5, 1)), 6U);
}

TEST(NextHopTable, KnowsWhatSharesAGateway) {
  NextHopTable table;
  const HopAddress gateway = v4({192, 0, 2, 254}), other = v4({192, 0, 2, 7});
  table.add_route(v4({0, 0, 0, 0}), kV4, 0, &gateway);
  table.add_route(v4({192, 0, 2, 0}), kV4 + 24, 0, nullptr);
  table.add_route(v4({203, 0, 113, 0}), kV4 + 24, 0, &other);
  table.add_route(v4({203, 0, 113, 64}), kV4 + 26, 0, &gateway);
  table.finish();
  NextHopTable::Reach reach{};
  // Three longer routes are one too many.
  EXPECT_FALSE(table.reach_of(v4({8, 8, 8, 8}), reach));
  ASSERT_TRUE(table.reach_of(v4({203, 0, 113, 1}), reach));
  EXPECT_EQ(reach.whole.prefix, 0xcb007100U);
  EXPECT_EQ(reach.whole.mask, 0xffffff00U);
  ASSERT_EQ(reach.exceptions, 1U);
  EXPECT_EQ(reach.excepted[0].prefix, 0xcb007140U);
  EXPECT_EQ(reach.excepted[0].mask, 0xffffffc0U);
  ASSERT_TRUE(table.reach_of(v4({203, 0, 113, 65}), reach));
  EXPECT_EQ(reach.exceptions, 0U);
  EXPECT_FALSE(table.reach_of(v4({192, 0, 2, 9}), reach)) << "each there is its own next hop";
  EXPECT_FALSE(table.reach_of(v6(3, 9), reach));
}

TEST(NextHopTable, DoesNotSendIpv4ByTheDefaultRouteOfIpv6) {
  NextHopTable table;
  const HopAddress gateway = v6(3, 254);
  table.add_route({}, 0, 0, &gateway);
  table.add_neighbour({gateway, link(6), false});
  table.finish();
  EXPECT_EQ(hop(table, v6(9, 9)), 6U);
  EXPECT_EQ(hop(table, v4({8, 8, 8, 8})), 0U);
  EXPECT_FALSE(table.has_route(v4({8, 8, 8, 8})));
}

TEST(NextHopTable, PrefersTheLowerMetric) {
  NextHopTable table;
  const HopAddress near = v4({192, 0, 2, 1}), far = v4({192, 0, 2, 2});
  table.add_route(v4({0, 0, 0, 0}), kV4, 200, &far);
  table.add_route(v4({0, 0, 0, 0}), kV4, 100, &near);
  table.add_neighbour({near, link(1), false});
  table.add_neighbour({far, link(2), false});
  table.finish();
  EXPECT_EQ(hop(table, v4({8, 8, 8, 8})), 1U);
}

TEST(NextHopTable, SendsIpv4ByAnIpv6Gateway) {
  NextHopTable table;
  const HopAddress gateway = v6(3, 254);
  table.add_route(v4({10, 0, 0, 0}), kV4 + 8, 0, &gateway);
  table.add_neighbour({gateway, link(6), false});
  table.finish();
  EXPECT_EQ(hop(table, v4({10, 9, 9, 9})), 6U);
}

TEST(NextHopTable, RemembersWhomItWasAskedFor) {
  NextHopTable table;
  table.add_route(v4({192, 0, 2, 0}), kV4 + 24, 0, nullptr);
  table.add_neighbour({v4({192, 0, 2, 1}), link(1), false});
  table.add_neighbour({v4({192, 0, 2, 2}), link(2), false});
  table.add_neighbour({v4({192, 0, 2, 3}), link(3), true});
  table.finish();
  EXPECT_TRUE(table.take_used().empty());
  hop(table, v4({192, 0, 2, 2}));
  hop(table, v4({192, 0, 2, 2}));
  hop(table, v4({192, 0, 2, 3}));
  EXPECT_EQ(table.take_used(), std::vector{v4({192, 0, 2, 2})}) << "what is fixed needs no sign";
  EXPECT_TRUE(table.take_used().empty());
}

TEST(NextHopTable, KnowsNobodyWhenItIsEmpty) {
  NextHopTable table;
  table.finish();
  EXPECT_EQ(hop(table, v4({8, 8, 8, 8})), 0U);
  EXPECT_EQ(hop(table, v6(1, 1)), 0U);
}

}  // namespace
}  // namespace sluice
