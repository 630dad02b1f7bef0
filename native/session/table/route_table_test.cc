// Longest match against a list that is looked through, while routes come and go.
#include "session/table/route_table.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <utility>
#include <vector>

namespace sluice {
namespace {

constexpr std::uint32_t kRoutes = 4096;

Route route(bool is_v6, unsigned length, const std::uint32_t (&address)[4]) {
  Route made{{}, static_cast<std::uint8_t>(length), is_v6, 0};
  for (unsigned i = 0; i < (is_v6 ? 4 : 1); ++i) made.words[i] = address[i] & made.mask(i);
  return made;
}
Route route4(std::uint32_t address, unsigned length) {
  return route(false, length, {address, 0, 0, 0});
}
Route route6(std::uint32_t first, std::uint32_t second, unsigned length, std::uint32_t last = 0) {
  return route(true, length, {first, second, 0, last});
}

class RouteTableTest : public ::testing::Test {
 protected:
  struct Held {
    Route route;
    std::uint8_t port;
    SessionIndex session;
  };

  SessionIndex find(std::uint32_t address, std::uint8_t port = 1) const {
    return table_.find(AddressBits::of({address, 0, 0, 0}, false), false, port);
  }
  SessionIndex find(const Route& inside, std::uint8_t port = 1) const {
    return table_.find(inside.bits(), inside.is_v6, port);
  }
  SessionIndex longest(const std::uint32_t (&address)[4], bool is_v6, std::uint8_t port) const {
    const Held* best = nullptr;
    for (const Held& one : held_) {
      if (one.port != port || !one.route.contains(address, is_v6)) continue;
      if (best == nullptr || one.route.length > best->route.length) best = &one;
    }
    return best == nullptr ? kNoSession : best->session;
  }
  Held* holder(const Route& route, std::uint8_t port) {
    for (Held& one : held_) {
      if (one.port == port && one.route == route) return &one;
    }
    return nullptr;
  }
  /// Few different bits in a word, so that many routes are inside others; or all of them.
  void draw(bool is_v6, std::uint32_t bits, std::uint32_t (&address)[4]) {
    for (unsigned i = 0; i < 4; ++i) {
      address[i] = i == 0 || is_v6 ? 0x0a000000 ^ (random_() & bits) : 0;
    }
  }
  /// Comes, goes or goes to another session.
  void change(std::uint32_t bits, std::size_t held_max, SessionIndex session) {
    const bool is_v6 = (random_() & 1) != 0;
    const auto port = static_cast<std::uint8_t>(1 + (random_() & 1));
    std::uint32_t address[4];
    draw(is_v6, bits, address);
    const Route made = route(is_v6, random_() % (is_v6 ? 129 : 33), address);
    Held* const there = holder(made, port);
    if (there == nullptr && held_.size() < held_max) {
      ASSERT_TRUE(table_.insert(made, port, session));
      held_.push_back({made, port, session});
      return;
    }
    if (there != nullptr) {
      ASSERT_FALSE(table_.insert(made, port, session)) << "somebody's";
      table_.erase(made, port);
      ASSERT_TRUE(table_.insert(made, port, session));
      there->session = session;
      return;
    }
    const std::size_t i = random_() % held_.size();
    table_.erase(held_[i].route, held_[i].port);
    held_[i] = held_.back();
    held_.pop_back();
  }
  /// Looks for addresses of both families one by one and by the burst: drawn, and right before,
  /// in and behind routes.
  unsigned compare(std::uint32_t bits, unsigned step) {
    RouteQuery queries[40];
    SessionIndex expected[40];
    const auto port = static_cast<std::uint8_t>(1 + (random_() & 1));
    unsigned found = 0;
    for (unsigned i = 0; i < 40; ++i) {
      bool is_v6 = (random_() & 1) != 0;
      std::uint32_t address[4];
      draw(is_v6, bits, address);
      if (i % 2 == 1 && !held_.empty()) {
        const Route& near = held_[random_() % held_.size()].route;
        is_v6 = near.is_v6;
        const unsigned bit = random_() % (is_v6 ? 128 : 32);
        for (unsigned w = 0; w < 4; ++w) address[w] = near.words[w];
        address[bit / 32] ^= 1u << (31 - bit % 32);
      }
      queries[i] = {AddressBits::of(address, is_v6), is_v6, 0};
      expected[i] = longest(address, is_v6, port);
      found += expected[i] != kNoSession ? 1 : 0;
    }
    table_.find(queries, 40, port);
    for (unsigned i = 0; i < 40; ++i) {
      EXPECT_EQ(queries[i].session, expected[i]) << "step " << step;
      EXPECT_EQ(table_.find(queries[i].address, queries[i].is_v6, port), expected[i]);
    }
    return found;
  }
  void erase_all() {
    for (const Held& one : held_) table_.erase(one.route, one.port);
    held_.clear();
    EXPECT_EQ(table_.size(), 0u);
    EXPECT_EQ(table_.nodes(), 0u);
  }
  void be_like_the_list(std::uint32_t bits, std::size_t held_max) {
    unsigned found = 0;
    for (unsigned step = 0; step < 3'000 && !HasFailure(); ++step) {
      change(bits, held_max, step);
      found += compare(bits, step);
      for (const Held& one : held_) {
        if (step % 100 != 0) break;
        SessionIndex session = kNoSession;
        EXPECT_TRUE(table_.find_exact(one.route, one.port, session));
        EXPECT_EQ(session, one.session);
      }
    }
    EXPECT_GT(found, 10'000u);
    erase_all();
    EXPECT_EQ(find(0x0a000000), kNoSession);
    EXPECT_EQ(find(route6(0x0a000000, 0, 128)), kNoSession);
  }

  struct alignas(kCacheLine) Line {
    std::byte bytes[kCacheLine];
  };
  std::vector<Line> memory_{RouteTable::bytes(kRoutes) / kCacheLine};
  RouteTable table_{memory_.data(), kRoutes};
  std::vector<Held> held_;
  std::mt19937 random_{7};
};

TEST_F(RouteTableTest, FindsTheLongestOfThoseThatAreInsideOthers) {
  be_like_the_list(0x00030103, 200);
}
TEST_F(RouteTableTest, FindsTheLongestOfFew) { be_like_the_list(0xffffffff, 6); }
TEST_F(RouteTableTest, FindsTheLongestOfThoseThatLieAnyhow) { be_like_the_list(0xffffffff, 200); }
TEST_F(RouteTableTest, FindsTheLongestOfThoseThatAreNeighbours) {
  be_like_the_list(0x0000001f, 100);
}

TEST_F(RouteTableTest, DefaultRoutesAndHosts) {
  ASSERT_TRUE(table_.insert(route4(0, 0), 1, 1));
  ASSERT_TRUE(table_.insert(route6(0, 0, 0), 1, 2));
  EXPECT_EQ(find(0xffffffff), 1u);
  EXPECT_EQ(find(route6(0xffffffff, 1, 128)), 2u);
  ASSERT_TRUE(table_.insert(route4(0xffffffff, 32), 1, 3));
  ASSERT_TRUE(table_.insert(route6(0xffffffff, 1, 128, 1), 1, 4));
  EXPECT_EQ(find(0xffffffff), 3u);
  EXPECT_EQ(find(0xfffffffe), 1u);
  EXPECT_EQ(find(route6(0xffffffff, 1, 128, 1)), 4u);
  EXPECT_EQ(find(route6(0xffffffff, 1, 128, 0)), 2u);
  EXPECT_EQ(find(0xffffffff, 2), kNoSession) << "another network instance's";
  EXPECT_EQ(find(0xffffffff, 200), kNoSession) << "no port";
}

TEST_F(RouteTableTest, PrefixesThatDifferInAllTheirBitsHaveTheirOwnSessions) {
  // 2001:db8::/48 and 2001:dba::/49 once had one key.
  ASSERT_TRUE(table_.insert(route6(0x20010db8, 0, 48), 1, 1));
  ASSERT_TRUE(table_.insert(route6(0x20010dba, 0, 49), 1, 2));
  EXPECT_EQ(find(route6(0x20010db8, 1, 128)), 1u);
  EXPECT_EQ(find(route6(0x20010dba, 1, 128)), 2u);
}

TEST_F(RouteTableTest, ErasingWhatIsNotThereChangesNothing) {
  ASSERT_TRUE(table_.insert(route4(0x0a010200, 24), 1, 5));
  table_.erase(route4(0x0a010200, 24), 2);
  table_.erase(route4(0x0a010200, 25), 1);
  table_.erase(route4(0x0a010200, 23), 1);
  EXPECT_EQ(find(0x0a010203), 5u);
}

TEST_F(RouteTableTest, HoldsAsManyAsItIsMadeForAndGivesThemBack) {
  // Each pair parts in a node of its own, at the end of a long prefix.
  for (unsigned round = 0; round < 3; ++round) {
    for (std::uint32_t n = 0; n < kRoutes; ++n) {
      ASSERT_TRUE(table_.insert(route6(0x20010db8, n / 2 * 0x9e3779b1, 128, n + round), 1, n)) << n;
    }
    EXPECT_FALSE(table_.insert(route4(0x0a000000, 8), 1, 9)) << "full";
    EXPECT_EQ(find(route6(0x20010db8, 7 * 0x9e3779b1, 128, 15 + round)), 15u);
    for (std::uint32_t n = 0; n < kRoutes; ++n) {
      table_.erase(route6(0x20010db8, n / 2 * 0x9e3779b1, 128, n + round), 1);
    }
    EXPECT_EQ(table_.size(), 0u);
    EXPECT_EQ(table_.nodes(), 0u);
  }
}

/// What readers see while routes change: of two routes one is always there, the longer, the
/// shorter, or both; a third never changes. Between them others come and go, so that nodes do.
TEST_F(RouteTableTest, IsExactWhileItChanges) {
  for (const bool is_v6 : {false, true}) {
    const auto made = [&](std::uint32_t low, unsigned length) {
      return is_v6 ? route6(0x20010db8, low, 32 + length) : route4(low, length);
    };
    const Route longer = made(0x0a012300, 28), shorter = made(0x0a010000, 14);
    const Route still = made(0x0a012340, 26);
    // So that the first step stays as it is, which takes longest to make.
    const Route far = made(0x0b000000, 8);
    for (const auto& [one, session] : {std::pair{longer, 1u}, {still, 3u}, {far, 4u}}) {
      ASSERT_TRUE(table_.insert(one, 1, session));
    }
    std::atomic<bool> ended{false};
    std::atomic<unsigned> wrong{0}, looks{0};
    const auto read = [&](bool by_burst) {
      const AddressBits either = made(0x0a012301, 32).bits(), same = made(0x0a012341, 32).bits();
      RouteQuery queries[32];
      for (unsigned i = 0; i < 32; ++i) queries[i] = {i % 2 == 0 ? either : same, is_v6, 0};
      while (!ended.load(std::memory_order_relaxed)) {
        if (by_burst) {
          table_.find(queries, 32, 1);
        } else {
          for (RouteQuery& one : queries) one.session = table_.find(one.address, is_v6, 1);
        }
        for (unsigned i = 0; i < 32; ++i) {
          const SessionIndex session = queries[i].session;
          const bool right = i % 2 == 0 ? session == 1 || session == 2 : session == 3;
          if (!right) wrong.fetch_add(1, std::memory_order_relaxed);
        }
        looks.fetch_add(1, std::memory_order_relaxed);
      }
    };
    std::thread one([&] { read(false); }), burst([&] { read(true); });
    for (unsigned step = 0; step < 20'000 || looks.load(std::memory_order_relaxed) < 20'000;
         ++step) {
      const Route other = made(0x0a012300 ^ (random_() & 0x0003f3fe), 15 + random_() % 12);
      SessionIndex session;
      const bool covers = other == still || other.bits().common(still.bits()) >= other.length;
      const bool inside = covers && other.length >= still.length;
      if (!inside && other.length < longer.length) table_.insert(other, 1, 2);
      ASSERT_TRUE(table_.insert(shorter, 1, 2));
      table_.erase(longer, 1);
      if (!inside && table_.find_exact(other, 1, session)) table_.erase(other, 1);
      ASSERT_TRUE(table_.insert(longer, 1, 1));
      table_.erase(shorter, 1);
    }
    ended.store(true, std::memory_order_relaxed);
    one.join();
    burst.join();
    EXPECT_EQ(wrong.load(), 0u) << (is_v6 ? "IPv6" : "IPv4");
    for (const Route& one : {longer, still, far}) table_.erase(one, 1);
    EXPECT_EQ(table_.nodes(), 0u);
  }
}

}  // namespace
}  // namespace sluice
