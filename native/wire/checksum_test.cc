#include "wire/checksum.h"

#include <gtest/gtest.h>

#include <random>

#include "wire/wire_test_bytes.h"

namespace sluice::wire {
namespace {
using test::Bytes;
using test::exact;
using test::from_hex;
using test::operator+;

// Word by word, as RFC 1071 describes it.
std::uint16_t reference(const Bytes& bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    sum += static_cast<std::uint64_t>(load8(&bytes[i])) << (i % 2 == 0 ? 8 : 0);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

Bytes random_bytes(std::mt19937& random, std::size_t n) {
  Bytes bytes(n);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random() % 8 == 0 ? 0xff : random());
  return bytes;
}

TEST(Checksum, KnownVectors) {
  const Bytes rfc1071 = from_hex("0001f203f4f5f6f7");
  EXPECT_EQ(checksum(rfc1071.data(), rfc1071.size()), static_cast<std::uint16_t>(~0xddf2));
  const Bytes header = from_hex("45000073000040004011b861c0a80001c0a800c7");
  EXPECT_EQ(checksum(header.data(), header.size()), 0);
  EXPECT_EQ(checksum(nullptr, 0), 0xffff);
}

TEST(Checksum, OfAPlainHeaderIsGoodWhenTheDefinitionSaysSo) {
  std::mt19937 random{7};
  for (unsigned i = 0; i < 20'000; ++i) {
    Bytes header = random_bytes(random, 20);
    header[0] = std::byte{0x45};
    store16(&header[10], 0);
    store16(&header[10], checksum(header.data(), header.size()));
    EXPECT_TRUE(ipv4_plain_checksum_good(header.data()));
    header[1 + random() % 19] ^= static_cast<std::byte>(1u << random() % 8);
    EXPECT_EQ(ipv4_plain_checksum_good(header.data()), reference(header) == 0);
  }
}

TEST(Checksum, AgreesWithTheDefinitionAtEveryLengthAndAlignment) {
  std::mt19937 random(1);
  for (std::size_t n = 0; n < 300; ++n) {
    for (std::size_t shift = 0; shift < 8; ++shift) {
      const Bytes bytes = random_bytes(random, n + shift);
      const auto copy = exact(bytes, n + shift);
      const Bytes tail(bytes.begin() + static_cast<std::ptrdiff_t>(shift), bytes.end());
      ASSERT_EQ(checksum(copy.get() + shift, n), reference(tail)) << n << " at " << shift;
    }
  }
  const Bytes ones(65536, std::byte{0xff});
  EXPECT_EQ(checksum(ones.data(), ones.size()), 0);
}

TEST(Checksum, PartsAddUp) {
  std::mt19937 random(2);
  for (int i = 0; i < 2000; ++i) {
    const Bytes bytes = random_bytes(random, 2 + random() % 2000);
    const std::size_t cut = random() % bytes.size() & ~std::size_t{1};
    const std::uint32_t first = checksum_partial(bytes.data(), cut);
    ASSERT_EQ(fold(checksum_partial(bytes.data() + cut, bytes.size() - cut, first)),
              reference(bytes));
  }
}

TEST(Checksum, PseudoHeaders) {
  const Bytes v4 = from_hex("0a000001c0a8ffff00110123");
  EXPECT_EQ(fold(pseudo_header_v4(0x0a000001, 0xc0a8ffff, 17, 0x123)), reference(v4));
  const Bytes source = from_hex("fd000060000000000000000000000001");
  const Bytes destination = from_hex("20010db8ffffffffffffffffffff0002");
  const Bytes v6 = source + destination + from_hex("0001234500000011");
  EXPECT_EQ(fold(pseudo_header_v6(source.data(), destination.data(), 17, 0x12345)), reference(v6));
}

TEST(Checksum, UpdatesEqualRecomputation) {
  std::mt19937 random(3);
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes = random_bytes(random, 40);
    bytes[0] = std::byte{0x45};  // a sum of all zeros does not occur in a header
    store16(bytes.data() + 10, 0);
    store16(bytes.data() + 10, checksum(bytes.data(), bytes.size()));
    const std::uint16_t before = load16(bytes.data() + 10);
    const std::size_t at = 12 + 2 * (random() % 12);
    const bool is_wide = (random() & 1) != 0;
    const auto value = static_cast<std::uint32_t>(random() % 3 == 0 ? 0xffffffff : random());
    const std::uint32_t old32 = load32(bytes.data() + at);
    const std::uint16_t old16 = load16(bytes.data() + at);
    const auto value16 = static_cast<std::uint16_t>(value);
    if (is_wide) {
      store32(bytes.data() + at, value);
    } else {
      store16(bytes.data() + at, value16);
    }
    store16(bytes.data() + 10, is_wide ? checksum_update32(before, old32, value)
                                       : checksum_update16(before, old16, value16));
    ASSERT_EQ(checksum(bytes.data(), bytes.size()), 0);
  }
  // The case that RFC 1624 is about: equation 2 of RFC 1141 would give 0xffff here.
  EXPECT_EQ(checksum_update16(0xdd2f, 0x5555, 0x3285), 0x0000);
}

}  // namespace
}  // namespace sluice::wire
