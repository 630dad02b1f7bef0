#include "crypto/sm3/batch.h"

#include <gtest/gtest.h>

#include <deque>

#include "crypto/sm3/digests_fixture_test.h"

namespace sluice::crypto {
namespace {
using namespace test;

/// Jobs with all that they need, and what should come of them by the portable tier one by one.
struct Batch {
  void add(Bytes message, const Bytes* key) {
    messages.push_back(std::move(message));
    const auto& own = messages.back();
    outs.emplace_back(kSm3DigestBytes);
    const HmacSm3Key* prepared = nullptr;
    if (key != nullptr) prepared = &keys.emplace_back(*key, Tier::Portable);
    expected.push_back(key == nullptr ? digest_of(own, Tier::Portable)
                                      : code_of(*key, own, Tier::Portable));
    jobs.push_back({own, prepared, outs.back().data()});
  }
  void expect_right(Tier tier) {
    for (Bytes& out : outs) out.assign(kSm3DigestBytes, std::byte{0});
    sm3_batch(jobs, tier);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      ASSERT_EQ(outs[i], expected[i]) << tier_name(tier) << ", job " << i << " of " << jobs.size();
    }
  }

  std::deque<Bytes> messages;
  std::deque<Bytes> outs;
  std::deque<HmacSm3Key> keys;
  std::vector<Bytes> expected;
  std::vector<Sm3Job> jobs;
};

TEST(Sm3Batch, MixedLengthsAndKeysAreAsOneByOne) {
  std::mt19937_64 random(5);
  for (int run = 0; run < 300; ++run) {
    Batch batch;
    const std::size_t jobs = random() % 70;
    for (std::size_t i = 0; i < jobs; ++i) {
      const Bytes key = random_bytes(random, random() % 100);
      const std::size_t length = random() % (run % 3 == 0 ? 130 : 1600);
      batch.add(random_bytes(random, length), random() % 2 == 0 ? &key : nullptr);
    }
    for (const Tier tier : tiers_here()) ASSERT_NO_FATAL_FAILURE(batch.expect_right(tier));
  }
}

TEST(Sm3Batch, EveryNumberOfJobsAndEveryRestOfABlock) {
  std::mt19937_64 random(6);
  const Bytes key = random_bytes(random, 32);
  for (std::size_t jobs = 0; jobs <= 35; ++jobs) {
    Batch batch;
    for (std::size_t i = 0; i < jobs; ++i) {
      batch.add(random_bytes(random, (jobs * 7 + i * 11) % 200), i % 3 == 0 ? nullptr : &key);
    }
    for (const Tier tier : tiers_here()) ASSERT_NO_FATAL_FAILURE(batch.expect_right(tier));
  }
  Batch every;
  for (std::size_t length = 0; length <= 260; ++length) {
    every.add(random_bytes(random, length), &key);
  }
  for (const Tier tier : tiers_here()) ASSERT_NO_FATAL_FAILURE(every.expect_right(tier));
}

TEST(Sm3Batch, OneLongMessageAmongShortOnes) {
  std::mt19937_64 random(7);
  const Bytes key = random_bytes(random, 32);
  Batch batch;
  for (int i = 0; i < 40; ++i) batch.add(random_bytes(random, i == 3 ? 20'000 : 60), &key);
  for (const Tier tier : tiers_here()) batch.expect_right(tier);
}
}  // namespace
}  // namespace sluice::crypto
