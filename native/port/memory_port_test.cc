#include "port/memory_port.h"

#include <thread>

#include "port/port_contract_test.h"

namespace sluice {
namespace {
using test::Bytes;
using test::PoolFixture;

PortConfig config(const char* device = "") {
  PortConfig config;
  config.name = "n6";
  config.driver = "memory";
  config.device = device;
  return config;
}

Packet* packet_with(PoolCache& cache, const Bytes& bytes) {
  Packet* packet = nullptr;
  if (cache.allocate(&packet, 1) == 0) return nullptr;
  packet->offset = kCoreDataOffset;
  packet->length = static_cast<std::uint16_t>(bytes.size());
  packet->flags = 0;
  std::memcpy(packet->data(), bytes.data(), bytes.size());
  return packet;
}

TEST(MemoryPort, KeepsTheContract) {
  PoolFixture f(512, 2);
  MemoryPort port(config(), 3);
  PoolCache* caches[] = {&f.pool->cache(0)};
  ASSERT_TRUE(port.open(caches));
  PoolCache& far = f.pool->cache(1);
  test::PortPeer peer;
  peer.put = [&](const Bytes& bytes) {
    Packet* packet = packet_with(far, bytes);
    return packet != nullptr && port.inject(0, &packet, 1) == 1;
  };
  peer.take = [&] {
    std::vector<Bytes> all;
    Packet* packets[64];
    while (const unsigned n = port.collect(0, packets, 64)) {
      for (unsigned i = 0; i < n; ++i) all.push_back(test::bytes_of(*packets[i]));
      far.free(packets, n);
    }
    return all;
  };
  test::port_contract(port, *f.pool, 0, peer);
}

TEST(MemoryPort, SaysHowManyItTook) {
  PoolFixture f(5000, 1);
  PoolCache& cache = f.pool->cache(0);
  MemoryPort port(config(), 0);
  PoolCache* caches[] = {&cache};
  ASSERT_TRUE(port.open(caches));
  std::vector<Packet*> packets(kMemoryPortRing + 10);
  for (auto& packet : packets) packet = packet_with(cache, test::numbered_packet(1, 100));
  unsigned sent = 0;
  while (sent < packets.size()) {
    const unsigned burst = std::min(64U, static_cast<unsigned>(packets.size()) - sent);
    const unsigned n = port.queue(0).tx(packets.data() + sent, burst);
    sent += n;
    if (n < burst) break;
  }
  EXPECT_EQ(sent, kMemoryPortRing);
  const PortCounters& counters = port.queue(0).counters();
  EXPECT_EQ(counters.tx_packets, kMemoryPortRing);
  EXPECT_EQ(counters.tx_bytes, kMemoryPortRing * 100U);
  EXPECT_EQ(counters.tx_full, 10U);
  cache.free(packets.data() + sent, 10);
  port.close();
  EXPECT_EQ(f.pool->available(), 5000U) << "close() frees what nobody collected";
}

TEST(MemoryPort, SinkFreesAndCounts) {
  PoolFixture f(256, 1);
  PoolCache& cache = f.pool->cache(0);
  MemoryPort port(config("sluice0"), 0);
  PoolCache* caches[] = {&cache};
  ASSERT_TRUE(port.open(caches));
  for (unsigned i = 0; i < 10000; ++i) {
    Packet* packet = packet_with(cache, test::numbered_packet(i, 100));
    ASSERT_NE(packet, nullptr) << "the sink keeps packets";
    ASSERT_EQ(port.queue(0).tx(&packet, 1), 1U);
  }
  Packet* none[1];
  EXPECT_EQ(port.collect(0, none, 1), 0U);
  EXPECT_EQ(port.queue(0).counters().tx_packets, 10000U);
  EXPECT_EQ(port.queue(0).counters().tx_bytes, 1000000U);
  EXPECT_EQ(f.pool->available(), 256U);
}

TEST(MemoryPort, QueuesAreApartAndCloseFreesTheRest) {
  PoolFixture f(256, 3);
  MemoryPort port(config(), 0);
  PoolCache* caches[] = {&f.pool->cache(0), &f.pool->cache(1)};
  ASSERT_TRUE(port.open(caches));
  EXPECT_EQ(port.queues(), 2U);
  Packet* packet = packet_with(f.pool->cache(2), test::numbered_packet(1, 64));
  ASSERT_EQ(port.inject(1, &packet, 1), 1U);
  Packet* received[4];
  EXPECT_EQ(port.queue(0).rx(received, 4), 0U);
  ASSERT_EQ(port.queue(1).rx(received, 4), 1U);
  ASSERT_EQ(port.queue(1).tx(received, 1), 1U);
  packet = packet_with(f.pool->cache(2), test::numbered_packet(2, 64));
  ASSERT_EQ(port.inject(0, &packet, 1), 1U);
  port.close();
  EXPECT_EQ(f.pool->available(), 256U);
}

// The far end on a thread of its own: what is injected comes back in order, once.
TEST(MemoryPort, FarEndOnAnotherThread) {
  constexpr std::uint32_t kCount = 20000;
  PoolFixture f(1024, 2);
  MemoryPort port(config(), 0);
  PoolCache* caches[] = {&f.pool->cache(0)};
  ASSERT_TRUE(port.open(caches));
  std::uint32_t wrong = 0;
  std::thread far([&] {
    PoolCache& cache = f.pool->cache(1);
    std::uint32_t sent = 0;
    std::uint32_t received = 0;
    Packet* packets[32];
    while (received < kCount) {
      while (sent < kCount && sent - received < 256) {
        Packet* packet = packet_with(cache, test::numbered_packet(sent, 64));
        if (packet == nullptr) break;
        if (port.inject(0, &packet, 1) == 0) {
          cache.free(&packet, 1);
          break;
        }
        ++sent;
      }
      const unsigned n = port.collect(0, packets, 32);
      for (unsigned i = 0; i < n; ++i) {
        if (wire::load32(packets[i]->data() + 28) != received++) ++wrong;
      }
      if (n == 0) {
        std::this_thread::yield();
      } else {
        cache.free(packets, n);
      }
    }
  });
  Packet* burst[32];
  for (std::uint32_t passed = 0; passed < kCount;) {
    const unsigned n = port.queue(0).rx(burst, 32);
    if (n == 0) {
      std::this_thread::yield();
      continue;
    }
    ASSERT_EQ(port.queue(0).tx(burst, n), n);
    passed += n;
  }
  far.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_EQ(f.pool->available(), 1024U);
}

}  // namespace
}  // namespace sluice
