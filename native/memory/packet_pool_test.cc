#include "memory/packet_pool.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

namespace sluice {
namespace {

struct Fixture {
  explicit Fixture(std::uint32_t packets, unsigned caches, std::uint32_t spares = 0,
                   const std::vector<unsigned>& nodes = {}) {
    RegionOptions options;
    options.bytes = PacketPool::bytes(packets, caches, spares) + 4096;
    options.pages = PagePolicy::Off;
    auto made = Region::create(options);
    EXPECT_TRUE(made) << made.error().message;
    region = std::move(made).value();
    auto pooled = PacketPool::create(*region, packets, caches, spares, nodes);
    EXPECT_TRUE(pooled) << pooled.error().message;
    pool = std::move(pooled).value();
  }
  std::unique_ptr<Region> region;
  std::unique_ptr<PacketPool> pool;
};

TEST(PacketPool, HandsOutEveryPacketOnceAndNoMore) {
  Fixture f(1000, 1);
  std::vector<Packet*> all(1100);
  unsigned got = 0;
  while (unsigned n = f.pool->cache(0).allocate(all.data() + got, 32)) got += n;
  EXPECT_EQ(got, 1000U);
  EXPECT_EQ(f.pool->available(), 0U);
  EXPECT_EQ(std::set<Packet*>(all.begin(), all.begin() + got).size(), 1000U);
  for (unsigned i = 0; i < got; ++i) {
    const auto at = reinterpret_cast<std::byte*>(all[i]) - f.pool->chunks();
    EXPECT_EQ(at % static_cast<long>(kChunkBytes), 0);
    EXPECT_LT(at, static_cast<long>(1000 * kChunkBytes));
    EXPECT_EQ(f.pool->packet(f.pool->handle(all[i])), all[i]);
  }
  f.pool->cache(0).free(all.data(), got);
  EXPECT_EQ(f.pool->available(), 1000U);
  EXPECT_EQ(f.pool->cache(0).allocate(all.data(), 1100), 1000U);
  f.pool->cache(0).free(all.data(), 1000);
}

TEST(PacketPool, GivesBackFirstWhatWasFreedLast) {
  Fixture f(4096, 1);
  PoolCache& cache = f.pool->cache(0);
  std::vector<Packet*> all(2048);
  ASSERT_EQ(cache.allocate(all.data(), 2048), 2048U);
  Packet* again[32];
  // Across the spills that these frees cause, too.
  for (unsigned i = 0; i < 2048; i += 32) {
    cache.free(all.data() + i, 32);
    ASSERT_EQ(cache.allocate(again, 32), 32U);
    EXPECT_EQ(std::set<Packet*>(again, again + 32),
              std::set<Packet*>(all.data() + i, all.data() + i + 32));
    cache.free(again, 32);
  }
  EXPECT_EQ(f.pool->available(), 4096U);
}

TEST(PacketPool, OneCacheDoesNotStarveAnother) {
  Fixture f(64, 2);
  Packet* packets[64];
  ASSERT_EQ(f.pool->cache(0).allocate(packets, 64), 64U);
  f.pool->cache(0).free(packets, 64);
  EXPECT_GE(f.pool->cache(1).allocate(packets, 64), 48U);
}

TEST(PacketPool, RefusesWhatDoesNotFit) {
  RegionOptions options;
  options.bytes = 1 << 20;
  options.pages = PagePolicy::Off;
  auto region = std::move(Region::create(options)).value();
  auto pool = PacketPool::create(*region, 4096, 1);
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().field, "limits");
  EXPECT_FALSE(PacketPool::create(*region, 0, 1));
  EXPECT_FALSE(PacketPool::create(*region, 16, 0));
}

TEST(PacketPool, BytesSufficeForAnyCount) {
  for (std::uint32_t packets : {1U, 2U, 3U, 63U, 64U, 65U, 1000U, 5000U}) {
    Fixture f(packets, 3);
    EXPECT_EQ(f.pool->available(), packets);
  }
}

// Whether the second node is there or not: what it has of the chunks is a matter of numbers.
TEST(PacketPool, ANodesChunksAreItsCachesAndComeHome) {
  Fixture f(1200, 4, 90, {0, 1, 1, 0});
  const auto number_of = [&](const Packet* packet) {
    return static_cast<std::size_t>(reinterpret_cast<const std::byte*>(packet) - f.pool->chunks()) /
           kChunkBytes;
  };
  const auto take = [&](unsigned cache, unsigned n) {
    std::vector<Packet*> taken(n);
    taken.resize(f.pool->cache(cache).allocate(taken.data(), n));
    return taken;
  };
  const auto is_first_half = [&](const Packet* packet) { return number_of(packet) < 600; };
  const std::vector<Packet*> first = take(0, 600), second = take(1, 600);
  ASSERT_EQ(first.size() + second.size(), 1200U);
  EXPECT_TRUE(std::all_of(first.begin(), first.end(), is_first_half));
  EXPECT_TRUE(std::none_of(second.begin(), second.end(), is_first_half));
  // Each is freed on the other node, and but for what is kept there goes home from there.
  f.pool->cache(0).free(second.data(), 600);
  f.pool->cache(1).free(first.data(), 600);
  EXPECT_EQ(f.pool->available(), 1200U);
  const std::vector<Packet*> home = take(3, 500), away = take(2, 500);
  ASSERT_EQ(home.size() + away.size(), 1000U);
  EXPECT_TRUE(std::all_of(home.begin(), home.end(), is_first_half));
  EXPECT_TRUE(std::none_of(away.begin(), away.end(), is_first_half));
  // A node without any left takes of the other's.
  f.pool->cache(3).free(home.data(), 500);
  EXPECT_GT(take(2, 500).size(), 300U);
}

TEST(PacketPool, SparesAreOfTheNodeOfTheirCache) {
  Fixture f(8, 3, 200, {0, 1, 0});
  for (std::uint32_t i = 0; i < 200; ++i) {
    Packet* spare = f.pool->spare(i);
    f.pool->cache(2).free(&spare, 1);
  }
  std::vector<Packet*> taken(208);
  const unsigned n = f.pool->cache(1).allocate(taken.data(), 104);
  ASSERT_EQ(n, 104U);
  const std::set<Packet*> all(taken.begin(), taken.begin() + n);
  for (std::uint32_t i = 100; i < 200; ++i) EXPECT_TRUE(all.contains(f.pool->spare(i))) << i;
}

// Packets go from one thread's cache to another's through a ring, as in a hand-off, each
// stamped by its holder; a packet owned twice would show a foreign stamp.
TEST(PacketPool, PacketsCrossThreadsWithoutLossOrSharing) {
  Fixture f(512, 3);
  using Ring = SpscRing<PacketHandle>;
  std::byte* memory = f.region->allocate(Ring::bytes(64));
  std::vector<std::byte> own(Ring::bytes(64) + kCacheLine);
  if (memory == nullptr) {
    void* at = own.data();
    std::size_t room = own.size();
    memory = static_cast<std::byte*>(std::align(kCacheLine, Ring::bytes(64), at, room));
  }
  Ring* ring = Ring::create(memory, 64);
  constexpr unsigned kSent = 60'000;
  std::atomic<bool> shared{false};
  std::thread sender([&] {
    for (unsigned sent = 0; sent < kSent;) {
      Packet* packets[16];
      const unsigned n = f.pool->cache(0).allocate(packets, std::min(16U, kSent - sent));
      PacketHandle handles[16];
      for (unsigned i = 0; i < n; ++i) {
        packets[i]->tag = 1;
        handles[i] = f.pool->handle(packets[i]);
      }
      const unsigned put = ring->enqueue_burst(handles, n);
      f.pool->cache(0).free(packets + put, n - put);
      sent += put;
      if (put == 0) std::this_thread::yield();
    }
  });
  std::thread receiver([&] {
    for (unsigned received = 0; received < kSent;) {
      PacketHandle handles[16];
      const unsigned n = ring->dequeue_burst(handles, 16);
      Packet* packets[16];
      for (unsigned i = 0; i < n; ++i) {
        packets[i] = f.pool->packet(handles[i]);
        if (packets[i]->tag != 1) shared = true;
        packets[i]->tag = 2;
      }
      f.pool->cache(1).free(packets, n);
      received += n;
      if (n == 0) std::this_thread::yield();
    }
  });
  std::thread bystander([&] {
    for (unsigned round = 0; round < 20'000; ++round) {
      Packet* packets[40];
      const unsigned n = f.pool->cache(2).allocate(packets, round % 40 + 1);
      for (unsigned i = 0; i < n; ++i) packets[i]->tag = 3;
      for (unsigned i = 0; i < n; ++i) {
        if (packets[i]->tag != 3) shared = true;
      }
      f.pool->cache(2).free(packets, n);
    }
  });
  sender.join();
  receiver.join();
  bystander.join();
  EXPECT_FALSE(shared.load());
  EXPECT_EQ(f.pool->available(), 512U);
}

}  // namespace
}  // namespace sluice
