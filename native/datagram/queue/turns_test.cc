#include "datagram/queue/turns.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>

namespace sluice::datagram {
namespace {

constexpr std::uint32_t kChunks = 4096;
constexpr std::uint8_t kHeartbeat = 1, kModification = 52, kDeletion = 54, kEstablishment = 50;

Address v4(std::uint32_t word) { return {4, {word, 0, 0, 0}}; }

struct Served {
  std::uint32_t from;
  std::uint8_t type;
  std::uint32_t number;
  std::size_t length;
};

struct TurnsTest : testing::Test {
  std::shared_ptr<ShedCounts> strangers = std::make_shared<ShedCounts>();
  Turns turns{kChunks, HalfSipHash<>(1, 2), strangers};
  std::unique_ptr<std::byte, void (*)(void*)> memory{
      static_cast<std::byte*>(std::aligned_alloc(kCacheLine, DatagramRing::kBytesMin)), std::free};
  DatagramRing ring{memory.get(), DatagramRing::kBytesMin};
  std::map<std::uint32_t, std::shared_ptr<ShedCounts>> shed;

  void set_peers(const std::vector<std::uint32_t>& addresses) {
    std::vector<Peer> peers;
    for (const std::uint32_t address : addresses) {
      if (!shed.contains(address)) shed[address] = std::make_shared<ShedCounts>();
      peers.push_back({v4(address), shed[address]});
    }
    turns.set_peers(peers);
  }
  bool add(std::uint32_t from, std::uint8_t type, std::uint32_t number = 0,
           std::size_t length = 300) {
    std::vector<std::byte> bytes(length, static_cast<std::byte>(number));
    if (length > 1) bytes[1] = static_cast<std::byte>(type);
    if (length >= 12) std::memcpy(bytes.data() + 8, &number, 4);
    Header header;
    const Address address = v4(from);
    header.family = address.family;
    header.address = address.words;
    header.length = static_cast<std::uint32_t>(length);
    header.datagram_class = static_cast<std::uint32_t>(class_of(bytes.data(), length));
    return turns.add(header, bytes.data(), 1000);
  }
  /// Everything that the ring can take now.
  std::vector<Served> serve(Nanoseconds now = 1000) {
    std::vector<Served> out;
    turns.serve(ring, now);
    while (const Header* header = ring.next()) {
      const std::byte* const bytes = DatagramRing::payload(header);
      Served one{header->address[0], 0, 0, header->length};
      if (header->length > 1) one.type = static_cast<std::uint8_t>(bytes[1]);
      if (header->length >= 12) std::memcpy(&one.number, bytes + 8, 4);
      out.push_back(one);
    }
    ring.release();
    return out;
  }
  std::vector<Served> serve_all() {
    std::vector<Served> out;
    while (turns.waiting() > 0) {
      const auto part = serve();
      out.insert(out.end(), part.begin(), part.end());
    }
    return out;
  }
};

TEST_F(TurnsTest, PeersTakeTurns) {
  set_peers({1, 2, 3});
  for (std::uint32_t i = 0; i < 50; ++i) add(1, kEstablishment, i);
  add(2, kEstablishment, 100);
  add(2, kEstablishment, 101);
  add(3, kEstablishment, 200);
  const auto served = serve_all();
  ASSERT_EQ(served.size(), 53u);
  EXPECT_LT(std::find_if(served.begin(), served.end(),
                         [](const Served& each) { return each.number == 200; }) -
                served.begin(),
            3);
  EXPECT_LT(std::find_if(served.begin(), served.end(),
                         [](const Served& each) { return each.number == 101; }) -
                served.begin(),
            6);
}

TEST_F(TurnsTest, OfOnePeerClassesComeInTheirOrderAndEachInItsOwn) {
  set_peers({1});
  add(1, kEstablishment, 1);
  add(1, kEstablishment, 2);
  add(1, kModification, 3);
  add(1, kModification, 4);
  add(1, kDeletion, 5);
  add(1, kHeartbeat, 6);
  std::vector<std::uint32_t> order;
  for (const Served& each : serve_all()) order.push_back(each.number);
  EXPECT_EQ(order, (std::vector<std::uint32_t>{5, 6, 3, 4, 1, 2}));
}

TEST_F(TurnsTest, AFloodOfRandomSourcesIsOneTurn) {
  set_peers({7});
  std::mt19937 random(3);
  for (unsigned i = 0; i < 100'000; ++i) add(random() | 1u << 31, kEstablishment, 1);
  const std::uint64_t flood_shed = (*strangers)[2];
  EXPECT_GT(flood_shed, 90'000u);
  for (std::uint32_t i = 0; i < 20; ++i) EXPECT_TRUE(add(7, kHeartbeat, 1000 + i));
  const auto served = serve();
  for (unsigned i = 0; i < 20; ++i) {
    EXPECT_TRUE(served[2 * i].from == 7 || served[2 * i + 1].from == 7) << i;
  }
  EXPECT_EQ((*shed[7])[0], 0u);
}

TEST_F(TurnsTest, StrangersTakeTurnsAmongThemselves) {
  for (std::uint32_t i = 0; i < 500; ++i) add(1, kModification, i);
  add(2, kModification, 1000);
  const auto served = serve_all();
  const auto found =
      std::find_if(served.begin(), served.end(), [](const Served& each) { return each.from == 2; });
  EXPECT_LT(found - served.begin(), 2);
}

TEST_F(TurnsTest, ShedsEstablishmentsFirstAndLeavesRoomForOthers) {
  set_peers({1, 2});
  while (add(1, kEstablishment)) {
  }
  EXPECT_EQ((*shed[1])[2], 1u);
  unsigned modifications = 0;
  while (add(1, kModification)) ++modifications;
  unsigned deletions = 0;
  while (add(1, kDeletion)) ++deletions;
  EXPECT_GT(modifications, 500u);
  EXPECT_GT(deletions, 500u);
  // Peer 1 has done its worst; peer 2 gets in with all classes.
  EXPECT_TRUE(add(2, kHeartbeat));
  EXPECT_TRUE(add(2, kModification));
  EXPECT_TRUE(add(2, kEstablishment));
  EXPECT_EQ((*shed[2])[0] + (*shed[2])[1] + (*shed[2])[2], 0u);
}

TEST_F(TurnsTest, AllRoomIsGivenBack) {
  set_peers({1, 2});
  for (unsigned round = 0; round < 50; ++round) {
    unsigned admitted = 0;
    for (std::uint32_t i = 0; i < 6000; ++i) {
      const std::size_t length = (i * 977) % 3000;
      admitted += add(1 + i % 5, i % 2 == 0 ? kEstablishment : kModification, i, length);
    }
    EXPECT_EQ(turns.waiting(), admitted);
    EXPECT_EQ(serve_all().size(), admitted);
  }
}

TEST_F(TurnsTest, CarriesTheLargestAndTheSmallest) {
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, std::size_t{431}, std::size_t{432}, std::size_t{433},
        std::size_t{944}, std::size_t{945}, std::size_t{kDatagramBytesMax}}) {
    ASSERT_TRUE(add(9, kEstablishment, 77, length));
    turns.serve(ring, 1000);
    const Header* const header = ring.next();
    ASSERT_NE(header, nullptr);
    ASSERT_EQ(header->length, length);
    for (std::size_t i = 12; i < length; ++i) {
      ASSERT_EQ(DatagramRing::payload(header)[i], std::byte{77}) << i;
    }
    ring.release();
  }
}

TEST_F(TurnsTest, TellsHowLongADatagramWaited) {
  add(1, kModification);
  turns.serve(ring, 1000 + 2'500'000);
  EXPECT_EQ(ring.next()->waited_us, 2500u);
}

TEST_F(TurnsTest, WhatWaitsOfAPeerThatIsGoneStillComes) {
  set_peers({1, 2});
  for (std::uint32_t i = 0; i < 10; ++i) {
    add(1, kEstablishment, i);
    add(2, kModification, 100 + i);
    add(3, kDeletion, 200 + i);
  }
  set_peers({3, 2, 2});
  add(1, kEstablishment, 10);
  std::map<std::uint32_t, std::vector<std::uint32_t>> by_source;
  for (const Served& each : serve_all()) by_source[each.from].push_back(each.number);
  EXPECT_EQ(by_source[1], (std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(by_source[2].size(), 10u);
  EXPECT_EQ(by_source[3].size(), 10u);
}

TEST_F(TurnsTest, PeersBeyondTheLimitAreStrangers) {
  std::vector<std::uint32_t> many;
  for (std::uint32_t i = 1; i <= kPeersMax + 10; ++i) many.push_back(i);
  set_peers(many);
  for (const std::uint32_t address : many) EXPECT_TRUE(add(address, kHeartbeat));
  EXPECT_EQ(serve_all().size(), many.size());
}

/// Against a model: whatever is added and served in whatever order, everything that was
/// admitted comes once, in the order of its source and class.
TEST_F(TurnsTest, LosesAndReordersNothing) {
  std::mt19937 random(11);
  std::map<std::pair<std::uint32_t, std::uint8_t>, std::deque<std::uint32_t>> expected;
  std::uint32_t number = 0;
  const std::array<std::uint8_t, 3> types = {kDeletion, kModification, kEstablishment};
  const auto check = [&](const std::vector<Served>& served) {
    for (const Served& each : served) {
      auto& queue = expected[{each.from, each.type}];
      ASSERT_FALSE(queue.empty());
      ASSERT_EQ(queue.front(), each.number);
      queue.pop_front();
    }
  };
  set_peers({1, 2, 3});
  for (unsigned step = 0; step < 20'000; ++step) {
    const unsigned dice = random() % 100;
    if (dice < 90) {
      const std::uint32_t from = 1 + random() % 6;
      const std::uint8_t type = types[random() % 3];
      if (add(from, type, ++number, 12 + random() % 2000)) expected[{from, type}].push_back(number);
    } else if (dice < 99) {
      check(serve());
    } else {
      // A peer that becomes one leaves what waited of it with the strangers: others may overtake.
      set_peers(random() % 2 == 0 ? std::vector<std::uint32_t>{1, 2, 3}
                                  : std::vector<std::uint32_t>{3, 2, 1});
    }
    if (HasFatalFailure()) return;
  }
  check(serve_all());
  for (const auto& [key, queue] : expected) EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace sluice::datagram
