#include "crypto/speed.h"

#include <array>
#include <chrono>
#include <cstring>
#include <deque>
#include <vector>

#include "crypto/sm3/batch.h"
#include "crypto/sm4/batch.h"

namespace sluice::crypto {
namespace {

constexpr std::size_t kBatch = 16;

/// Everything that an operation works on, prepared before the clock runs.
struct Bench {
  Bench(Tier with, std::size_t bytes)
      : tier(with),
        gcm_key(std::span<const std::byte, kSm4KeyBytes>(key_bytes), with),
        key(std::span<const std::byte, kSm4KeyBytes>(key_bytes), with),
        hmac_key(key_bytes, with),
        data(kBatch, std::vector<std::byte>(bytes)) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      auto own = key_bytes;
      own[0] = static_cast<std::byte>(i);
      gcm_keys.emplace_back(std::span<const std::byte, kSm4KeyBytes>(own), with);
      keys.emplace_back(std::span<const std::byte, kSm4KeyBytes>(own), with);
      hmac_keys.emplace_back(own, with);
    }
  }

  std::span<std::byte> message() noexcept { return data[0]; }
  std::span<std::byte> blocks(std::size_t i = 0) noexcept {
    return std::span(data[i]).first(data[i].size() / kSm4BlockBytes * kSm4BlockBytes);
  }
  /// Another one each time.
  std::span<const std::byte> next_iv() noexcept {
    ++count;
    std::memcpy(iv.data(), &count, sizeof count);
    return std::span(iv).first(kSm4GcmIvBytes);
  }

  Tier tier;
  std::array<std::byte, kSm4KeyBytes> key_bytes{};
  Sm4GcmKey gcm_key;
  Sm4Key key;
  HmacSm3Key hmac_key;
  std::deque<Sm4GcmKey> gcm_keys;
  std::deque<Sm4Key> keys;
  std::deque<HmacSm3Key> hmac_keys;
  std::vector<std::vector<std::byte>> data;
  std::array<std::byte, kSm4BlockBytes> iv{};
  std::array<std::array<std::byte, kSm3DigestBytes>, kBatch> outs{};
  std::uint64_t count = 0;
};

void ecb(Bench& b) noexcept { sm4_ecb_encrypt(b.key, b.blocks(), b.data[0].data(), b.tier); }
void cbc_encrypt(Bench& b) noexcept {
  b.next_iv();
  auto chain = b.iv;
  sm4_cbc_encrypt(b.key, chain.data(), b.blocks(), b.data[0].data(), b.tier);
}
void cbc_decrypt(Bench& b) noexcept {
  b.next_iv();
  auto chain = b.iv;
  sm4_cbc_decrypt(b.key, chain.data(), b.blocks(), b.data[0].data(), b.tier);
}
void ctr(Bench& b) noexcept {
  b.next_iv();
  auto counter = b.iv;
  sm4_ctr(b.key, counter.data(), b.message(), b.data[0].data(), b.tier);
}
void gcm(Bench& b) noexcept {
  sm4_gcm_seal(b.gcm_key, b.next_iv(), {}, b.message(), b.data[0].data(), b.outs[0].data(), b.tier);
}
void ccm(Bench& b) noexcept {
  const auto tag = std::span(b.outs[0]).first(kSm4TagBytes);
  static_cast<void>(
      sm4_ccm_seal(b.key, b.next_iv(), {}, b.message(), b.data[0].data(), tag, b.tier));
}
void gcm_batch(Bench& b) noexcept {
  b.next_iv();
  std::array<Sm4GcmJob, kBatch> jobs;
  for (std::size_t i = 0; i < kBatch; ++i) {
    jobs[i] = {&b.gcm_keys[i], b.iv.data(), {}, b.data[i], b.outs[i].data()};
  }
  sm4_gcm_batch(jobs, b.tier);
}
void cbc_batch(Bench& b) noexcept {
  b.next_iv();
  std::array<std::array<std::byte, kSm4BlockBytes>, kBatch> chains;
  std::array<Sm4CbcJob, kBatch> jobs;
  for (std::size_t i = 0; i < kBatch; ++i) {
    chains[i] = b.iv;
    jobs[i] = {&b.keys[i], chains[i].data(), b.blocks(i)};
  }
  sm4_cbc_encrypt_batch(jobs, b.tier);
}
void digest(Bench& b) noexcept {
  Sm3 hash(b.tier);
  hash.update(b.message());
  hash.finish(b.outs[0].data());
}
void code(Bench& b) noexcept {
  HmacSm3 hash(b.hmac_key, b.tier);
  hash.update(b.message());
  hash.finish(b.outs[0].data());
}
void hash_batch(Bench& b, bool keyed) noexcept {
  std::array<Sm3Job, kBatch> jobs;
  for (std::size_t i = 0; i < kBatch; ++i) {
    jobs[i] = {b.data[i], keyed ? &b.hmac_keys[i] : nullptr, b.outs[i].data()};
  }
  sm3_batch(jobs, b.tier);
}
void digest_batch(Bench& b) noexcept { hash_batch(b, false); }
void code_batch(Bench& b) noexcept { hash_batch(b, true); }

struct Mode {
  std::string_view name;
  unsigned messages;
  void (*operation)(Bench& bench) noexcept;
};
constexpr Mode kModes[] = {
    {"sm4-ecb", 1, ecb},
    {"sm4-cbc-encrypt", 1, cbc_encrypt},
    {"sm4-cbc-decrypt", 1, cbc_decrypt},
    {"sm4-ctr", 1, ctr},
    {"sm4-gcm", 1, gcm},
    {"sm4-ccm", 1, ccm},
    {"sm4-gcm-batch16", kBatch, gcm_batch},
    {"sm4-cbc-encrypt-batch16", kBatch, cbc_batch},
    {"sm3", 1, digest},
    {"hmac-sm3", 1, code},
    {"sm3-batch16", kBatch, digest_batch},
    {"hmac-sm3-batch16", kBatch, code_batch},
};

const Mode* mode_of(std::string_view name) noexcept {
  for (const Mode& mode : kModes) {
    if (mode.name == name) return &mode;
  }
  return nullptr;
}

}  // namespace

std::span<const std::string_view> speed_modes() noexcept {
  static constexpr auto kNames = [] {
    std::array<std::string_view, std::size(kModes)> names;
    for (std::size_t i = 0; i < names.size(); ++i) names[i] = kModes[i].name;
    return names;
  }();
  return kNames;
}

unsigned speed_messages(std::string_view mode) noexcept {
  const Mode* const found = mode_of(mode);
  return found == nullptr ? 0 : found->messages;
}

Nanoseconds time_operations(std::string_view mode, Tier tier, std::size_t bytes,
                            std::size_t operations) {
  const Mode* const found = mode_of(mode);
  if (found == nullptr) return 0;
  Bench bench(tier, bytes);
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < operations; ++i) found->operation(bench);
  const auto spent = std::chrono::steady_clock::now() - start;
  return static_cast<Nanoseconds>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count());
}

}  // namespace sluice::crypto
