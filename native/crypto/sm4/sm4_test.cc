// SM4's modes in every tier against the portable one, at any length and offset; what breaks them.
#include "crypto/sm4/sm4.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/tiers_fixture_test.h"

namespace sluice::crypto {
namespace {
using namespace test;
using Key = std::span<const std::byte, kSm4KeyBytes>;

class Sm4Tiers : public ::testing::TestWithParam<Tier> {
 protected:
  std::size_t length() { return std::uniform_int_distribution<std::size_t>(0, 2400)(random_); }
  Bytes bytes(std::size_t size) { return random_bytes(random_, size); }
  /// As many blocks as there are in about that length.
  Bytes blocks() { return bytes(length() / kSm4BlockBytes * kSm4BlockBytes); }

  std::mt19937_64 random_{20'260'401};
};

/// Runs a mode in place at an odd address; the bytes before and behind must stay.
template <class Mode>
Bytes in_place(const Bytes& in, const Mode& mode) {
  const Bytes around(13, std::byte{0xa5});
  Bytes room = around;
  room.insert(room.end(), in.begin(), in.end());
  room.insert(room.end(), around.begin(), around.end());
  mode(std::span<const std::byte>(room).subspan(13, in.size()), room.data() + 13);
  EXPECT_TRUE(std::equal(around.begin(), around.end(), room.begin()));
  EXPECT_TRUE(std::equal(around.begin(), around.end(), room.end() - 13));
  Bytes out(room.begin() + 13, room.end() - 13);
  return out;
}

TEST_P(Sm4Tiers, BlocksAndChainsAreThoseOfThePortableTier) {
  for (unsigned i = 0; i < 60; ++i) {
    const Bytes k = bytes(16), iv = bytes(16), in = blocks();
    const Sm4Key key(Key(k), GetParam()), portable(Key(k), Tier::Portable);
    Bytes expected(in.size()), chain = iv, other = iv;
    sm4_ecb_encrypt(portable, in, expected.data(), Tier::Portable);
    EXPECT_EQ(
        in_place(in, [&](auto from, auto* to) { sm4_ecb_encrypt(key, from, to, GetParam()); }),
        expected);
    EXPECT_EQ(in_place(expected,
                       [&](auto from, auto* to) { sm4_ecb_decrypt(key, from, to, GetParam()); }),
              in);
    // The portable chain is slow, and of one block at a time in every tier.
    const Bytes few(in.begin(),
                    in.begin() + static_cast<long>(std::min<std::size_t>(in.size(), 64)));
    Bytes chained(few.size());
    sm4_cbc_encrypt(portable, other.data(), few, chained.data(), Tier::Portable);
    EXPECT_EQ(
        in_place(few, [&](auto from,
                          auto* to) { sm4_cbc_encrypt(key, chain.data(), from, to, GetParam()); }),
        chained);
    EXPECT_EQ(chain, other);
    chain = other = iv;
    sm4_cbc_decrypt(portable, other.data(), in, expected.data(), Tier::Portable);
    EXPECT_EQ(
        in_place(in, [&](auto from,
                         auto* to) { sm4_cbc_decrypt(key, chain.data(), from, to, GetParam()); }),
        expected);
    EXPECT_EQ(chain, other);
  }
}

TEST_P(Sm4Tiers, CountersCarryThroughAllOfTheirBytes) {
  for (const unsigned before : {0u, 1u, 5u, 63u, 64u, 100u}) {
    const Bytes k = bytes(16), in = bytes(2300 + before);
    const Sm4Key key(Key(k), GetParam());
    Bytes counter(16, std::byte{0xff});
    counter[0] = std::byte{0x7f};
    counter[15] = static_cast<std::byte>(0xff - before);
    Bytes expected(in.size()), by_hand = counter;
    for (std::size_t at = 0; at < in.size(); at += 16) {
      std::byte block[16];
      sm4_ecb_encrypt(key, by_hand, block, GetParam());
      for (std::size_t i = at; i < std::min(at + 16, in.size()); ++i) {
        expected[i] = in[i] ^ block[i - at];
      }
      for (unsigned i = 16; i-- != 0;) {
        by_hand[i] = static_cast<std::byte>(static_cast<unsigned>(by_hand[i]) + 1);
        if (by_hand[i] != std::byte{0}) break;
      }
    }
    EXPECT_EQ(in_place(in, [&](auto from,
                               auto* to) { sm4_ctr(key, counter.data(), from, to, GetParam()); }),
              expected);
    EXPECT_EQ(counter, by_hand);
  }
}

TEST_P(Sm4Tiers, GcmIsThatOfThePortableTierAndOpensAgain) {
  for (unsigned i = 0; i < 120; ++i) {
    const Bytes k = bytes(16), iv = bytes(i % 3 == 0 ? 12 : 1 + i), aad = bytes(length() % 70);
    const Bytes in = bytes(i == 0 ? 0 : i == 1 ? 20'000 : length());
    const Sm4GcmKey key(Key(k), GetParam()), portable(Key(k), Tier::Portable);
    Bytes expected(in.size()), tag(16), made(16);
    sm4_gcm_seal(portable, iv, aad, in, expected.data(), tag.data(), Tier::Portable);
    const Bytes sealed = in_place(in, [&](auto from, auto* to) {
      sm4_gcm_seal(key, iv, aad, from, to, made.data(), GetParam());
    });
    ASSERT_EQ(sealed, expected) << in.size();
    ASSERT_EQ(made, tag) << in.size();
    const std::size_t tag_bytes = 4 + i % 13;
    tag.resize(tag_bytes);
    EXPECT_EQ(in_place(sealed,
                       [&](auto from, auto* to) {
                         EXPECT_TRUE(sm4_gcm_open(key, iv, aad, from, to, tag, GetParam()));
                       }),
              in);
  }
}

TEST_P(Sm4Tiers, NothingIsToldOfAMessageThatWasTouched) {
  const Bytes k = bytes(16), iv = bytes(12), aad = bytes(20), in = bytes(1400);
  const Sm4GcmKey key(Key(k), GetParam());
  Bytes sealed(in.size()), tag(16), nonce = iv;
  sm4_gcm_seal(key, iv, aad, in, sealed.data(), tag.data(), GetParam());
  Bytes touched_aad = aad;
  for (Bytes* what : {&sealed, &tag, &touched_aad, &nonce}) {
    for (unsigned i = 0; i < 40; ++i) {
      std::byte& at = (*what)[random_() % what->size()];
      const std::byte kept = at;
      at ^= static_cast<std::byte>(1u << i % 8);
      Bytes out(in.size(), std::byte{1});
      EXPECT_FALSE(sm4_gcm_open(key, nonce, touched_aad, sealed, out.data(), tag, GetParam()));
      EXPECT_EQ(out, Bytes(in.size()));
      at = kept;
    }
  }
  Bytes out(in.size());
  EXPECT_FALSE(sm4_gcm_open(key, iv, aad, sealed, out.data(), std::span(tag).first(3), GetParam()));
  EXPECT_FALSE(sm4_gcm_open(key, iv, aad, sealed, out.data(), bytes(17), GetParam()));
  EXPECT_TRUE(sm4_gcm_open(key, iv, aad, sealed, out.data(), tag, GetParam()));
  EXPECT_EQ(out, in);
}

TEST(Sm4Ccm, LengthsThatItHasNotAreRefused) {
  const Bytes k(16), in(70'000), iv(13);
  const Sm4Key key{Key(k)};
  Bytes out(in.size()), tag(16);
  const auto seals = [&](std::size_t nonce, std::size_t bytes, std::size_t tag_bytes) {
    return sm4_ccm_seal(key, std::span(iv).first(nonce), {}, std::span(in).first(bytes), out.data(),
                        std::span(tag).first(tag_bytes));
  };
  EXPECT_TRUE(seals(13, 65'535, 16));
  EXPECT_FALSE(seals(13, 65'536, 16));
  EXPECT_TRUE(seals(12, 65'536, 4));
  EXPECT_FALSE(seals(6, 10, 16));
  EXPECT_FALSE(seals(12, 10, 5));
  EXPECT_FALSE(seals(12, 10, 2));
}

INSTANTIATE_TEST_SUITE_P(, Sm4Tiers, ::testing::ValuesIn(tiers_here()), [](const auto& info) {
  std::string name = tier_name(info.param);
  std::erase(name, '-');
  return name;
});
}  // namespace
}  // namespace sluice::crypto
