// The vectors of test/vectors/crypto in full, in every tier.
#include <gtest/gtest.h>

#include "crypto/secret.h"
#include "crypto/sm3/digests_fixture_test.h"
#include "crypto/vector_files_test.h"

namespace sluice::crypto {
namespace {
using namespace test;

TEST(Sm3Vectors, Botan) {
  const auto vectors = stanzas_of("botan/sm3.vec", "Out");
  EXPECT_EQ(vectors.size(), 139);
  for (const Fields& vector : vectors) {
    for (const Tier tier : tiers_here()) {
      EXPECT_EQ(digest_of(from_hex(vector.at("In")), tier), from_hex(vector.at("Out")))
          << tier_name(tier);
    }
  }
}

TEST(Sm3Vectors, OpensslDigests) {
  unsigned tried = 0;
  // The other digests of the file try that OpenSSL finds names whatever their case.
  for (const Fields& vector : stanzas_of("openssl/evpmd_sm3.txt", "Output")) {
    if (vector.at("Digest") != "SM3") continue;
    ++tried;
    for (const Tier tier : tiers_here()) {
      EXPECT_EQ(digest_of(value_of(vector.at("Input")), tier), value_of(vector.at("Output")))
          << tier_name(tier);
    }
  }
  EXPECT_GE(tried, 4);
}

TEST(HmacSm3Vectors, Openssl) {
  const auto vectors = stanzas_of("openssl/evpmac_sm3.txt", "Output");
  EXPECT_EQ(vectors.size(), 4);
  for (const Fields& vector : vectors) {
    ASSERT_EQ(vector.at("MAC"), "HMAC");
    ASSERT_EQ(vector.at("Algorithm"), "SM3");
    for (const Tier tier : tiers_here()) {
      EXPECT_EQ(code_of(value_of(vector.at("Key")), value_of(vector.at("Input")), tier),
                value_of(vector.at("Output")))
          << tier_name(tier);
    }
  }
}

TEST(HmacSm3Vectors, Wycheproof) {
  const std::string text = text_of("wycheproof/hmac_sm3_test.json");
  std::size_t tag_bytes = 0;
  unsigned tried = 0;
  unsigned valid = 0;
  for (std::size_t at = 0; (at = text.find("\"t", at)) != std::string::npos; ++at) {
    if (text.compare(at, 10, "\"tagSize\":") == 0) {
      tag_bytes = std::stoul(json_field(text, "tagSize", at)) / 8;
    }
    if (text.compare(at, 7, "\"tcId\":") != 0) continue;
    ++tried;
    const Bytes tag = from_hex(json_field(text, "tag", at));
    ASSERT_EQ(tag.size(), tag_bytes);
    const bool expected = json_field(text, "result", at) == "valid";
    valid += expected ? 1 : 0;
    for (const Tier tier : tiers_here()) {
      const Bytes code = code_of(from_hex(json_field(text, "key", at)),
                                 from_hex(json_field(text, "msg", at)), tier);
      EXPECT_EQ(equal_in_constant_time(code.data(), tag.data(), tag.size()), expected)
          << tier_name(tier) << ", test " << json_field(text, "tcId", at);
    }
  }
  EXPECT_EQ(tried, 174);
  EXPECT_EQ(valid, 66);
}
}  // namespace
}  // namespace sluice::crypto
