#include "crypto/known_answers.h"

#include <array>
#include <cstring>

#include "crypto/known_esp_answers.h"
#include "crypto/known_sm4_answers.h"
#include "crypto/sm3/batch.h"
#include "crypto/sm3/sm3.h"

namespace sluice::crypto {
namespace {

using Digest = std::array<std::uint8_t, kSm3DigestBytes>;

// Long enough for the kernels that take eight blocks at once, with a rest.
constexpr std::size_t kMessageBytes = 1500;
constexpr std::size_t kKeyBytes = 32;

// Byte i of the message is i % 251, of the key i. Source: OpenSSL 3.0.19, EVP_sm3 and HMAC.
constexpr Digest kMessageDigest{0x3a, 0x84, 0x69, 0xff, 0x30, 0xe8, 0xc3, 0x1c, 0x51, 0x28, 0x3f,
                                0x0f, 0x0d, 0xe1, 0xa3, 0xf5, 0xbe, 0xe7, 0x55, 0x2e, 0x32, 0x48,
                                0x91, 0x58, 0x29, 0xc6, 0x46, 0x99, 0x45, 0x6b, 0x9b, 0xfb};
constexpr Digest kMessageCode{0x50, 0xe3, 0xfb, 0x03, 0x8f, 0x37, 0xa5, 0x3e, 0x22, 0xe6, 0x0f,
                              0x39, 0xb4, 0x93, 0x7a, 0x49, 0x6a, 0x8b, 0x38, 0x88, 0xd7, 0x94,
                              0x6d, 0x52, 0x2c, 0xb2, 0x1f, 0x1b, 0x5d, 0x16, 0x3a, 0x90};
// Of "abc". Source: GB/T 32905-2016 annex A.1.
constexpr Digest kShortDigest{0x66, 0xc7, 0xf0, 0xf4, 0x62, 0xee, 0xed, 0xd9, 0xd1, 0xf2, 0xd4,
                              0x6b, 0xdc, 0x10, 0xe4, 0xe2, 0x41, 0x67, 0xc4, 0x87, 0x5c, 0xf2,
                              0xf7, 0xa2, 0x29, 0x7d, 0xa0, 0x2b, 0x8f, 0x4b, 0xa8, 0xe0};

struct Inputs {
  Inputs() noexcept {
    for (std::size_t i = 0; i < kMessageBytes; ++i) message[i] = static_cast<std::byte>(i % 251);
    for (std::size_t i = 0; i < kKeyBytes; ++i) key[i] = static_cast<std::byte>(i);
  }
  std::array<std::byte, kMessageBytes> message;
  std::array<std::byte, kKeyBytes> key;
  std::array<std::byte, 3> text{std::byte{'a'}, std::byte{'b'}, std::byte{'c'}};
};

bool same(const std::byte* got, const Digest& expected) noexcept {
  return std::memcmp(got, expected.data(), expected.size()) == 0;
}

bool digest_holds(std::span<const std::byte> message, const Digest& expected, Tier tier) noexcept {
  std::byte digest[kSm3DigestBytes];
  Sm3 hash(tier);
  hash.update(message);
  hash.finish(digest);
  return same(digest, expected);
}

bool code_holds(const Inputs& inputs, Tier tier) noexcept {
  std::byte code[kSm3DigestBytes];
  const HmacSm3Key key(inputs.key, tier);
  HmacSm3 hash(key, tier);
  hash.update(inputs.message);
  hash.finish(code);
  return same(code, kMessageCode);
}

/// More messages than lanes, so that lanes are filled again; every third one is an HMAC.
bool lanes_hold(const Inputs& inputs, Tier tier) noexcept {
  constexpr std::size_t kJobs = 2 * sm3::kMaxLanes + 3;
  const HmacSm3Key key(inputs.key, tier);
  std::array<std::array<std::byte, kSm3DigestBytes>, kJobs> outs;
  std::array<Sm3Job, kJobs> jobs;
  for (std::size_t i = 0; i < kJobs; ++i) {
    jobs[i] = {inputs.message, i % 3 == 0 ? &key : nullptr, outs[i].data()};
    if (i % 3 == 1) jobs[i].message = inputs.text;
  }
  sm3_batch(jobs, tier);
  bool hold = true;
  for (std::size_t i = 0; i < kJobs; ++i) {
    const Digest& expected = i % 3 == 0 ? kMessageCode : i % 3 == 1 ? kShortDigest : kMessageDigest;
    hold = same(outs[i].data(), expected) && hold;
  }
  return hold;
}

}  // namespace

std::vector<KnownAnswer> known_answers() {
  const Inputs inputs;
  std::vector<KnownAnswer> answers;
  for (const Tier tier : kTiers) {
    if (!tier_runs_on(tier, cpu_features())) continue;
    answers.push_back({"SM3", "stream", tier,
                       digest_holds(inputs.text, kShortDigest, tier) &&
                           digest_holds(inputs.message, kMessageDigest, tier)});
    answers.push_back({"HMAC-SM3", "stream", tier, code_holds(inputs, tier)});
    answers.push_back({"SM3 and HMAC-SM3", "lanes", tier, lanes_hold(inputs, tier)});
    add_sm4_answers(tier, answers);
    add_esp_answers(tier, answers);
  }
  return answers;
}

}  // namespace sluice::crypto
