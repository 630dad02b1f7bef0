#include "datagram/queue/datagram_ring.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <thread>

namespace sluice::datagram {
namespace {

constexpr std::size_t kBytes = DatagramRing::kBytesMin;

struct Memory {
  std::unique_ptr<std::byte, void (*)(void*)> bytes{
      static_cast<std::byte*>(std::aligned_alloc(kCacheLine, kBytes)), std::free};
};
struct RingTest : testing::Test, Memory {
  DatagramRing ring{bytes.get(), kBytes};

  /// Content that tells number and position.
  static std::byte octet(std::uint32_t number, std::size_t at) {
    return static_cast<std::byte>(number * 7 + at);
  }
  bool put(std::uint32_t number, std::size_t length) {
    Header* const header = ring.reserve(length);
    if (header == nullptr) return false;
    header->family = 4;
    header->port = number;
    for (std::size_t i = 0; i < length; ++i) DatagramRing::payload(header)[i] = octet(number, i);
    ring.commit();
    return true;
  }
  void expect_next(std::uint32_t number, std::size_t length) {
    const Header* const header = ring.next();
    ASSERT_NE(header, nullptr);
    ASSERT_EQ(header->port, number);
    ASSERT_EQ(header->length, length);
    ASSERT_EQ(bytes.get() + header->offset, DatagramRing::payload(header));
    for (std::size_t i = 0; i < length; ++i) {
      ASSERT_EQ(DatagramRing::payload(header)[i], octet(number, i)) << i;
    }
  }
};

TEST_F(RingTest, IsEmptyAtFirst) {
  EXPECT_EQ(ring.next(), nullptr);
  EXPECT_TRUE(ring.empty());
  EXPECT_TRUE(ring.drained());
}

TEST_F(RingTest, CarriesEverySizeAtEveryPlace) {
  std::mt19937 random(5);
  const std::array<std::size_t, 8> edges = {0, 1, 63, 64, 65, 1400, 65'506, kDatagramBytesMax};
  std::uint32_t number = 0;
  for (unsigned round = 0; round < 3000; ++round) {
    const std::size_t length =
        round % 3 == 0 ? edges[random() % edges.size()] : random() % (kDatagramBytesMax + 1);
    // Room for the largest: an empty ring takes any datagram wherever its positions stand.
    ASSERT_TRUE(put(++number, length));
    expect_next(number, length);
    ring.release();
    ASSERT_TRUE(ring.drained());
  }
}

TEST_F(RingTest, FullIsToldAndHarmsNothing) {
  std::uint32_t number = 0;
  while (put(number, 1000)) ++number;
  EXPECT_GT(number, kBytes / 1200);
  EXPECT_FALSE(put(number, 1000));
  for (std::uint32_t i = 0; i < number; ++i) expect_next(i, 1000);
  EXPECT_EQ(ring.next(), nullptr);
  // Looked at is not given up.
  EXPECT_FALSE(put(number, 1000));
  ring.release();
  EXPECT_TRUE(put(number, 1000));
  expect_next(number, 1000);
}

TEST_F(RingTest, LooksAgainFromWhereItWentBackTo) {
  put(1, 10);
  put(2, 20);
  put(3, 30);
  expect_next(1, 10);
  const std::uint64_t position = ring.read_position();
  expect_next(2, 20);
  expect_next(3, 30);
  ring.go_back(position);
  ring.release();
  EXPECT_FALSE(ring.drained());
  expect_next(2, 20);
  expect_next(3, 30);
}

TEST_F(RingTest, KeepsContentAndOrderBetweenThreads) {
  constexpr std::uint32_t kCount = 200'000;
  const auto length_of = [](std::uint32_t i) {
    return i % 1000 == 999 ? 60'000u + i % 5000 : (i * 37) % 700;
  };
  std::thread producer([&] {
    for (std::uint32_t i = 0; i < kCount;) {
      Header* const header = ring.reserve(length_of(i));
      if (header == nullptr) {
        std::this_thread::yield();
        continue;
      }
      header->family = 4;
      header->port = i;
      // First and last octets tell as much as all of them.
      std::byte* const payload = DatagramRing::payload(header);
      if (header->length > 0) payload[0] = payload[header->length - 1] = octet(i, 0);
      ring.commit();
      ++i;
    }
  });
  std::uint32_t wrong = 0;
  for (std::uint32_t i = 0; i < kCount;) {
    const Header* const header = ring.next();
    if (header == nullptr) {
      std::this_thread::yield();
      continue;
    }
    wrong += header->port != i || header->length != length_of(i);
    const std::byte* const payload = DatagramRing::payload(header);
    if (header->length > 0) {
      wrong += payload[0] != octet(i, 0) || payload[header->length - 1] != octet(i, 0);
    }
    if (++i % 7 == 0) ring.release();
  }
  producer.join();
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace sluice::datagram
