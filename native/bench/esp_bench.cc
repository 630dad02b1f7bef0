// ESP in the active tier (SLUICE_CRYPTO_TIER forces one), in TSC cycles a packet: bursts of 32
// packets, each of one of a thousand associations, sealed in place and, in another row, opened.
//
// esp/{seal|open}/{64B|1400B}/{gcm|cbc-sm3}
#include <cstring>
#include <deque>
#include <random>
#include <vector>

#include "base/clock.h"
#include "bench/bench.h"
#include "crypto/esp/association.h"

namespace {
using namespace sluice::crypto;
constexpr std::size_t kAssociations = 1000, kBurst = 32;

struct Ends {
  explicit Ends(const EspParameters& parameters) : sender(parameters, {}), receiver(parameters) {}
  EspOutbound sender;
  EspInbound receiver;
};

class Burst {
 public:
  Burst(EspSuite suite, std::size_t bytes) : bytes_(bytes), room_(kBurst * kStride) {
    for (std::size_t i = 0; i < kAssociations; ++i) {
      std::byte key[kSm4KeyBytes] = {static_cast<std::byte>(i), static_cast<std::byte>(i >> 8)};
      const std::byte salt[kEspSaltBytes] = {}, auth_key[kEspAuthKeyBytes] = {key[0], key[1]};
      const EspParameters parameters{
          .spi = 1, .suite = suite, .key = key, .salt = salt, .auth_key = auth_key};
      ends_.emplace_back(parameters);
    }
  }

  /// Cycles a packet of sealing, or of opening what was sealed.
  double run(const bench::Options& options, bool opens) {
    std::uint64_t sealing = 0, opening = 0;
    const std::uint64_t rounds = options.rounds(128'000'000 / (kBurst * (bytes_ + 200)));
    for (std::uint64_t i = 0; i < rounds; ++i) {
      std::vector<EspSealJob> seals;
      std::vector<EspOpenJob> jobs;
      for (std::size_t j = 0; j < kBurst; ++j) {
        Ends& ends = ends_[random_() % kAssociations];
        const auto packet = std::span(room_).subspan(j * kStride + kEspHeadRoom, bytes_);
        seals.push_back({&ends.sender, packet, 4});
        jobs.push_back({&ends.receiver, {}});
      }
      const std::uint64_t start = sluice::tsc();
      esp_seal(seals);
      const std::uint64_t sealed = sluice::tsc();
      for (std::size_t j = 0; j < kBurst; ++j) jobs[j].esp = seals[j].esp;
      const std::uint64_t before = sluice::tsc();
      esp_open(jobs);
      opening += sluice::tsc() - before;
      sealing += sealed - start;
      for (const EspOpenJob& job : jobs) {
        if (job.status != EspStatus::Ok) return -1;
      }
    }
    return static_cast<double>(opens ? opening : sealing) / static_cast<double>(rounds * kBurst);
  }

 private:
  static constexpr std::size_t kStride = 2048;
  std::size_t bytes_;
  std::vector<std::byte> room_;
  std::deque<Ends> ends_;
  std::mt19937_64 random_{1};
};

const bool kRegistered = [] {
  for (const bool opens : {false, true}) {
    for (const std::size_t bytes : {64u, 1400u}) {
      for (const EspSuite suite : {EspSuite::Sm4Gcm16, EspSuite::Sm4CbcSm3_128}) {
        const std::string name = std::string("esp/") + (opens ? "open/" : "seal/") +
                                 std::to_string(bytes) + "B/" +
                                 (suite == EspSuite::Sm4Gcm16 ? "gcm" : "cbc-sm3");
        bench::Register(name, "cycles/packet", [=](const bench::Options& options) {
          return Burst(suite, bytes).run(options, opens);
        });
      }
    }
  }
  return true;
}();
}  // namespace
