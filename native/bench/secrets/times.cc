// A secret shows in times when they differ between a class of inputs that are always the same
// (zeros) and one of random ones: Welch's t of the two classes tells. Which class comes next is
// drawn, so that what else the machine does falls on both; the slowest measurements, which have
// interrupts in them, are left out. Source: Reparaz, Balasch, Verbauwhede, "Dude, is my code
// constant time?" (2017).
#include "times.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "base/clock.h"
#include "crypto/sm3/batch.h"
#include "crypto/sm4/batch.h"

namespace sluice::bench {
namespace {
using namespace crypto;

// Noise stays below 5, and has to pass the threshold in each of the runs.
constexpr double kThreshold = 10;
constexpr double kLeakThreshold = 3 * kThreshold;  ///< for the planted one
constexpr unsigned kRuns = 3;
constexpr std::size_t kGroups = 100, kGroup = 200;  ///< of measurements; inputs are drawn by groups
constexpr std::size_t kKept = kGroup * 3 / 4;
constexpr std::size_t kSecretBytes = 32, kMessageBytes = 640, kLanes = 16;
// A part of a block is left in the last of them.
constexpr std::size_t kMessage = kMessageBytes - 3;

struct Input {
  std::byte key[kSecretBytes];
  std::byte message[kMessageBytes];
};

/// What an operation works on and into, the same memory for both classes.
struct Place {
  Input in;
  std::byte out[kLanes][kMessageBytes];
  std::byte tag[kLanes][kSm3DigestBytes];
  Tier tier;

  std::span<const std::byte, kSm4KeyBytes> key() const noexcept {
    return std::span(in.key).first<kSm4KeyBytes>();
  }
  std::span<const std::byte> message() const noexcept {
    return std::span(in.message).first(kMessage);
  }
};

constexpr std::byte kIv[kSm4BlockBytes]{};
constexpr std::byte kAad[20]{};

void block(Place& p) { sm4_ecb_encrypt(Sm4Key(p.key(), p.tier), p.in.message, p.out[0], p.tier); }
void one_block(Place& p) {
  const auto first = std::span<const std::byte>(p.in.message).first(kSm4BlockBytes);
  sm4_ecb_encrypt(Sm4Key(p.key(), p.tier), first, p.out[0], p.tier);
}
void cbc(Place& p) {
  std::byte chain[kSm4BlockBytes]{};
  sm4_cbc_encrypt(Sm4Key(p.key(), p.tier), chain, p.in.message, p.out[0], p.tier);
}
void ctr(Place& p) {
  std::byte counter[kSm4BlockBytes]{};
  sm4_ctr(Sm4Key(p.key(), p.tier), counter, p.message(), p.out[0], p.tier);
}
void gcm(Place& p) {
  const Sm4GcmKey key(p.key(), p.tier);
  sm4_gcm_seal(key, std::span(kIv).first(kSm4GcmIvBytes), kAad, p.message(), p.out[0], p.tag[0],
               p.tier);
}
void gcm_lanes(Place& p) {
  const Sm4GcmKey key(p.key(), p.tier);
  Sm4GcmJob jobs[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i) {
    std::memcpy(p.out[i], p.in.message, kMessage);
    jobs[i] = {&key, kIv, kAad, std::span(p.out[i]).first(kMessage), p.tag[i]};
  }
  sm4_gcm_batch(jobs, p.tier);
}
void sm3(Place& p) {
  Sm3 hash(p.tier);
  hash.update(p.message());
  hash.finish(p.tag[0]);
}
void hmac(Place& p) {
  HmacSm3 code(HmacSm3Key(p.in.key, p.tier), p.tier);
  code.update(p.message());
  code.finish(p.tag[0]);
}
void hmac_lanes(Place& p) {
  const HmacSm3Key key(p.in.key, p.tier);
  Sm3Job jobs[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i) jobs[i] = {p.message(), &key, p.tag[i]};
  sm3_batch(jobs, p.tier);
}
/// The planted one: GCM, and a key multiplied as on paper, with a branch by each bit.
void leaking(Place& p) {
  gcm(p);
  unsigned product = 0;
  for (std::size_t i = 0; i < 8 * kSm4KeyBytes; ++i) {
    if ((static_cast<unsigned>(p.in.key[i / 8]) >> i % 8 & 1) == 0) continue;
    product ^= static_cast<unsigned>(i);
    // It stays a branch.
    asm volatile("" : "+r"(product));
  }
}

struct Operation {
  const char* name;
  void (*run)(Place&);
};
constexpr Operation kOperations[] = {{"SM4 block", one_block},
                                     {"SM4-ECB", block},
                                     {"SM4-CBC", cbc},
                                     {"SM4-CTR", ctr},
                                     {"SM4-GCM", gcm},
                                     {"SM4-GCM lanes", gcm_lanes},
                                     {"SM3", sm3},
                                     {"HMAC-SM3", hmac},
                                     {"HMAC-SM3 lanes", hmac_lanes}};
constexpr Operation kLeaking{"planted leak", leaking};

struct Measurement {
  std::uint64_t ticks;
  bool is_random;  ///< its class
};

/// The counter, read when all before is done and nothing behind has begun.
std::uint64_t ordered_ticks() noexcept {
#if defined(__x86_64__)
  _mm_lfence();
  const std::uint64_t ticks = tsc();
  _mm_lfence();
  return ticks;
#else
  return tsc();
#endif
}

/// Both classes are drawn alike, and those of zeros masked out of it.
void draw(std::mt19937_64& draws, Input& input, bool is_random) noexcept {
  const std::uint64_t mask = is_random ? ~std::uint64_t{0} : 0;
  auto* const bytes = reinterpret_cast<std::byte*>(&input);
  for (std::size_t i = 0; i < sizeof input; i += sizeof mask) {
    const std::uint64_t word = draws() & mask;
    std::memcpy(bytes + i, &word, sizeof word);
  }
}

/// What is kept of both classes.
struct Sums {
  double count = 0, of_values = 0, of_squares = 0;

  void add(double value) noexcept {
    count += 1;
    of_values += value;
    of_squares += value * value;
  }
  double mean() const noexcept { return of_values / count; }
  double error() const noexcept { return (of_squares / count - mean() * mean()) / count; }
};

/// Adds the fastest of a group, as ticks beyond its fastest one: between groups the machine may
/// have become slower.
void add_group(std::span<Measurement> group, Sums (&classes)[2]) {
  std::ranges::sort(group, {}, &Measurement::ticks);
  const std::uint64_t least = group.front().ticks, most = group[kKept].ticks;
  for (const auto& [ticks, is_random] : group) {
    // All that are as fast as the last one, so that the order of equal ones decides nothing.
    if (ticks <= most) classes[is_random].add(static_cast<double>(ticks - least));
  }
}

/// Welch's t.
double t_of(const Sums (&classes)[2]) noexcept {
  const double error = classes[0].error() + classes[1].error();
  return error > 0 ? (classes[1].mean() - classes[0].mean()) / std::sqrt(error) : 0;
}

double measure(const Operation& operation, Tier tier, std::mt19937_64& draws) {
  static Place place;
  place.tier = tier;
  Sums classes[2];
  std::vector<Measurement> measured(kGroup);
  std::vector<Input> inputs(kGroup);
  std::vector<char> is_random(kGroup);
  for (std::size_t group = 0; group < kGroups; ++group) {
    for (std::size_t i = 0; i < kGroup; ++i) {
      is_random[i] = static_cast<char>(draws() & 1);
      draw(draws, inputs[i], is_random[i] != 0);
    }
    for (std::size_t i = 0; i < kGroup; ++i) {
      std::memcpy(&place.in, &inputs[i], sizeof(Input));
      const std::uint64_t start = ordered_ticks();
      operation.run(place);
      measured[i] = {ordered_ticks() - start, is_random[i] != 0};
    }
    add_group(measured, classes);
  }
  return t_of(classes);
}

/// The least |t| of the runs: what is noise passes the threshold in some of them at most.
double least_t(const Operation& operation, Tier tier, std::mt19937_64& draws) {
  double least = INFINITY;
  for (unsigned run = 0; run < kRuns && least > kThreshold; ++run) {
    least = std::min(least, std::abs(measure(operation, tier, draws)));
  }
  return least;
}

}  // namespace

int check_times(bool leak) {
  std::mt19937_64 draws(std::random_device{}());
  const auto operations = leak ? std::span(&kLeaking, 1) : std::span(kOperations);
  bool are_right = true;
  for (const Tier tier : kTiers) {
    // Memcheck has these.
    if (tier == Tier::Portable || tier == Tier::Avx2) continue;
    if (!tier_runs_on(tier, cpu_features())) {
      std::printf("%s: skipped, this processor can't run it\n", tier_name(tier));
      continue;
    }
    double most = 0;
    const char* name = "";
    for (const Operation& operation : operations) {
      const double t = least_t(operation, tier, draws);
      if (t > most) name = operation.name;
      most = std::max(most, t);
    }
    are_right = (leak ? most > kLeakThreshold : most <= kThreshold) && are_right;
    std::printf("%s: |t| %.1f (%s)\n", tier_name(tier), most, name);
  }
  return are_right ? 0 : 1;
}

}  // namespace sluice::bench
