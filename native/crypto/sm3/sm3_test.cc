#include "crypto/sm3/sm3.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/secret.h"
#include "crypto/sm3/digests_fixture_test.h"

namespace sluice::crypto {
namespace {
using namespace test;

TEST(Sm3, GbT32905Examples) {
  std::string abcd16;
  for (int i = 0; i < 16; ++i) abcd16 += "abcd";
  for (const Tier tier : tiers_here()) {
    SCOPED_TRACE(tier_name(tier));
    EXPECT_EQ(digest_of(bytes_of("abc"), tier),
              from_hex("66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"));
    EXPECT_EQ(digest_of(bytes_of(abcd16), tier),
              from_hex("debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"));
  }
}

TEST(Sm3, TiersAgreeOnEveryLengthAndAlignment) {
  std::mt19937_64 random(1);
  const Bytes text = random_bytes(random, 3000);
  for (std::size_t length = 0; length < 1300; ++length) {
    const auto message = std::span(text).subspan(length % 67, length);
    const Bytes expected = digest_of(message, Tier::Portable);
    for (const Tier tier : tiers_here()) {
      ASSERT_EQ(digest_of(message, tier), expected) << tier_name(tier) << ", " << length;
    }
  }
}

TEST(Sm3, PartsMakeTheSameAsTheWhole) {
  std::mt19937_64 random(2);
  for (int run = 0; run < 500; ++run) {
    const Bytes message = random_bytes(random, random() % 2500);
    for (const Tier tier : tiers_here()) {
      Sm3 hash(tier);
      for (auto left = std::span(std::as_const(message)); !left.empty();) {
        const std::size_t limit = run % 2 == 0 ? 70 : 1500;
        const std::size_t part = std::min<std::size_t>(left.size(), random() % limit);
        hash.update(left.first(part));
        left = left.subspan(part);
      }
      Bytes out(kSm3DigestBytes);
      hash.finish(out.data());
      ASSERT_EQ(out, digest_of(message, Tier::Portable)) << tier_name(tier) << ", run " << run;
    }
  }
}

TEST(Sm3, ACopyGoesItsOwnWay) {
  const Bytes start =
      bytes_of("what both begin with, in more than one block of sixty-four bytes. ");
  Sm3 one;
  one.update(start);
  Sm3 other = one;
  other.update(bytes_of("x"));
  Bytes of_one(kSm3DigestBytes);
  Bytes of_other(kSm3DigestBytes);
  one.finish(of_one.data());
  other.finish(of_other.data());
  EXPECT_EQ(of_one, digest_of(start, Tier::Portable));
  Bytes whole = start;
  whole.push_back(std::byte{'x'});
  EXPECT_EQ(of_other, digest_of(whole, Tier::Portable));
}

TEST(HmacSm3, IsTheDefinitionOfRfc2104) {
  std::mt19937_64 random(3);
  // On both sides of a block, from where on the key is hashed.
  for (const std::size_t key_size : {0, 1, 32, 63, 64, 65, 200, 700}) {
    const Bytes key = random_bytes(random, key_size);
    const Bytes message = random_bytes(random, random() % 400);
    Bytes block = key_size > 64 ? digest_of(key, Tier::Portable) : key;
    block.resize(64);
    Bytes inner;
    Bytes outer;
    for (const std::byte byte : block) {
      inner.push_back(byte ^ std::byte{0x36});
      outer.push_back(byte ^ std::byte{0x5c});
    }
    inner.insert(inner.end(), message.begin(), message.end());
    const Bytes digest = digest_of(inner, Tier::Portable);
    outer.insert(outer.end(), digest.begin(), digest.end());
    for (const Tier tier : tiers_here()) {
      EXPECT_EQ(code_of(key, message, tier), digest_of(outer, Tier::Portable))
          << tier_name(tier) << ", key of " << key_size;
    }
  }
}

TEST(Secret, ComparisonSeesEveryBit) {
  std::mt19937_64 random(4);
  const Bytes a = random_bytes(random, 32);
  EXPECT_TRUE(equal_in_constant_time(a.data(), a.data(), a.size()));
  EXPECT_TRUE(equal_in_constant_time(a.data(), a.data(), 0));
  for (unsigned bit = 0; bit < 8 * a.size(); ++bit) {
    Bytes b = a;
    b[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(equal_in_constant_time(a.data(), b.data(), b.size())) << bit;
  }
}
}  // namespace
}  // namespace sluice::crypto
