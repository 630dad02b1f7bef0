#include "crypto/known_sm4_answers.h"

#include <array>
#include <cstring>

#include "crypto/sm3/sm3.h"
#include "crypto/sm4/batch.h"
#include "crypto/sm4/sm4.h"

namespace sluice::crypto {
namespace {

// Steps of every kernel: several sets of rows, some rows, and a part of a block where the mode has
// one.
constexpr std::size_t kBlocksBytes = 1504;
constexpr std::size_t kPartBytes = 1500;
constexpr std::size_t kAadBytes = 20;

using Digest = std::array<std::uint8_t, kSm3DigestBytes>;
using Tag = std::array<std::uint8_t, kSm4TagBytes>;

// SM3 of the ciphertext of a message whose byte i is i % 251, and the tags; the IV's byte i is i,
// the additional data are the message's first bytes. Source: OpenSSL 3.0.19's ECB, CBC and CTR; GCM
// and CCM put together from them, GCM as sm-crypto-v2 1.15.1 has it too.
constexpr Digest kEcb{0x52, 0x76, 0xa5, 0x0d, 0xca, 0x39, 0x54, 0x3d, 0xa8, 0xf5, 0x38,
                      0x3b, 0xa7, 0xca, 0x50, 0xaf, 0xe2, 0x63, 0x91, 0xa0, 0x21, 0xae,
                      0xdc, 0x7a, 0xcb, 0x07, 0x81, 0xd6, 0x23, 0x94, 0xac, 0xb2};
constexpr Digest kCbc{0x2d, 0x12, 0x3b, 0xd5, 0x48, 0x4a, 0x19, 0xcf, 0x30, 0xf8, 0x78,
                      0x53, 0xf4, 0xd8, 0x36, 0xbf, 0xe6, 0x36, 0x5c, 0x2f, 0xa7, 0x22,
                      0x14, 0xf0, 0x02, 0x64, 0x74, 0x8d, 0x75, 0x05, 0x54, 0x26};
constexpr Digest kCtr{0x6d, 0x4d, 0xd5, 0x99, 0xf4, 0x86, 0xba, 0x2b, 0x09, 0xe7, 0xd9,
                      0x25, 0x0c, 0x9e, 0xeb, 0x9a, 0x35, 0x1e, 0xec, 0x92, 0xfb, 0x76,
                      0xe9, 0xc1, 0xe4, 0xf5, 0xf7, 0xf7, 0xde, 0x3f, 0x97, 0x98};
constexpr Digest kGcm{0x6a, 0xac, 0xdd, 0xec, 0x54, 0x90, 0xf8, 0xd6, 0xdf, 0xa1, 0x47,
                      0xb2, 0xbe, 0xa6, 0x06, 0x60, 0xbb, 0xd7, 0x7b, 0x9d, 0x36, 0xe2,
                      0x82, 0xb2, 0xfa, 0xa7, 0xd1, 0x83, 0xe2, 0x79, 0x2f, 0x2e};
constexpr Tag kGcmTag{0xa3, 0xd2, 0x85, 0xba, 0xd1, 0xb7, 0x70, 0xc2,
                      0x38, 0x0a, 0x33, 0x60, 0xf9, 0xcb, 0x66, 0xdb};
constexpr Digest kCcm{0xa1, 0xf9, 0x54, 0x0b, 0xc3, 0xc2, 0x17, 0x9d, 0xdd, 0x6e, 0xdc,
                      0xa1, 0x3c, 0x8e, 0xce, 0xf2, 0xf0, 0x09, 0x2f, 0xbd, 0x27, 0x93,
                      0xb5, 0x1d, 0x87, 0xdb, 0xa5, 0x09, 0xcc, 0x1e, 0x99, 0x22};
constexpr Tag kCcmTag{0xb3, 0x03, 0xda, 0x01, 0x26, 0x0a, 0x4e, 0x2c,
                      0x7c, 0xe0, 0x24, 0x09, 0x7c, 0x1a, 0x79, 0x43};
// The key, and what it makes of itself as a block. Source: GB/T 32907-2016 annex A.1.
constexpr std::array<std::uint8_t, kSm4KeyBytes> kKey{
    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};
constexpr std::array<std::uint8_t, kSm4BlockBytes> kBlock{
    0x68, 0x1e, 0xdf, 0x34, 0xd2, 0x06, 0x96, 0x5e, 0x86, 0xb3, 0xe9, 0x4f, 0x53, 0x6e, 0x42, 0x46};

struct Sm4Inputs {
  Sm4Inputs() noexcept {
    for (std::size_t i = 0; i < message.size(); ++i) message[i] = static_cast<std::byte>(i % 251);
    for (std::size_t i = 0; i < iv.size(); ++i) iv[i] = static_cast<std::byte>(i);
    std::memcpy(key.data(), kKey.data(), key.size());
  }
  std::span<const std::byte> blocks() const noexcept { return message; }
  std::span<const std::byte> part() const noexcept { return blocks().first(kPartBytes); }
  std::span<const std::byte> aad() const noexcept { return blocks().first(kAadBytes); }
  std::span<const std::byte> nonce() const noexcept { return std::span(iv).first(kSm4GcmIvBytes); }

  std::array<std::byte, kBlocksBytes> message;
  std::array<std::byte, kSm4BlockBytes> iv;
  std::array<std::byte, kSm4KeyBytes> key;
};

using Buffer = std::array<std::byte, kBlocksBytes>;

bool same_digest(std::span<const std::byte> got, const Digest& expected, Tier tier) noexcept {
  std::byte digest[kSm3DigestBytes];
  Sm3 hash(tier);
  hash.update(got);
  hash.finish(digest);
  return std::memcmp(digest, expected.data(), expected.size()) == 0;
}

bool same(std::span<const std::byte> got, std::span<const std::byte> expected) noexcept {
  return std::memcmp(got.data(), expected.data(), expected.size()) == 0;
}

template <std::size_t Size>
std::span<const std::byte> bytes(const std::array<std::uint8_t, Size>& values) noexcept {
  return std::as_bytes(std::span(values));
}

bool ecb_holds(const Sm4Inputs& in, Tier tier) noexcept {
  const Sm4Key key(in.key, tier);
  Buffer out, back;
  std::array<std::byte, kSm4BlockBytes> block;
  sm4_ecb_encrypt(key, in.key, block.data(), tier);
  sm4_ecb_encrypt(key, in.blocks(), out.data(), tier);
  sm4_ecb_decrypt(key, out, back.data(), tier);
  return same(block, bytes(kBlock)) && same_digest(out, kEcb, tier) && same(back, in.blocks());
}

bool cbc_holds(const Sm4Inputs& in, Tier tier) noexcept {
  const Sm4Key key(in.key, tier);
  Buffer out, back;
  auto chain = in.iv;
  sm4_cbc_encrypt(key, chain.data(), in.blocks(), out.data(), tier);
  chain = in.iv;
  sm4_cbc_decrypt(key, chain.data(), out, back.data(), tier);
  return same_digest(out, kCbc, tier) && same(back, in.blocks());
}

bool ctr_holds(const Sm4Inputs& in, Tier tier) noexcept {
  const Sm4Key key(in.key, tier);
  Buffer out;
  auto counter = in.iv;
  sm4_ctr(key, counter.data(), in.part(), out.data(), tier);
  return same_digest(std::span(out).first(kPartBytes), kCtr, tier);
}

bool gcm_holds(const Sm4Inputs& in, Tier tier) noexcept {
  const Sm4GcmKey key(in.key, tier);
  Buffer out, back;
  std::array<std::byte, kSm4TagBytes> tag;
  sm4_gcm_seal(key, in.nonce(), in.aad(), in.part(), out.data(), tag.data(), tier);
  const auto sealed = std::span<const std::byte>(out).first(kPartBytes);
  const bool is_right = same_digest(sealed, kGcm, tier) && same(tag, bytes(kGcmTag));
  const bool opens = sm4_gcm_open(key, in.nonce(), in.aad(), sealed, back.data(), tag, tier);
  const bool is_back = same(back, in.part());
  tag[0] ^= std::byte{1};
  return is_right && opens && is_back &&
         !sm4_gcm_open(key, in.nonce(), in.aad(), sealed, back.data(), tag, tier);
}

bool ccm_holds(const Sm4Inputs& in, Tier tier) noexcept {
  const Sm4Key key(in.key, tier);
  Buffer out, back;
  std::array<std::byte, kSm4TagBytes> tag;
  bool holds = sm4_ccm_seal(key, in.nonce(), in.aad(), in.part(), out.data(), tag, tier);
  const auto sealed = std::span<const std::byte>(out).first(kPartBytes);
  holds = holds && same_digest(sealed, kCcm, tier) && same(tag, bytes(kCcmTag));
  holds = holds && sm4_ccm_open(key, in.nonce(), in.aad(), sealed, back.data(), tag, tier) &&
          same(back, in.part());
  tag[0] ^= std::byte{1};
  return holds && !sm4_ccm_open(key, in.nonce(), in.aad(), sealed, back.data(), tag, tier);
}

// More messages than lanes, so that lanes are filled again.
constexpr std::size_t kJobs = 19;

bool gcm_batch_holds(const Sm4Inputs& in, Tier tier) noexcept {
  const Sm4GcmKey key(in.key, tier);
  std::array<Buffer, kJobs> data;
  std::array<std::array<std::byte, kSm4TagBytes>, kJobs> tags;
  std::array<Sm4GcmJob, kJobs> jobs;
  for (std::size_t i = 0; i < kJobs; ++i) {
    data[i] = in.message;
    jobs[i] = {&key, in.iv.data(), in.aad(), std::span(data[i]).first(kPartBytes), tags[i].data()};
  }
  if (sm4_gcm_batch(jobs, tier) != kJobs) return false;
  bool hold = true;
  for (std::size_t i = 0; i < kJobs; ++i) {
    hold = same_digest(jobs[i].data, kGcm, tier) && same(tags[i], bytes(kGcmTag)) && hold;
    jobs[i].opens = true;
  }
  tags[kJobs - 1][0] ^= std::byte{1};
  if (sm4_gcm_batch(jobs, tier) != kJobs - 1) return false;
  for (std::size_t i = 0; i + 1 < kJobs; ++i) hold = same(data[i], in.part()) && hold;
  return hold && !jobs[kJobs - 1].holds;
}

bool cbc_batch_holds(const Sm4Inputs& in, Tier tier) noexcept {
  const Sm4Key key(in.key, tier);
  std::array<Buffer, kJobs> data;
  std::array<std::array<std::byte, kSm4BlockBytes>, kJobs> chains;
  std::array<Sm4CbcJob, kJobs> jobs;
  for (std::size_t i = 0; i < kJobs; ++i) {
    data[i] = in.message;
    chains[i] = in.iv;
    jobs[i] = {&key, chains[i].data(), data[i]};
  }
  sm4_cbc_encrypt_batch(jobs, tier);
  bool hold = true;
  for (const Buffer& one : data) hold = same_digest(one, kCbc, tier) && hold;
  return hold;
}

}  // namespace

void add_sm4_answers(Tier tier, std::vector<KnownAnswer>& answers) {
  const Sm4Inputs in;
  answers.push_back({"SM4", "ECB", tier, ecb_holds(in, tier)});
  answers.push_back({"SM4", "CBC", tier, cbc_holds(in, tier)});
  answers.push_back({"SM4", "CTR", tier, ctr_holds(in, tier)});
  answers.push_back({"SM4", "GCM", tier, gcm_holds(in, tier)});
  answers.push_back({"SM4", "CCM", tier, ccm_holds(in, tier)});
  answers.push_back({"SM4", "GCM lanes", tier, gcm_batch_holds(in, tier)});
  answers.push_back({"SM4", "CBC lanes", tier, cbc_batch_holds(in, tier)});
}

}  // namespace sluice::crypto
