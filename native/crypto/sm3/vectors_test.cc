// The vectors of test/vectors/crypto in full, in every tier.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "crypto/secret.h"
#include "crypto/sm3/tiers_fixture_test.h"

namespace sluice::crypto {
namespace {
using namespace test;

std::string text_of(const std::string& file) {
  std::ifstream in(std::string(SLUICE_CRYPTO_VECTORS "/") + file);
  EXPECT_TRUE(in.good()) << file;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

using Fields = std::map<std::string, std::string>;

/// Stanzas of "name = value" lines; the field `last` ends each.
std::vector<Fields> stanzas_of(const std::string& file, const std::string& last) {
  std::vector<Fields> stanzas(1);
  std::istringstream text(text_of(file));
  for (std::string line; std::getline(text, line);) {
    const auto equals = line.find(" =");
    if (line.empty() || line[0] == '#' || equals == std::string::npos) continue;
    const auto value = line.find_first_not_of(' ', equals + 2);
    const std::string name = line.substr(0, equals);
    stanzas.back()[name] = value == std::string::npos ? "" : line.substr(value);
    if (name == last) stanzas.emplace_back();
  }
  stanzas.pop_back();
  return stanzas;
}

/// A value of OpenSSL's: text in quotes, or hexadecimal.
Bytes value_of(const std::string& text) {
  if (text.size() >= 2 && text.front() == '"') return bytes_of(text.substr(1, text.size() - 2));
  return from_hex(text);
}

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

/// The string or number of a field behind `at` in a file that is written one field a line.
std::string json_field(const std::string& text, const std::string& name, std::size_t at) {
  const auto start = text.find("\"" + name + "\": ", at);
  EXPECT_NE(start, std::string::npos) << name;
  const auto value = start + name.size() + 4;
  std::string field = text.substr(value, text.find_first_of(",\n", value) - value);
  std::erase(field, '"');
  return field;
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
