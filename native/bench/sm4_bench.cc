// SM4 in every tier that this machine has, in TSC cycles for a byte (or a packet). One message at a
// time, in place and with a new initialization vector each; batches of 16 with keys of their own.
//
// sm4/{ctr|cbc-enc|cbc-dec|gcm}/{64B|1400B|16KiB}/{tier}
// sm4/{gcm|cbc-enc}/{64B|1400B}/batch{16|64}-own-keys/{tier}
// Rows of 64 B also as …/packet: cycles for a whole packet.
#include <cstring>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "bench/bench.h"
#include "crypto/sm4/batch.h"

namespace {
namespace crypto = sluice::crypto;
using crypto::Tier;
using Key = std::span<const std::byte, crypto::kSm4KeyBytes>;
constexpr std::byte kKey[crypto::kSm4KeyBytes] = {std::byte{1}, std::byte{2}};

struct Size {
  const char* name;
  std::size_t bytes;
  std::uint64_t rounds;
};
/// CBC takes whole blocks: of 1400 bytes, 1392.
constexpr Size kSizes[] = {{"64B", 64, 400'000}, {"1400B", 1400, 60'000}, {"16KiB", 16'384, 6'000}};

/// For the kernels of one tier, and no others.
struct Keys {
  explicit Keys(Tier of) : tier(of), plain(Key(kKey), of), gcm(Key(kKey), of) {}
  Tier tier;
  crypto::Sm4Key plain;
  crypto::Sm4GcmKey gcm;
};

struct Mode {
  const char* name;
  bool is_slow_alone;  ///< a block waits for the one before
  void (*run)(const Keys& keys, std::vector<std::byte>& data, std::byte* iv);
};
std::span<std::byte> blocks_of(std::vector<std::byte>& data) {
  return std::span(data).first(data.size() / crypto::kSm4BlockBytes * crypto::kSm4BlockBytes);
}
constexpr Mode kModes[] = {
    {"ctr", false,
     [](const Keys& keys, std::vector<std::byte>& data, std::byte* iv) {
       crypto::sm4_ctr(keys.plain, iv, data, data.data(), keys.tier);
     }},
    {"cbc-enc", true,
     [](const Keys& keys, std::vector<std::byte>& data, std::byte* iv) {
       crypto::sm4_cbc_encrypt(keys.plain, iv, blocks_of(data), data.data(), keys.tier);
     }},
    {"cbc-dec", false,
     [](const Keys& keys, std::vector<std::byte>& data, std::byte* iv) {
       crypto::sm4_cbc_decrypt(keys.plain, iv, blocks_of(data), data.data(), keys.tier);
     }},
    {"gcm", false, [](const Keys& keys, std::vector<std::byte>& data, std::byte* iv) {
       std::byte tag[crypto::kSm4TagBytes];
       crypto::sm4_gcm_seal(keys.gcm, {iv, crypto::kSm4GcmIvBytes}, {}, data, data.data(), tag,
                            keys.tier);
       bench::keep(tag);
     }}};

bool runs_here(Tier tier) { return crypto::tier_runs_on(tier, sluice::cpu_features()); }

/// Cycles of one call.
double single(const bench::Options& options, const Mode& mode, const Size& size, Tier tier) {
  if (!runs_here(tier)) return -1;
  std::vector<std::byte> data(size.bytes);
  std::byte iv[crypto::kSm4BlockBytes] = {};
  const Keys keys(tier);
  const std::uint64_t less = tier == Tier::Portable ? (mode.is_slow_alone ? 400 : 20) : 1;
  const std::uint64_t rounds = options.rounds(size.rounds / less + 1);
  const std::uint64_t start = sluice::tsc();
  for (std::uint64_t i = 0; i < rounds; ++i) {
    std::memcpy(iv, &i, sizeof i);
    mode.run(keys, data, iv);
    bench::keep(data.data());
  }
  return static_cast<double>(sluice::tsc() - start) / static_cast<double>(rounds);
}

/// Cycles a packet of a batch, each with its key.
double gcm_batch(const bench::Options& options, unsigned count, const Size& size, Tier tier) {
  if (!runs_here(tier)) return -1;
  std::vector<std::byte> data(count * size.bytes), tags(count * crypto::kSm4TagBytes),
      ivs(count * 16);
  std::vector<crypto::Sm4GcmKey> keys;
  std::vector<crypto::Sm4GcmJob> jobs;
  keys.reserve(count);
  for (unsigned i = 0; i < count; ++i) {
    std::byte key[16] = {static_cast<std::byte>(i)};
    keys.emplace_back(Key(key), tier);
    jobs.push_back({&keys[i],
                    &ivs[i * 16],
                    {&ivs[i * 16], 8},
                    std::span(data).subspan(i * size.bytes, size.bytes),
                    &tags[i * crypto::kSm4TagBytes]});
  }
  const std::uint64_t less = tier == Tier::Portable ? 20 : 1;
  const std::uint64_t rounds = options.rounds(size.rounds / count / less + 1);
  const std::uint64_t start = sluice::tsc();
  for (std::uint64_t i = 0; i < rounds; ++i) {
    for (unsigned j = 0; j < count; ++j) std::memcpy(&ivs[j * 16], &i, sizeof i);
    crypto::sm4_gcm_batch(jobs, tier);
    bench::keep(data.data());
  }
  return static_cast<double>(sluice::tsc() - start) / static_cast<double>(rounds * count);
}

double cbc_batch(const bench::Options& options, unsigned count, const Size& size, Tier tier) {
  if (!runs_here(tier)) return -1;
  const std::size_t bytes = size.bytes / 16 * 16;
  std::vector<std::byte> data(count * bytes), chains(count * 16);
  std::vector<crypto::Sm4Key> keys;
  std::vector<crypto::Sm4CbcJob> jobs;
  keys.reserve(count);
  for (unsigned i = 0; i < count; ++i) {
    std::byte key[16] = {static_cast<std::byte>(i)};
    keys.emplace_back(Key(key), tier);
    jobs.push_back({&keys[i], &chains[i * 16], std::span(data).subspan(i * bytes, bytes)});
  }
  const std::uint64_t less = tier == Tier::Portable ? 20 : 1;
  const std::uint64_t rounds = options.rounds(size.rounds / count / less + 1);
  const std::uint64_t start = sluice::tsc();
  for (std::uint64_t i = 0; i < rounds; ++i) {
    crypto::sm4_cbc_encrypt_batch(jobs, tier);
    bench::keep(data.data());
  }
  return static_cast<double>(sluice::tsc() - start) / static_cast<double>(rounds * count);
}

/// A row of cycles a byte, and for small packets one of cycles a packet.
template <class Call>
void add(const std::string& name, const std::string& end, const Size& size, const Call& call) {
  const auto per_byte = [=](const bench::Options& options) {
    const double cycles = call(options);
    return cycles < 0 ? cycles : cycles / static_cast<double>(size.bytes);
  };
  bench::Register(name + end, "cycles/byte", per_byte);
  if (size.bytes == 64) bench::Register(name + end + "/packet", "cycles/packet", call);
}

const bool kRegistered = [] {
  for (const Tier tier : crypto::kTiers) {
    const std::string end = std::string("/") + crypto::tier_name(tier);
    for (const Mode& mode : kModes) {
      for (const Size& size : kSizes) {
        add(std::string("sm4/") + mode.name + "/" + size.name, end, size,
            [=](const bench::Options& o) { return single(o, mode, size, tier); });
      }
    }
    for (const Size& size : {kSizes[0], kSizes[1]}) {
      for (const unsigned count : {16u, 64u}) {
        const std::string batch = "/batch" + std::to_string(count) + "-own-keys";
        add(std::string("sm4/gcm/") + size.name + batch, end, size,
            [=](const bench::Options& o) { return gcm_batch(o, count, size, tier); });
        add(std::string("sm4/cbc-enc/") + size.name + batch, end, size,
            [=](const bench::Options& o) { return cbc_batch(o, count, size, tier); });
      }
    }
  }
  return true;
}();
}  // namespace
