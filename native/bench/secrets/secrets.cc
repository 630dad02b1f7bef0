// The check that no time depends on a secret, a program of its own; one thread.
// sluice_secrets [--leak]: everything that handles keys and plain text, run with memcheck told that
// those are undefined. It complains where a branch or an address depends on them, which is where
// time would. Valgrind has neither GFNI nor AVX-512, so the tiers are the portable one and AVX2.
// sluice_secrets --times [--leak]: what times tell of secrets, for the other tiers (times.h).
// sluice_secrets --of N [--leak]: the same with less plain text, for qemu-user, which tells what it
// executes: that has to be the same whatever N, from which the secrets are drawn.
// Opening is not among it: whether a tag holds decides a branch, and is no secret. With --leak, a
// look-up and a branch by a key byte are planted, which must be found. scripts/guards.mjs
// runs it.
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
// Memcheck is not for this processor.
#define VALGRIND_MAKE_MEM_UNDEFINED(at, bytes) static_cast<void>(at)
#endif

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "crypto/sm3/batch.h"
#include "crypto/sm4/batch.h"
#include "times.h"

namespace {
using namespace sluice::crypto;
using Bytes = std::vector<std::byte>;

std::mt19937_64 draws;

Bytes secret(std::size_t bytes) {
  Bytes made(bytes);
  for (std::byte& byte : made) byte = static_cast<std::byte>(draws());
  VALGRIND_MAKE_MEM_UNDEFINED(made.data(), made.size());
  return made;
}

void run_sm4(Tier tier, std::size_t bytes) {
  const Bytes key_bytes = secret(kSm4KeyBytes), in = secret(bytes);
  const auto key_span = std::span<const std::byte, kSm4KeyBytes>(key_bytes);
  const Sm4Key key(key_span, tier);
  const Sm4GcmKey gcm(key_span, tier);
  Bytes out(bytes), iv(kSm4BlockBytes), tag(kSm4TagBytes);
  const auto blocks = std::span(in).first(bytes / kSm4BlockBytes * kSm4BlockBytes);
  sm4_ecb_encrypt(key, blocks, out.data(), tier);
  sm4_ecb_decrypt(key, blocks, out.data(), tier);
  sm4_cbc_encrypt(key, iv.data(), blocks, out.data(), tier);
  sm4_cbc_decrypt(key, iv.data(), blocks, out.data(), tier);
  Bytes counter(kSm4BlockBytes);
  sm4_ctr(key, counter.data(), in, out.data(), tier);
  const Bytes nonce(kSm4GcmIvBytes), aad(20);
  sm4_gcm_seal(gcm, nonce, aad, in, out.data(), tag.data(), tier);
  static_cast<void>(sm4_ccm_seal(key, nonce, aad, in, out.data(), tag, tier));

  std::vector<Bytes> data(20, in), tags(20, tag), chains(20, Bytes(kSm4BlockBytes));
  std::vector<Sm4GcmJob> jobs;
  std::vector<Sm4CbcJob> cbc;
  for (std::size_t i = 0; i < data.size(); ++i) {
    jobs.push_back({&gcm, nonce.data(), aad, data[i], tags[i].data()});
    cbc.push_back({&key, chains[i].data(), std::span(data[i]).first(blocks.size())});
  }
  sm4_gcm_batch(jobs, tier);
  sm4_cbc_encrypt_batch(cbc, tier);
}

void run_sm3(Tier tier, std::size_t bytes) {
  const Bytes key_bytes = secret(32), message = secret(bytes);
  const HmacSm3Key key(key_bytes, tier);
  std::byte digest[kSm3DigestBytes];
  HmacSm3 code(key, tier);
  code.update(message);
  code.finish(digest);
  std::vector<Bytes> outs(20, Bytes(kSm3DigestBytes));
  std::vector<Sm3Job> jobs;
  for (Bytes& out : outs) jobs.push_back({message, &key, out.data()});
  sm3_batch(jobs, tier);
}

/// What must be found: a table that a secret looks up, and a branch that it decides.
int leak() {
  const Bytes key = secret(1);
  static const int table[256] = {1, 2, 3};
  const int looked_up = table[static_cast<unsigned char>(key[0])];
  if ((static_cast<unsigned>(key[0]) & 1) != 0) std::fputs("odd\n", stderr);
  return looked_up;
}
}  // namespace

int main(int argc, char** argv) {
  std::vector<std::size_t> sizes = {64, 1400, 4000};
  if (argc > 2 && std::strcmp(argv[1], "--of") == 0) {
    draws.seed(std::strtoull(argv[2], nullptr, 10));
    sizes = {64, 800};
  }
  const bool leaks = std::strcmp(argv[argc - 1], "--leak") == 0;
  if (argc > 1 && std::strcmp(argv[1], "--times") == 0) return sluice::bench::check_times(leaks);
  if (leaks) {
    // Its value must not be left out.
    volatile int result = leak();
    static_cast<void>(result);
    return 0;
  }
  for (const Tier tier : kTiers) {
    if (!tier_runs_on(tier, sluice::cpu_features())) continue;
    for (const std::size_t bytes : sizes) {
      run_sm4(tier, bytes);
      run_sm3(tier, bytes);
    }
    std::printf("%s\n", tier_name(tier));
  }
  return 0;
}
