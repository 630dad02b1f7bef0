// Longest match against a list that is looked through, while routes come and go.
#include "session/table/route_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <utility>
#include <vector>

namespace sluice {
namespace {

constexpr std::uint32_t kKeys = 4096;

class RouteTableTest : public ::testing::Test {
 protected:
  struct Held {
    Route route;
    std::uint8_t port;
    SessionIndex session;
  };

  Route route(bool is_v6, unsigned length, const std::uint32_t (&address)[4]) const {
    Route made{{}, static_cast<std::uint8_t>(length), is_v6, 0};
    for (unsigned i = 0; i < 4; ++i) made.words[i] = address[i] & made.mask(i);
    return made;
  }
  /// Few different prefixes, so that many are inside others.
  void draw(bool is_v6, std::uint32_t (&address)[4]) {
    for (unsigned i = 0; i < 4; ++i) {
      address[i] = i == 0 || is_v6 ? 0x0a000000 | (random_() & 0x00030103) : 0;
    }
  }
  SessionIndex longest(const std::uint32_t (&address)[4], bool is_v6, std::uint8_t port) const {
    const Held* best = nullptr;
    for (const Held& one : held_) {
      if (one.port != port || !one.route.contains(address, is_v6)) continue;
      if (best == nullptr || one.route.length > best->route.length) best = &one;
    }
    return best == nullptr ? kNoSession : best->session;
  }
  bool is_held(const Route& route, std::uint8_t port) const {
    for (const Held& one : held_) {
      if (one.port == port && one.route == route) return true;
    }
    return false;
  }

  struct alignas(kCacheLine) Line {
    std::byte bytes[kCacheLine];
  };
  std::vector<Line> memory_{RouteTable::bytes(kKeys) / kCacheLine + 1};
  RouteTable table_{memory_.data(), kKeys, {0x9e3779b97f4a7c15, 0xff51afd7ed558ccd}};
  std::vector<Held> held_;
  std::mt19937 random_{7};
};

TEST_F(RouteTableTest, FindsTheLongestOfThoseThatAreThere) {
  unsigned found_some = 0;
  for (unsigned step = 0; step < 40'000; ++step) {
    const bool is_v6 = (random_() & 1) != 0;
    const auto port = static_cast<std::uint8_t>(1 + (random_() & 1));
    std::uint32_t address[4];
    draw(is_v6, address);
    const unsigned length = random_() % (is_v6 ? 129 : 33);
    const Route made = route(is_v6, length, address);
    if (!is_held(made, port) && held_.size() < 300) {
      ASSERT_TRUE(table_.insert(made, port, step));
      held_.push_back({made, port, step});
    } else if (!held_.empty()) {
      const std::size_t i = random_() % held_.size();
      table_.erase(held_[i].route, held_[i].port);
      held_[i] = held_.back();
      held_.pop_back();
    }
    draw(is_v6, address);
    SessionIndex session = kNoSession;
    const bool found = table_.find(address, is_v6, port, session);
    ASSERT_EQ(session, longest(address, is_v6, port)) << "step " << step;
    ASSERT_EQ(found, session != kNoSession);
    found_some += found ? 1 : 0;
  }
  EXPECT_GT(found_some, 10'000u);
  for (const Held& one : held_) table_.erase(one.route, one.port);
  const std::uint32_t any[4] = {0x0a000000, 0x0a000000, 0x0a000000, 0x0a000000};
  SessionIndex session = kNoSession;
  EXPECT_FALSE(table_.find(any, false, 1, session));
  EXPECT_FALSE(table_.find(any, true, 1, session));
}

TEST_F(RouteTableTest, ErasingWhatIsNotThereChangesNothing) {
  const Route made = route(false, 24, {0x0a010200, 0, 0, 0});
  ASSERT_TRUE(table_.insert(made, 1, 5));
  table_.erase(made, 2);
  table_.erase(route(false, 25, {0x0a010200, 0, 0, 0}), 1);
  SessionIndex session = kNoSession;
  EXPECT_TRUE(table_.find({0x0a010203, 0, 0, 0}, false, 1, session));
  EXPECT_EQ(session, 5u);
}

}  // namespace
}  // namespace sluice
