// Packets of ESP: those of a Linux kernel opened, ours sealed and opened again, and what must not
// pass.
#include "crypto/esp/association.h"

#include <gtest/gtest.h>

#include <list>
#include <set>
#include <sstream>

#include "crypto/vector_files_test.h"

namespace sluice::crypto {
namespace {
using namespace test;

constexpr EspSuite kSuites[] = {EspSuite::Sm4Gcm16, EspSuite::Sm4CbcSm3_96, EspSuite::Sm4CbcSm3_128,
                                EspSuite::Sm4CbcSm3_256};

struct Secrets {
  Bytes key, salt, auth_key;

  explicit Secrets(std::mt19937_64& random)
      : key(random_bytes(random, kSm4KeyBytes)),
        salt(random_bytes(random, kEspSaltBytes)),
        auth_key(random_bytes(random, kEspAuthKeyBytes)) {}
  Secrets(const char* k, const char* s, const char* a)
      : key(from_hex(k)), salt(from_hex(s)), auth_key(from_hex(a)) {}

  EspParameters parameters(EspSuite suite, bool extended = true) const {
    return {.spi = 0x1001,
            .suite = suite,
            .key = std::span<const std::byte, kSm4KeyBytes>(key),
            .salt = std::span<const std::byte, kEspSaltBytes>(salt),
            .auth_key = std::span<const std::byte, kEspAuthKeyBytes>(auth_key),
            .extended_sequence = extended};
  }
};

class Esp : public ::testing::TestWithParam<Tier> {
 protected:
  /// Seals one packet; empty when the association has expired.
  Bytes seal(EspOutbound& association, const Bytes& packet, std::uint8_t next_header = 4) {
    Bytes room(kEspHeadRoom + packet.size() + kEspTailRoom, std::byte{0xa5});
    std::copy(packet.begin(), packet.end(), room.begin() + kEspHeadRoom);
    EspSealJob job{&association, std::span(room).subspan(kEspHeadRoom, packet.size()), next_header};
    esp_seal({&job, 1}, GetParam());
    EXPECT_EQ(job.status == EspStatus::Ok, !job.esp.empty());
    return {job.esp.begin(), job.esp.end()};
  }
  /// Opens one; the status is kept.
  Bytes open(EspInbound& association, Bytes esp) {
    EspOpenJob job{&association, esp};
    esp_open({&job, 1}, GetParam());
    status_ = job.status;
    next_header_ = job.next_header;
    EXPECT_TRUE(status_ == EspStatus::Ok || job.packet.empty());
    return {job.packet.begin(), job.packet.end()};
  }
  Bytes packet(std::size_t bytes) { return random_bytes(random_, bytes); }

  std::mt19937_64 random_{20'260'403};
  EspStatus status_ = EspStatus::Ok;
  unsigned next_header_ = 0;
};

TEST_P(Esp, ThatOfALinuxKernelIsOpened) {
  const Secrets secrets("0123456789abcdeffedcba9876543210", "deadbeef",
                        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  std::istringstream lines(text_of("linux/esp-sm4-linux-6.1.txt"));
  unsigned opened = 0;
  for (std::string word, name, hex; lines >> word;) {
    if (word != "ESPPKT") continue;
    lines >> name >> hex;
    const EspSuite suite = name.ends_with("_96")    ? EspSuite::Sm4CbcSm3_96
                           : name.ends_with("_128") ? EspSuite::Sm4CbcSm3_128
                                                    : EspSuite::Sm4CbcSm3_256;
    Bytes outer = from_hex(hex);
    const Bytes esp(outer.begin() + 20, outer.end());
    EspInbound association(secrets.parameters(suite, false), 64, GetParam());
    const Bytes inner = open(association, esp);
    ASSERT_EQ(status_, EspStatus::Ok) << name;
    EXPECT_EQ(next_header_, 4);
    ASSERT_GE(inner.size(), 20);
    // An IPv4 packet, as long as it says.
    EXPECT_EQ(inner[0], std::byte{0x45});
    EXPECT_EQ(static_cast<std::size_t>(inner[2]) << 8 | static_cast<std::size_t>(inner[3]),
              inner.size());
    ++opened;
  }
  EXPECT_EQ(opened, 8);
}

TEST_P(Esp, WhatWasSealedIsOpened) {
  for (const EspSuite suite : kSuites) {
    for (const bool extended : {false, true}) {
      const Secrets secrets(random_);
      EspOutbound sender(secrets.parameters(suite, extended), {}, {}, GetParam());
      EspInbound receiver(secrets.parameters(suite, extended), 1024, GetParam());
      for (std::size_t bytes = 1; bytes < 1500; bytes += 1 + bytes / 7) {
        const Bytes plain = packet(bytes), esp = seal(sender, plain, 41);
        EXPECT_EQ(open(receiver, esp), plain) << bytes;
        EXPECT_EQ(status_, EspStatus::Ok);
        EXPECT_EQ(next_header_, 41);
        EXPECT_EQ(open(receiver, esp), Bytes());
        EXPECT_EQ(status_, EspStatus::Replayed);
      }
      EXPECT_EQ(sender.last_number(), receiver.window().newest());
    }
  }
}

TEST_P(Esp, PacketsOfManyAssociationsShareABatch) {
  std::list<EspOutbound> senders;
  std::list<EspInbound> receivers;
  std::vector<Bytes> plain, rooms;
  std::vector<EspSealJob> seals;
  for (unsigned i = 0; i < 150; ++i) {
    const Secrets secrets(random_);
    const EspSuite suite = kSuites[i % 4];
    senders.emplace_back(secrets.parameters(suite), EspLifetime{}, EspUse{}, GetParam());
    receivers.emplace_back(secrets.parameters(suite), 1024, GetParam());
    plain.push_back(packet(20 + random_() % 300));
    rooms.emplace_back(kEspHeadRoom);
    rooms.back().insert(rooms.back().end(), plain.back().begin(), plain.back().end());
    rooms.back().resize(rooms.back().size() + kEspTailRoom);
    seals.push_back(
        {&senders.back(), std::span(rooms.back()).subspan(kEspHeadRoom, plain.back().size()), 4});
  }
  esp_seal(seals, GetParam());
  std::vector<EspOpenJob> opens;
  auto receiver = receivers.begin();
  for (const EspSealJob& job : seals) opens.push_back({&*receiver++, job.esp});
  opens[70].esp[20] ^= std::byte{1};
  opens[71].esp = opens[71].esp.first(11);
  esp_open(opens, GetParam());
  for (unsigned i = 0; i < opens.size(); ++i) {
    const EspStatus expected = i == 70   ? EspStatus::NotGenuine
                               : i == 71 ? EspStatus::Truncated
                                         : EspStatus::Ok;
    ASSERT_EQ(opens[i].status, expected) << i;
    if (expected == EspStatus::Ok) {
      EXPECT_EQ(Bytes(opens[i].packet.begin(), opens[i].packet.end()), plain[i]) << i;
    }
  }
}

TEST_P(Esp, TheSamePacketTwiceInABatchPassesOnce) {
  for (const EspSuite suite : kSuites) {
    const Secrets secrets(random_);
    EspOutbound sender(secrets.parameters(suite), {}, {}, GetParam());
    EspInbound receiver(secrets.parameters(suite), 1024, GetParam());
    Bytes first = seal(sender, packet(100)), second = first;
    EspOpenJob jobs[2] = {{&receiver, first}, {&receiver, second}};
    esp_open(jobs, GetParam());
    EXPECT_EQ(jobs[0].status, EspStatus::Ok);
    EXPECT_EQ(jobs[1].status, EspStatus::Replayed);
  }
}

TEST_P(Esp, NothingThatWasTouchedPassesOrMovesTheWindow) {
  for (const EspSuite suite : kSuites) {
    for (const bool extended : {false, true}) {
      const Secrets secrets(random_);
      EspOutbound sender(secrets.parameters(suite, extended), {}, {}, GetParam());
      EspInbound receiver(secrets.parameters(suite, extended), 1024, GetParam());
      const Bytes plain = packet(61), esp = seal(sender, plain);
      // The SPI is what finds the association, and it is authenticated too.
      for (std::size_t at = 0; at < esp.size(); ++at) {
        if (at < 4) continue;
        Bytes touched = esp;
        touched[at] ^= std::byte{0x40};
        open(receiver, touched);
        ASSERT_EQ(status_, EspStatus::NotGenuine) << at;
      }
      for (std::size_t bytes = 0; bytes < esp.size(); ++bytes) {
        open(receiver, Bytes(esp.begin(), esp.begin() + static_cast<long>(bytes)));
        ASSERT_NE(status_, EspStatus::Ok) << bytes;
      }
      EXPECT_EQ(receiver.window().newest(), 0);
      EXPECT_EQ(open(receiver, esp), plain);
    }
  }
}

TEST_P(Esp, ALifetimeEndsBeforeANumberCouldComeTwice) {
  const Secrets secrets(random_);
  EspOutbound few(secrets.parameters(EspSuite::Sm4Gcm16), {.packets_soft = 2, .packets_hard = 3},
                  {}, GetParam());
  for (unsigned i = 0; i < 3; ++i) {
    EXPECT_EQ(few.wants_rekeying(), i >= 2);
    EXPECT_FALSE(seal(few, packet(10)).empty());
  }
  EXPECT_TRUE(few.has_expired());
  EXPECT_TRUE(seal(few, packet(10)).empty());
  EspOutbound small(secrets.parameters(EspSuite::Sm4Gcm16), {.bytes_soft = 100, .bytes_hard = 150},
                    {}, GetParam());
  EXPECT_FALSE(seal(small, packet(100)).empty());
  EXPECT_TRUE(small.wants_rekeying());
  EXPECT_FALSE(small.has_expired());
  EXPECT_TRUE(seal(small, packet(51)).empty());
  EXPECT_TRUE(small.has_expired());
  EXPECT_TRUE(seal(small, packet(50)).empty()) << "it seals no more";
  EXPECT_EQ(small.bytes(), 100);
  for (const bool extended : {false, true}) {
    EspOutbound last(secrets.parameters(EspSuite::Sm4Gcm16, extended), {},
                     {.number = extended ? ~std::uint64_t{0} - 1 : 0xfffffffe}, GetParam());
    EXPECT_TRUE(last.wants_rekeying());
    EXPECT_FALSE(seal(last, packet(10)).empty());
    EXPECT_TRUE(seal(last, packet(10)).empty());
  }
}

TEST_P(Esp, ALifetimeGoesOnWithWhatWasUsedBefore) {
  const Secrets secrets(random_);
  const EspLifetime lifetime{
      .packets_soft = 10, .packets_hard = 12, .bytes_soft = 900, .bytes_hard = 1000};
  EspOutbound packets(secrets.parameters(EspSuite::Sm4Gcm16), lifetime, {.number = 10}, GetParam());
  EXPECT_TRUE(packets.wants_rekeying());
  EXPECT_FALSE(seal(packets, packet(10)).empty());
  EXPECT_FALSE(seal(packets, packet(10)).empty());
  EXPECT_TRUE(seal(packets, packet(10)).empty());
  EspOutbound bytes(secrets.parameters(EspSuite::Sm4Gcm16), lifetime, {.number = 1, .bytes = 950},
                    GetParam());
  EXPECT_TRUE(bytes.wants_rekeying());
  EXPECT_FALSE(seal(bytes, packet(50)).empty());
  EXPECT_TRUE(seal(bytes, packet(1)).empty());
}

TEST_P(Esp, NothingIsUsedBeyondWhatIsAllowed) {
  const Secrets secrets(random_);
  EspOutbound sender(secrets.parameters(EspSuite::Sm4Gcm16), {.packets_hard = 9, .bytes_hard = 500},
                     {}, GetParam());
  sender.use_up_to({.number = 1, .bytes = 500});
  EXPECT_FALSE(seal(sender, packet(100)).empty());
  EXPECT_TRUE(seal(sender, packet(100)).empty());
  sender.use_up_to({.number = 9, .bytes = 200});
  EXPECT_TRUE(seal(sender, packet(101)).empty());
  EXPECT_FALSE(seal(sender, packet(100)).empty());
  sender.use_up_to({.number = 100, .bytes = 100'000});
  EXPECT_FALSE(sender.has_expired());
  EXPECT_TRUE(seal(sender, packet(301)).empty()) << "a lifetime stays what it is";
  EXPECT_TRUE(sender.has_expired());
}

TEST_P(Esp, NumbersGoOnBeyond32Bits) {
  for (const EspSuite suite : kSuites) {
    const Secrets secrets(random_);
    EspOutbound sender(secrets.parameters(suite), {}, {.number = 0xfffffff0}, GetParam());
    EspInbound receiver(secrets.parameters(suite), 1024, GetParam());
    receiver.window().take(0xfffffff0);
    for (unsigned i = 0; i < 40; ++i) {
      const Bytes plain = packet(30);
      EXPECT_EQ(open(receiver, seal(sender, plain)), plain) << i;
    }
    EXPECT_EQ(receiver.window().newest(), 0x1'0000'0018);
  }
}

/// Packets that test/esp.test.ts opens with other implementations; here they are sealed again.
TEST_P(Esp, OursAreThoseThatOthersOpen) {
  const auto vectors = stanzas_of("sluice/esp.txt", "Esp");
  EXPECT_EQ(vectors.size(), 24);
  for (const Fields& vector : vectors) {
    const Secrets secrets(vector.at("Key").c_str(), vector.at("Salt").c_str(),
                          vector.at("AuthKey").c_str());
    EspParameters parameters =
        secrets.parameters(kSuites[std::stoul(vector.at("Suite"))], vector.at("Extended") == "1");
    parameters.spi = static_cast<std::uint32_t>(std::stoul(vector.at("Spi"), nullptr, 16));
    EspOutbound sender(parameters, {},
                       {.number = std::stoull(vector.at("Number"), nullptr, 16) - 1}, GetParam());
    EXPECT_EQ(seal(sender, from_hex(vector.at("Packet")), 4), from_hex(vector.at("Esp")));
  }
}

INSTANTIATE_TEST_SUITE_P(, Esp, ::testing::ValuesIn(tiers_here()), [](const auto& info) {
  std::string name = tier_name(info.param);
  std::erase(name, '-');
  return name;
});

TEST(ReplayWindow, IsASetOfTheNewestNumbers) {
  std::mt19937_64 random(20'260'404);
  for (const unsigned size : {64u, 1024u, kReplayWindowMax}) {
    ReplayWindow window(size);
    std::set<std::uint64_t> taken;
    std::uint64_t newest = 0;
    for (unsigned i = 0; i < 20'000; ++i) {
      const std::uint64_t jump = random() % 100 == 0 ? random() % (3 * kReplayWindowMax) : 3;
      const std::uint64_t back = random() % (2 * size);
      const std::uint64_t number = random() % 2 == 0 ? newest + random() % (jump + 1)
                                   : newest > back   ? newest - back
                                                     : 0;
      const bool is_known = taken.contains(number);
      const bool is_old = number <= newest && newest - number >= size;
      ASSERT_EQ(window.take(number), number != 0 && !is_known && !is_old)
          << number << " after " << newest;
      if (number == 0 || is_known || is_old) continue;
      taken.insert(number);
      newest = std::max(newest, number);
      ASSERT_EQ(window.newest(), newest);
      ASSERT_EQ(window.extended(static_cast<std::uint32_t>(number)), number);
    }
  }
}
}  // namespace
}  // namespace sluice::crypto
