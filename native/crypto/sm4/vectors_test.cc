// The vectors of test/vectors/crypto in full, in every tier, and the million rounds of the
// standard.
#include <gtest/gtest.h>

#include "crypto/sm4/sm4.h"
#include "crypto/vector_files_test.h"

namespace sluice::crypto {
namespace {
using namespace test;

using Key = std::span<const std::byte, kSm4KeyBytes>;

#if defined(SLUICE_EMULATED)
constexpr bool kIsEmulated = true;
#else
constexpr bool kIsEmulated = false;
#endif

TEST(Sm4Vectors, StandardsExampleOfAMillion) {
  // GB/T 32907-2016 annex A.2.
  const Bytes bytes = from_hex("0123456789abcdeffedcba9876543210");
  for (const Tier tier : tiers_here()) {
    // The portable tier takes minutes for a million under a sanitizer, that of Armv8 without
    // instructions for SM4 long on an emulated processor.
    const bool is_slow = tier == Tier::Portable || (kIsEmulated && tier == Tier::Armv8Aes);
    const Sm4Key key(Key(bytes), tier);
    Bytes block = bytes;
    for (unsigned i = 0; i < (is_slow ? 1000u : 1'000'000u); ++i) {
      sm4_ecb_encrypt(key, block, block.data(), tier);
    }
    if (is_slow) {
      for (unsigned i = 0; i < 1000; ++i) sm4_ecb_decrypt(key, block, block.data(), tier);
      EXPECT_EQ(block, bytes);
    } else {
      EXPECT_EQ(block, from_hex("595298c7c6fd271f0402f804c33d3f66")) << tier_name(tier);
    }
  }
}

TEST(Sm4Vectors, Botan) {
  const auto vectors = stanzas_of("botan/sm4.vec", "Out");
  EXPECT_EQ(vectors.size(), 22);
  for (const Fields& vector : vectors) {
    const Bytes bytes = from_hex(vector.at("Key")), in = from_hex(vector.at("In"));
    for (const Tier tier : tiers_here()) {
      const Sm4Key key(Key(bytes), tier);
      Bytes out(in.size()), back(in.size());
      sm4_ecb_encrypt(key, in, out.data(), tier);
      EXPECT_EQ(out, from_hex(vector.at("Out"))) << tier_name(tier);
      sm4_ecb_decrypt(key, out, back.data(), tier);
      EXPECT_EQ(back, in) << tier_name(tier);
    }
  }
}

/// What a mode makes of a stanza of OpenSSL's, and of that again.
struct Both {
  Bytes sealed, opened;
};

Both run_mode(const Fields& vector, Tier tier) {
  const std::string& mode = vector.at("Cipher");
  const Bytes bytes = from_hex(vector.at("Key")), in = from_hex(vector.at("Plaintext"));
  const Sm4Key key(Key(bytes), tier);
  Bytes iv = vector.contains("IV") ? from_hex(vector.at("IV")) : Bytes(), iv2 = iv;
  Both both{Bytes(in.size()), Bytes(in.size())};
  if (mode == "SM4-ECB") {
    sm4_ecb_encrypt(key, in, both.sealed.data(), tier);
    sm4_ecb_decrypt(key, both.sealed, both.opened.data(), tier);
  } else if (mode == "SM4-CBC") {
    sm4_cbc_encrypt(key, iv.data(), in, both.sealed.data(), tier);
    sm4_cbc_decrypt(key, iv2.data(), both.sealed, both.opened.data(), tier);
    EXPECT_EQ(iv, iv2);
  } else if (mode == "SM4-CTR") {
    sm4_ctr(key, iv.data(), in, both.sealed.data(), tier);
    sm4_ctr(key, iv2.data(), both.sealed, both.opened.data(), tier);
  } else {
    const Bytes aad = from_hex(vector.at("AAD")), tag = from_hex(vector.at("Tag"));
    Bytes made(tag.size());
    if (mode == "SM4-GCM") {
      const Sm4GcmKey gcm(Key(bytes), tier);
      sm4_gcm_seal(gcm, iv, aad, in, both.sealed.data(), made.data(), tier);
      EXPECT_TRUE(sm4_gcm_open(gcm, iv, aad, both.sealed, both.opened.data(), tag, tier));
    } else {
      EXPECT_TRUE(sm4_ccm_seal(key, iv, aad, in, both.sealed.data(), made, tier));
      EXPECT_TRUE(sm4_ccm_open(key, iv, aad, both.sealed, both.opened.data(), tag, tier));
    }
    EXPECT_EQ(made, tag) << mode << ' ' << tier_name(tier);
  }
  return both;
}

TEST(Sm4Vectors, Openssl) {
  const std::string names = " SM4-ECB SM4-CBC SM4-CTR SM4-GCM SM4-CCM ";
  std::map<std::string, unsigned> tried;
  for (const Fields& vector : stanzas_of("openssl/evpciph_sm4.txt", "Ciphertext")) {
    if (names.find(" " + vector.at("Cipher") + " ") == std::string::npos) continue;
    ++tried[vector.at("Cipher")];
    for (const Tier tier : tiers_here()) {
      const Both both = run_mode(vector, tier);
      EXPECT_EQ(both.sealed, from_hex(vector.at("Ciphertext")))
          << vector.at("Cipher") << ' ' << tier_name(tier);
      EXPECT_EQ(both.opened, from_hex(vector.at("Plaintext")));
    }
  }
  EXPECT_EQ(tried.size(), 5);
  EXPECT_EQ(tried["SM4-CBC"], 3);
}

/// One test of Wycheproof's: opened as it is valid or not, and sealed again if it is.
template <class Seal, class Open>
void try_wycheproof(const std::string& file, unsigned count, const Seal& seal, const Open& open) {
  const std::string text = text_of(file);
  unsigned tried = 0, valid = 0;
  for (std::size_t at = 0; (at = text.find("\"tcId\":", at)) != std::string::npos; ++at, ++tried) {
    const auto bytes = [&](const char* name) { return from_hex(json_field(text, name, at)); };
    const Bytes key = bytes("key"), iv = bytes("iv"), aad = bytes("aad"), msg = bytes("msg"),
                ct = bytes("ct"), tag = bytes("tag");
    const bool is_valid = json_field(text, "result", at) == "valid";
    valid += is_valid ? 1 : 0;
    const std::string name = file + ", test " + json_field(text, "tcId", at);
    for (const Tier tier : tiers_here()) {
      Bytes out(ct.size());
      EXPECT_EQ(open(Key(key), iv, aad, ct, out, tag, tier), is_valid) << name << tier_name(tier);
      EXPECT_EQ(out, is_valid ? msg : Bytes(ct.size())) << name << tier_name(tier);
      if (!is_valid) continue;
      Bytes made(tag.size());
      EXPECT_TRUE(seal(Key(key), iv, aad, msg, out, made, tier)) << name;
      EXPECT_EQ(out, ct) << name << tier_name(tier);
      EXPECT_EQ(made, tag) << name << tier_name(tier);
    }
  }
  EXPECT_EQ(tried, count);
  EXPECT_GT(valid, count / 4);
  EXPECT_LT(valid, count);
}

TEST(Sm4GcmVectors, Wycheproof) {
  try_wycheproof(
      "wycheproof/sm4_gcm_test.json", 104,
      [](Key key, const Bytes& iv, const Bytes& aad, const Bytes& in, Bytes& out, Bytes& tag,
         Tier tier) {
        sm4_gcm_seal(Sm4GcmKey(key, tier), iv, aad, in, out.data(), tag.data(), tier);
        return true;
      },
      [](Key key, const Bytes& iv, const Bytes& aad, const Bytes& in, Bytes& out, const Bytes& tag,
         Tier tier) {
        // An empty one is refused by whoever takes it from a caller.
        return !iv.empty() &&
               sm4_gcm_open(Sm4GcmKey(key, tier), iv, aad, in, out.data(), tag, tier);
      });
}

TEST(Sm4CcmVectors, Wycheproof) {
  try_wycheproof(
      "wycheproof/sm4_ccm_test.json", 184,
      [](Key key, const Bytes& iv, const Bytes& aad, const Bytes& in, Bytes& out, Bytes& tag,
         Tier tier) { return sm4_ccm_seal(Sm4Key(key, tier), iv, aad, in, out.data(), tag, tier); },
      [](Key key, const Bytes& iv, const Bytes& aad, const Bytes& in, Bytes& out, const Bytes& tag,
         Tier tier) {
        return sm4_ccm_open(Sm4Key(key, tier), iv, aad, in, out.data(), tag, tier);
      });
}
}  // namespace
}  // namespace sluice::crypto
