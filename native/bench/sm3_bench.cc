// SM3 in the active tier (SLUICE_CRYPTO_TIER forces one), in TSC cycles for a byte of the messages.
#include <memory>
#include <vector>

#include "base/clock.h"
#include "bench/bench.h"
#include "crypto/sm3/batch.h"

namespace {
namespace crypto = sluice::crypto;
constexpr std::size_t kStreams = 16;

double single(const bench::Options& options) {
  constexpr std::size_t kBytes = 16 * 1024;
  const std::vector<std::byte> message(kBytes, std::byte{0x5a});
  std::byte digest[crypto::kSm3DigestBytes];
  const std::uint64_t rounds = options.rounds(2'000);
  const std::uint64_t start = sluice::tsc();
  for (std::uint64_t i = 0; i < rounds; ++i) {
    crypto::Sm3 hash;
    hash.update(message);
    hash.finish(digest);
    bench::keep(digest);
  }
  return static_cast<double>(sluice::tsc() - start) / static_cast<double>(rounds * kBytes);
}

/// 16 messages of `bytes` each; with `keyed`, an HMAC with a key of its own each.
double batch(const bench::Options& options, std::size_t bytes, bool keyed) {
  const std::vector<std::byte> messages(kStreams * bytes, std::byte{0x5a});
  std::vector<crypto::HmacSm3Key> keys;
  std::vector<crypto::Sm3Job> jobs;
  std::byte outs[kStreams][crypto::kSm3DigestBytes];
  keys.reserve(kStreams);
  for (std::size_t i = 0; i < kStreams; ++i) {
    const std::byte key[32] = {static_cast<std::byte>(i)};
    keys.emplace_back(key);
    jobs.push_back(
        {std::span(messages).subspan(i * bytes, bytes), keyed ? &keys[i] : nullptr, outs[i]});
  }
  const std::uint64_t rounds = options.rounds(20'000'000 / (kStreams * bytes));
  const std::uint64_t start = sluice::tsc();
  for (std::uint64_t i = 0; i < rounds; ++i) {
    crypto::sm3_batch(jobs);
    bench::keep(outs);
  }
  return static_cast<double>(sluice::tsc() - start) /
         static_cast<double>(rounds * kStreams * bytes);
}

// How many core cycles a TSC cycle has while one core computes: by a chain of additions, each of
// which takes one cycle of the core. It converts the figures above to cycles of the core.
double core_clock(const bench::Options& options) {
  const std::uint64_t rounds = options.rounds(4'000'000);
  std::uint64_t sum = 0;
  const std::uint64_t start = sluice::tsc();
  for (std::uint64_t i = 0; i < rounds; ++i) {
    for (int j = 0; j < 16; ++j) asm volatile("add %1, %0" : "+r"(sum) : "r"(i));
  }
  const std::uint64_t end = sluice::tsc();
  bench::keep(sum);
  return static_cast<double>(16 * rounds) / static_cast<double>(end - start);
}

const bench::Register kSingle("sm3/single", "cycles/byte", single);
const bench::Register kLanes("sm3/16lanes", "cycles/byte", [](const bench::Options& options) {
  return batch(options, 16 * 1024, false);
});
const bench::Register kPackets("sm3/16lanes/hmac-1400B", "cycles/byte",
                               [](const bench::Options& options) {
                                 return batch(options, 1400, true);
                               });
const bench::Register kSmall("sm3/16lanes/hmac-64B", "cycles/byte",
                             [](const bench::Options& options) {
                               return batch(options, 64, true);
                             });
const bench::Register kClock("sm3/core-clock", "core/TSC cycles", core_clock);
}  // namespace
