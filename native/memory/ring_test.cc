#include "memory/ring.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace sluice {
namespace {

struct alignas(kCacheLine) Line {
  std::byte bytes[kCacheLine];
};

// A ring in memory of its own.
template <class Ring>
class Holder {
 public:
  explicit Holder(std::uint32_t capacity)
      : memory_(new Line[Ring::bytes(capacity) / kCacheLine]),
        ring_(Ring::create(memory_.get(), capacity)) {}
  Ring* operator->() { return ring_; }
  Ring& operator*() { return *ring_; }

 private:
  std::unique_ptr<Line[]> memory_;
  Ring* ring_;
};

template <class Ring>
class RingTest : public testing::Test {};
using Rings =
    testing::Types<SpscRing<std::uint64_t>, MpscRing<std::uint64_t>, MpmcRing<std::uint64_t>>;
TYPED_TEST_SUITE(RingTest, Rings);

TYPED_TEST(RingTest, BurstTakesWhatThereIsAndBulkAllOrNothing) {
  Holder<TypeParam> ring(8);
  const std::uint64_t in[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  std::uint64_t out[10] = {};
  EXPECT_EQ(ring->dequeue_burst(out, 10), 0U);
  EXPECT_FALSE(ring->dequeue_bulk(out, 1));
  EXPECT_FALSE(ring->enqueue_bulk(in, 9));
  EXPECT_EQ(ring->size(), 0U);
  EXPECT_EQ(ring->enqueue_burst(in, 10), 8U);
  EXPECT_EQ(ring->size(), 8U);
  EXPECT_EQ(ring->enqueue_burst(in, 1), 0U);
  EXPECT_FALSE(ring->dequeue_bulk(out, 9));
  EXPECT_TRUE(ring->dequeue_bulk(out, 5));
  EXPECT_EQ(ring->dequeue_burst(out + 5, 5), 3U);
  for (unsigned i = 0; i < 8; ++i) EXPECT_EQ(out[i], i + 1);
  EXPECT_EQ(ring->size(), 0U);
  EXPECT_EQ(ring->capacity(), 8U);
}

TYPED_TEST(RingTest, KeepsOrderAcrossTheEndOfTheSlots) {
  Holder<TypeParam> ring(16);
  std::uint64_t next_in = 0;
  std::uint64_t next_out = 0;
  for (unsigned round = 0; round < 1000; ++round) {
    std::uint64_t in[11];
    const unsigned n = round % 11 + 1;
    for (unsigned i = 0; i < n; ++i) in[i] = next_in + i;
    next_in += ring->enqueue_burst(in, n);
    std::uint64_t out[13];
    const unsigned got = ring->dequeue_burst(out, round % 13 + 1);
    for (unsigned i = 0; i < got; ++i) ASSERT_EQ(out[i], next_out++);
    ASSERT_EQ(ring->size(), next_in - next_out);
  }
  EXPECT_GT(next_out, 1000U);
}

TYPED_TEST(RingTest, OfOneSlotWorks) {
  Holder<TypeParam> ring(1);
  std::uint64_t value = 7;
  EXPECT_TRUE(ring->enqueue_bulk(&value, 1));
  EXPECT_FALSE(ring->enqueue_bulk(&value, 1));
  value = 0;
  EXPECT_TRUE(ring->dequeue_bulk(&value, 1));
  EXPECT_EQ(value, 7U);
}

TEST(Ring, HoldsObjectsOfAnySize) {
  struct Command {
    std::uint32_t words[5];
  };
  Holder<SpscRing<Command>> ring(4);
  const Command in[3] = {{{1, 2, 3, 4, 5}}, {{6, 7, 8, 9, 10}}, {{11, 12, 13, 14, 15}}};
  ASSERT_TRUE(ring->enqueue_bulk(in, 3));
  Command out[3] = {};
  ASSERT_TRUE(ring->dequeue_bulk(out, 3));
  EXPECT_EQ(std::memcmp(in, out, sizeof in), 0);
  EXPECT_EQ(SpscRing<Command>::bytes(4) % kCacheLine, 0U);
}

// Several threads per side; every object carries its producer and a number that counts up.
// Checks that each arrives once, and that one producer's objects stay in order as seen by any
// one consumer.
template <class Ring>
void exchange(unsigned producers, unsigned consumers, std::uint64_t per_producer) {
  Holder<Ring> ring(64);
  std::atomic<std::uint64_t> received{0};
  std::atomic<std::uint64_t> sum{0};
  std::atomic<bool> disorder{false};
  std::vector<std::thread> threads;
  for (unsigned p = 0; p < producers; ++p) {
    threads.emplace_back([&, p] {
      std::uint64_t batch[16];
      for (std::uint64_t next = 0; next < per_producer;) {
        unsigned n = static_cast<unsigned>(next % 16 + 1);
        if (n > per_producer - next) n = static_cast<unsigned>(per_producer - next);
        for (unsigned i = 0; i < n; ++i) batch[i] = (std::uint64_t{p} << 32) + next + i;
        const unsigned sent =
            next % 3 == 0 ? (ring->enqueue_bulk(batch, n) ? n : 0) : ring->enqueue_burst(batch, n);
        next += sent;
        if (sent == 0) std::this_thread::yield();
      }
    });
  }
  const std::uint64_t total = producers * per_producer;
  for (unsigned c = 0; c < consumers; ++c) {
    threads.emplace_back([&] {
      std::vector<std::uint64_t> next_of(producers, 0);
      std::uint64_t batch[16];
      unsigned turn = 0;
      while (received.load() < total) {
        const unsigned n = ring->dequeue_burst(batch, ++turn % 16 + 1);
        for (unsigned i = 0; i < n; ++i) {
          const std::uint64_t number = batch[i] & 0xffff'ffff;
          std::uint64_t& next = next_of[batch[i] >> 32];
          if (number < next) disorder = true;
          next = number + 1;
          sum += number;
        }
        received += n;
        if (n == 0) std::this_thread::yield();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(received.load(), total);
  EXPECT_EQ(sum.load(), producers * (per_producer * (per_producer - 1) / 2));
  EXPECT_FALSE(disorder.load());
  EXPECT_EQ(ring->size(), 0U);
}

TEST(RingThreads, OneProducerOneConsumer) { exchange<SpscRing<std::uint64_t>>(1, 1, 200'000); }
TEST(RingThreads, ThreeProducersOneConsumer) { exchange<MpscRing<std::uint64_t>>(3, 1, 50'000); }
TEST(RingThreads, ThreeProducersThreeConsumers) { exchange<MpmcRing<std::uint64_t>>(3, 3, 50'000); }

}  // namespace
}  // namespace sluice
