#include "crypto/sm3/sm3.h"

#include <algorithm>
#include <cstring>

#include "crypto/secret.h"
#include "crypto/sm3/scalar.h"

namespace sluice::crypto {
namespace sm3 {

std::size_t pad(std::byte* buffer, std::size_t used, std::uint64_t bytes) noexcept {
  constexpr std::size_t kLengthBytes = 8;
  const std::size_t blocks = used + 1 + kLengthBytes <= kBlockBytes ? 1 : 2;
  const std::size_t end = blocks * kBlockBytes;
  std::memset(buffer + used, 0, end - used);
  buffer[used] = std::byte{0x80};
  const std::uint64_t bits = bytes * 8;
  store_word(buffer + end - 8, static_cast<std::uint32_t>(bits >> 32));
  store_word(buffer + end - 4, static_cast<std::uint32_t>(bits));
  return blocks;
}

void write_digest(std::byte* digest, const Sm3State& state) noexcept {
  for (std::size_t i = 0; i < kStateWords; ++i) store_word(digest + 4 * i, state.words[i]);
}

}  // namespace sm3

using sm3::kBlockBytes;

Sm3::~Sm3() {
  wipe(&state_, sizeof state_);
  wipe(pending_, sizeof pending_);
}

void Sm3::update(std::span<const std::byte> part) noexcept {
  const std::size_t used = bytes_ % kBlockBytes;
  bytes_ += part.size();
  if (used > 0) {
    const std::size_t taken = std::min(part.size(), kBlockBytes - used);
    std::copy_n(part.data(), taken, pending_ + used);
    part = part.subspan(taken);
    if (used + taken < kBlockBytes) return;
    kernels_->compress(state_.words, pending_, 1);
  }
  const std::size_t blocks = part.size() / kBlockBytes;
  if (blocks > 0) kernels_->compress(state_.words, part.data(), blocks);
  part = part.subspan(blocks * kBlockBytes);
  std::copy_n(part.data(), part.size(), pending_);
}

void Sm3::finish(std::byte* digest) noexcept {
  const std::size_t blocks = sm3::pad(pending_, bytes_ % kBlockBytes, bytes_);
  kernels_->compress(state_.words, pending_, blocks);
  sm3::write_digest(digest, state_);
}

HmacSm3Key::HmacSm3Key(std::span<const std::byte> key, Tier tier) noexcept
    : inner_(kSm3Initial), outer_(kSm3Initial) {
  std::byte block[kBlockBytes] = {};
  if (key.size() > kBlockBytes) {
    Sm3 hash(tier);
    hash.update(key);
    hash.finish(block);
  } else {
    std::copy_n(key.data(), key.size(), block);
  }
  const auto& kernels = sm3::kernels(tier);
  for (std::byte& byte : block) byte ^= std::byte{0x36};
  kernels.compress(inner_.words, block, 1);
  for (std::byte& byte : block) byte ^= std::byte{0x36 ^ 0x5c};
  kernels.compress(outer_.words, block, 1);
  wipe(block, sizeof block);
}

HmacSm3Key::~HmacSm3Key() {
  wipe(&inner_, sizeof inner_);
  wipe(&outer_, sizeof outer_);
}

void HmacSm3::finish(std::byte* code) noexcept {
  std::byte digest[kSm3DigestBytes];
  inner_.finish(digest);
  Sm3 outer(key_->outer(), kBlockBytes, tier_);
  outer.update(digest);
  outer.finish(code);
  wipe(digest, sizeof digest);
}

}  // namespace sluice::crypto
