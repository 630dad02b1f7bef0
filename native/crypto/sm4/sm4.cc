#include "crypto/sm4/sm4.h"

#include <algorithm>
#include <cstring>

#include "crypto/secret.h"

namespace sluice::crypto {
namespace {
std::size_t blocks_of(std::span<const std::byte> bytes) noexcept {
  return bytes.size() / kSm4BlockBytes;
}

/// Adds blocks to a number of 96 bits, most significant byte first.
void carry(std::byte* upper) noexcept {
  for (unsigned i = 12; i-- != 0;) {
    upper[i] = static_cast<std::byte>(static_cast<unsigned>(upper[i]) + 1);
    if (upper[i] != std::byte{0}) return;
  }
}

std::uint32_t load32(const std::byte* at) noexcept {
  std::uint32_t number;
  std::memcpy(&number, at, sizeof number);
  return __builtin_bswap32(number);
}

void store64(std::byte* at, std::uint64_t number) noexcept {
  number = __builtin_bswap64(number);
  std::memcpy(at, &number, sizeof number);
}

/// The block of lengths that ends what GCM hashes.
void gcm_lengths(std::size_t aad_bytes, std::size_t bytes, std::byte* block) noexcept {
  store64(block, static_cast<std::uint64_t>(aad_bytes) * 8);
  store64(block + 8, static_cast<std::uint64_t>(bytes) * 8);
}

/// Bytes of a message that share the first call of CTR with the block of the tag.
constexpr std::size_t kFirstBytes = 63 * kSm4BlockBytes;

/// One message under way.
class Gcm {
 public:
  Gcm(const Sm4GcmKey& key, std::span<const std::byte> iv, std::span<const std::byte> aad,
      const sm4::Kernels& kernels) noexcept
      : key_(key), aad_(aad), kernels_(kernels) {
    sm4::gcm_first_counter(key.powers(), iv, counter_, kernels);
  }
  ~Gcm() {
    wipe(mask_, sizeof mask_);
    wipe(hash_, sizeof hash_);
  }

  /// Adds the key stream and writes the tag that the message should have.
  void run(std::span<const std::byte> in, std::byte* out, bool seals, std::byte* tag) noexcept {
    if (in.size() <= kFirstBytes) {
      if (!seals) sm4::gcm_hash(key_.powers(), aad_, in, hash_, kernels_);
      begin(in, out);
      if (seals) sm4::gcm_hash(key_.powers(), aad_, {out, in.size()}, hash_, kernels_);
    } else {
      if (!aad_.empty()) hash(aad_);
      if (!seals) hash(in.first(kFirstBytes));
      begin(in.first(kFirstBytes), out);
      if (seals) hash({out, kFirstBytes});
      kernels_.ctr_hash(key_.schedule(), counter_, key_.powers(), hash_, in.data() + kFirstBytes,
                        out + kFirstBytes, in.size() - kFirstBytes, seals);
      std::byte lengths[kSm4BlockBytes];
      gcm_lengths(aad_.size(), in.size(), lengths);
      hash(lengths);
    }
    for (std::size_t i = 0; i < kSm4TagBytes; ++i) tag[i] = hash_[i] ^ mask_[i];
  }

 private:
  /// The tag's block and the first ones of the message take one call, which costs as much for one
  /// block as for many.
  void begin(std::span<const std::byte> in, std::byte* out) noexcept {
    std::byte part[kSm4BlockBytes + kFirstBytes];
    std::memset(part, 0, kSm4BlockBytes);
    if (!in.empty()) std::memcpy(part + kSm4BlockBytes, in.data(), in.size());
    kernels_.ctr(key_.schedule(), counter_, part, part, kSm4BlockBytes + in.size());
    std::memcpy(mask_, part, sizeof mask_);
    if (!in.empty()) std::memcpy(out, part + kSm4BlockBytes, in.size());
    wipe(part, kSm4BlockBytes + in.size());
  }
  void hash(std::span<const std::byte> bytes) noexcept {
    kernels_.hash(key_.powers(), hash_, bytes.data(), bytes.size());
  }

  const Sm4GcmKey& key_;
  std::span<const std::byte> aad_;
  const sm4::Kernels& kernels_;
  std::byte counter_[kSm4BlockBytes];
  std::byte hash_[kSm4BlockBytes] = {};
  std::byte mask_[kSm4BlockBytes];
};

/// CCM's chain of blocks, of which each part is filled up with zeros.
class CcmChain {
 public:
  CcmChain(const Sm4Key& key, const sm4::Kernels& kernels) noexcept
      : key_(key), kernels_(kernels) {}
  ~CcmChain() { wipe(this, sizeof *this); }

  void take(std::span<const std::byte> bytes) noexcept {
    const std::size_t whole = blocks_of(bytes);
    kernels_.encrypt_chain(key_.encrypts(), chain_, bytes.data(), nullptr, whole);
    const auto rest = bytes.subspan(whole * kSm4BlockBytes);
    if (rest.empty()) return;
    std::byte block[kSm4BlockBytes] = {};
    std::memcpy(block, rest.data(), rest.size());
    kernels_.encrypt_chain(key_.encrypts(), chain_, block, nullptr, 1);
    wipe(block, sizeof block);
  }
  /// The length of the additional data goes before it. Source: SP 800-38C clause A.2.2.
  void take_aad(std::span<const std::byte> aad) noexcept {
    if (aad.empty()) return;
    std::byte first[kSm4BlockBytes] = {};
    std::size_t used = 2;
    const std::uint64_t bytes = aad.size();
    if (bytes < 0xff00) {
      first[0] = static_cast<std::byte>(bytes >> 8);
      first[1] = static_cast<std::byte>(bytes);
    } else {
      const bool is_wide = bytes >> 32 != 0;
      first[0] = std::byte{0xff};
      first[1] = is_wide ? std::byte{0xff} : std::byte{0xfe};
      std::byte number[8];
      store64(number, bytes);
      used = is_wide ? 10 : 6;
      std::memcpy(first + 2, number + (is_wide ? 0 : 4), used - 2);
    }
    const std::size_t with_it = std::min(aad.size(), kSm4BlockBytes - used);
    std::memcpy(first + used, aad.data(), with_it);
    take(first);
    take(aad.subspan(with_it));
  }
  const std::byte* block() const noexcept { return chain_; }

 private:
  const Sm4Key& key_;
  const sm4::Kernels& kernels_;
  std::byte chain_[kSm4BlockBytes] = {};
};

bool ccm_lengths_hold(std::size_t nonce, std::size_t bytes, std::size_t tag) noexcept {
  if (nonce < 7 || nonce > 13 || tag < 4 || tag > 16 || tag % 2 != 0) return false;
  const std::size_t of_length = 15 - nonce;
  return of_length >= 8 || static_cast<std::uint64_t>(bytes) >> 8 * of_length == 0;
}

/// The tag, before its key stream, of a plain message.
void ccm_tag(const Sm4Key& key, std::span<const std::byte> nonce, std::span<const std::byte> aad,
             std::span<const std::byte> message, std::size_t tag_bytes,
             std::byte (&tag)[kSm4TagBytes], const sm4::Kernels& kernels) noexcept {
  std::byte first[kSm4BlockBytes];
  store64(first + 8, message.size());
  first[0] = static_cast<std::byte>((aad.empty() ? 0 : 0x40) | (tag_bytes - 2) / 2 << 3 |
                                    (14 - nonce.size()));
  std::memcpy(first + 1, nonce.data(), nonce.size());
  CcmChain chain(key, kernels);
  chain.take(first);
  chain.take_aad(aad);
  chain.take(message);
  std::memcpy(tag, chain.block(), sizeof tag);
}

/// The counter of a nonce at 0.
void ccm_counter(std::span<const std::byte> nonce, std::byte (&counter)[kSm4BlockBytes]) noexcept {
  std::memset(counter, 0, sizeof counter);
  counter[0] = static_cast<std::byte>(14 - nonce.size());
  std::memcpy(counter + 1, nonce.data(), nonce.size());
}
}  // namespace

void sm4_ecb_encrypt(const Sm4Key& key, std::span<const std::byte> in, std::byte* out,
                     Tier tier) noexcept {
  sm4::kernels(tier).encrypt(key.encrypts(), in.data(), out, blocks_of(in));
}

void sm4_ecb_decrypt(const Sm4Key& key, std::span<const std::byte> in, std::byte* out,
                     Tier tier) noexcept {
  sm4::kernels(tier).encrypt(key.decrypts(), in.data(), out, blocks_of(in));
}

void sm4_cbc_encrypt(const Sm4Key& key, std::byte* chain, std::span<const std::byte> in,
                     std::byte* out, Tier tier) noexcept {
  sm4::kernels(tier).encrypt_chain(key.encrypts(), chain, in.data(), out, blocks_of(in));
}

void sm4_cbc_decrypt(const Sm4Key& key, std::byte* chain, std::span<const std::byte> in,
                     std::byte* out, Tier tier) noexcept {
  sm4::kernels(tier).decrypt_chain(key.decrypts(), chain, in.data(), out, blocks_of(in));
}

void sm4_ctr(const Sm4Key& key, std::byte* counter, std::span<const std::byte> in, std::byte* out,
             Tier tier) noexcept {
  // The kernels count in 32 bits: a message is cut where those run over.
  while (!in.empty()) {
    const std::uint64_t blocks = 0x1'0000'0000u - load32(counter + 12);
    const std::size_t bytes = std::min<std::uint64_t>(in.size(), blocks * kSm4BlockBytes);
    sm4::kernels(tier).ctr(key.encrypts(), counter, in.data(), out, bytes);
    if (load32(counter + 12) == 0) carry(counter);
    in = in.subspan(bytes);
    out += bytes;
  }
}

Sm4GcmKey::Sm4GcmKey(std::span<const std::byte, kSm4KeyBytes> key, Tier tier) noexcept {
  const sm4::Kernels& kernels = sm4::kernels(tier);
  schedule_ = Sm4Key(key, tier).encrypts();
  std::byte h[kSm4BlockBytes] = {};
  kernels.encrypt(schedule_, h, h, 1);
  kernels.hash_powers(h, powers_);
  wipe(h, sizeof h);
}

Sm4GcmKey::~Sm4GcmKey() { wipe(this, sizeof *this); }

void sm4_gcm_seal(const Sm4GcmKey& key, std::span<const std::byte> iv,
                  std::span<const std::byte> aad, std::span<const std::byte> in, std::byte* out,
                  std::byte* tag, Tier tier) noexcept {
  Gcm gcm(key, iv, aad, sm4::kernels(tier));
  gcm.run(in, out, true, tag);
}

bool sm4_gcm_open(const Sm4GcmKey& key, std::span<const std::byte> iv,
                  std::span<const std::byte> aad, std::span<const std::byte> in, std::byte* out,
                  std::span<const std::byte> tag, Tier tier) noexcept {
  std::byte expected[kSm4TagBytes];
  Gcm gcm(key, iv, aad, sm4::kernels(tier));
  gcm.run(in, out, false, expected);
  const bool holds = tag.size() >= 4 && tag.size() <= sizeof expected &&
                     equal_in_constant_time(expected, tag.data(), tag.size());
  // The tag that a forged message should have had would make it a genuine one.
  wipe(expected, sizeof expected);
  if (!holds && !in.empty()) wipe(out, in.size());
  return holds;
}

bool sm4_ccm_seal(const Sm4Key& key, std::span<const std::byte> nonce,
                  std::span<const std::byte> aad, std::span<const std::byte> in, std::byte* out,
                  std::span<std::byte> tag, Tier tier) noexcept {
  if (!ccm_lengths_hold(nonce.size(), in.size(), tag.size())) return false;
  const sm4::Kernels& kernels = sm4::kernels(tier);
  std::byte made[kSm4TagBytes], counter[kSm4BlockBytes];
  ccm_tag(key, nonce, aad, in, tag.size(), made, kernels);
  ccm_counter(nonce, counter);
  sm4_ctr(key, counter, made, made, tier);
  sm4_ctr(key, counter, in, out, tier);
  std::memcpy(tag.data(), made, tag.size());
  return true;
}

bool sm4_ccm_open(const Sm4Key& key, std::span<const std::byte> nonce,
                  std::span<const std::byte> aad, std::span<const std::byte> in, std::byte* out,
                  std::span<const std::byte> tag, Tier tier) noexcept {
  if (!ccm_lengths_hold(nonce.size(), in.size(), tag.size())) return false;
  const sm4::Kernels& kernels = sm4::kernels(tier);
  std::byte expected[kSm4TagBytes], mask[kSm4TagBytes] = {}, counter[kSm4BlockBytes];
  ccm_counter(nonce, counter);
  sm4_ctr(key, counter, mask, mask, tier);
  sm4_ctr(key, counter, in, out, tier);
  ccm_tag(key, nonce, aad, {out, in.size()}, tag.size(), expected, kernels);
  for (std::size_t i = 0; i < kSm4TagBytes; ++i) expected[i] ^= mask[i];
  wipe(mask, sizeof mask);
  const bool holds = equal_in_constant_time(expected, tag.data(), tag.size());
  wipe(expected, sizeof expected);
  if (!holds && !in.empty()) wipe(out, in.size());
  return holds;
}

namespace sm4 {
void gcm_hash(const HashPowers& powers, std::span<const std::byte> aad,
              std::span<const std::byte> data, std::byte* hash, const Kernels& kernels) noexcept {
  const auto padded = [](std::size_t bytes) {
    return (bytes + kSm4BlockBytes - 1) / kSm4BlockBytes * kSm4BlockBytes;
  };
  std::memset(hash, 0, kSm4BlockBytes);
  // What shares one reduction is one call: all of a small message.
  std::byte all[kPowers * kSm4BlockBytes];
  const std::size_t behind_aad = padded(aad.size());
  const std::size_t bytes = behind_aad + padded(data.size()) + kSm4BlockBytes;
  if (bytes > sizeof all) {
    std::byte lengths[kSm4BlockBytes];
    gcm_lengths(aad.size(), data.size(), lengths);
    if (!aad.empty()) kernels.hash(powers, hash, aad.data(), aad.size());
    kernels.hash(powers, hash, data.data(), data.size());
    kernels.hash(powers, hash, lengths, sizeof lengths);
    return;
  }
  std::memset(all, 0, bytes);
  if (!aad.empty()) std::memcpy(all, aad.data(), aad.size());
  if (!data.empty()) std::memcpy(all + behind_aad, data.data(), data.size());
  gcm_lengths(aad.size(), data.size(), all + bytes - kSm4BlockBytes);
  kernels.hash(powers, hash, all, bytes);
}

void gcm_first_counter(const HashPowers& powers, std::span<const std::byte> iv, std::byte* counter,
                       const Kernels& kernels) noexcept {
  std::memset(counter, 0, kSm4BlockBytes);
  if (iv.size() == kSm4GcmIvBytes) {
    std::memcpy(counter, iv.data(), kSm4GcmIvBytes);
    counter[kSm4BlockBytes - 1] = std::byte{1};
    return;
  }
  std::byte lengths[kSm4BlockBytes];
  gcm_lengths(0, iv.size(), lengths);
  if (!iv.empty()) kernels.hash(powers, counter, iv.data(), iv.size());
  kernels.hash(powers, counter, lengths, sizeof lengths);
}
}  // namespace sm4

}  // namespace sluice::crypto
