// Batches against the same messages one by one, in every tier.
#include "crypto/sm4/batch.h"

#include <gtest/gtest.h>

#include <list>

#include "crypto/tiers_fixture_test.h"

namespace sluice::crypto {
namespace {
using namespace test;
using Key = std::span<const std::byte, kSm4KeyBytes>;

class Sm4Batches : public ::testing::TestWithParam<Tier> {
 protected:
  std::mt19937_64 random_{20'260'402};
};

/// A message and what the job of it points to.
struct Message {
  Message(std::mt19937_64& random, std::size_t bytes, Tier tier)
      : key(Key(Bytes(random_bytes(random, 16))), tier),
        iv(random_bytes(random, kSm4GcmIvBytes)),
        aad(random_bytes(random, random() % 40)),
        plain(random_bytes(random, bytes)),
        sealed(bytes),
        tag(kSm4TagBytes) {
    sm4_gcm_seal(key, iv, aad, plain, sealed.data(), tag.data(), tier);
  }

  Sm4GcmJob job(bool opens) {
    data = opens ? sealed : plain;
    made = opens ? tag : Bytes(kSm4TagBytes);
    return {&key, iv.data(), aad, data, made.data(), opens};
  }

  Sm4GcmKey key;
  Bytes iv, aad, plain, sealed, tag, data, made;
};

TEST_P(Sm4Batches, GcmOfAnyNumberAndLengths) {
  for (const unsigned count : {0u, 1u, 3u, 4u, 15u, 16u, 17u, 40u, 100u}) {
    std::list<Message> messages;
    std::vector<Sm4GcmJob> jobs;
    std::size_t touched = 0;
    for (unsigned i = 0; i < count; ++i) {
      const std::size_t bytes = i % 7 == 0 ? random_() % 9000 : i % 5 == 0 ? 0 : random_() % 200;
      Message& message = messages.emplace_back(random_, bytes, GetParam());
      jobs.push_back(message.job(random_() % 2 == 0));
      if (jobs.back().opens && i % 3 == 0) {
        message.made[i % 16] ^= std::byte{4};
        ++touched;
      }
    }
    EXPECT_EQ(sm4_gcm_batch(jobs, GetParam()), count - touched);
    unsigned i = 0;
    for (const Message& message : messages) {
      const Sm4GcmJob& job = jobs[i];
      const bool is_touched = job.opens && i % 3 == 0;
      EXPECT_EQ(job.holds, !is_touched) << i;
      EXPECT_EQ(message.data, is_touched  ? Bytes(message.plain.size())
                              : job.opens ? message.plain
                                          : message.sealed)
          << i << " of " << count;
      if (!job.opens) {
        EXPECT_EQ(message.made, message.tag) << i;
      }
      ++i;
    }
  }
}

TEST_P(Sm4Batches, CbcOfAnyNumberAndLengths) {
  for (const unsigned count : {0u, 1u, 4u, 16u, 63u, 64u, 65u, 150u}) {
    std::list<Sm4Key> keys;
    std::list<Bytes> data, chains;
    std::vector<Sm4CbcJob> jobs;
    std::vector<Bytes> expected, last;
    for (unsigned i = 0; i < count; ++i) {
      const Bytes key = random_bytes(random_, 16);
      keys.emplace_back(Key(key), GetParam());
      data.push_back(random_bytes(random_, i % 9 == 0 ? 0 : random_() % 12 * kSm4BlockBytes));
      chains.push_back(random_bytes(random_, kSm4BlockBytes));
      jobs.push_back({&keys.back(), chains.back().data(), data.back()});
      expected.push_back(data.back());
      last.push_back(chains.back());
      sm4_cbc_encrypt(keys.back(), last.back().data(), data.back(), expected.back().data(),
                      GetParam());
    }
    sm4_cbc_encrypt_batch(jobs, GetParam());
    EXPECT_TRUE(std::equal(data.begin(), data.end(), expected.begin())) << count;
    EXPECT_TRUE(std::equal(chains.begin(), chains.end(), last.begin())) << count;
  }
}

INSTANTIATE_TEST_SUITE_P(, Sm4Batches, ::testing::ValuesIn(tiers_here()), [](const auto& info) {
  std::string name = tier_name(info.param);
  std::erase(name, '-');
  return name;
});
}  // namespace
}  // namespace sluice::crypto
