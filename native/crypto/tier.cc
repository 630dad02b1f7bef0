#include "crypto/tier.h"

#include <cstdio>
#include <cstdlib>

namespace sluice::crypto {
namespace {
Tier choose_from_environment() noexcept {
  const char* forced = std::getenv("SLUICE_CRYPTO_TIER");
  auto chosen = choose_tier(forced == nullptr ? "" : forced, cpu_features());
  if (!chosen) {
    std::fprintf(stderr, "SLUICE_CRYPTO_TIER: %s\n", chosen.error().message.c_str());
    std::abort();
  }
  return chosen.value();
}
}  // namespace

const char* tier_name(Tier tier) noexcept {
  switch (tier) {
    case Tier::Portable:
      return "portable";
    case Tier::Avx2:
      return "avx2";
    case Tier::Avx2Gfni:
      return "avx2-gfni";
    case Tier::Avx512:
      return "avx512";
    case Tier::Armv8Aes:
      return "armv8-aes";
    case Tier::Armv8Sm4:
      return "armv8-sm4";
  }
  return "";
}

bool tier_runs_on(Tier tier, const CpuFeatures& features) noexcept {
  switch (tier) {
    case Tier::Portable:
      return true;
    case Tier::Avx2:
      return features.avx2 && features.aes;
    case Tier::Avx2Gfni:
      return features.avx2 && features.aes && features.gfni;
    case Tier::Avx512:
      return features.avx2 && features.aes && features.gfni && features.avx512bw &&
             features.vpclmulqdq;
    case Tier::Armv8Aes:
      return features.pmull;
    case Tier::Armv8Sm4:
      return features.pmull && features.sm3 && features.sm4;
  }
  return false;
}

Result<Tier> choose_tier(std::string_view forced, const CpuFeatures& features) {
  Tier best = Tier::Portable;
  for (const Tier tier : kTiers) {
    const bool runs = tier_runs_on(tier, features);
    if (runs) best = tier;
    if (forced != tier_name(tier)) continue;
    if (runs) return tier;
    return Error{"this processor cannot run the tier " + std::string(forced), {}};
  }
  if (forced.empty()) return best;
  std::string names;
  for (const Tier tier : kTiers) {
    names.append(names.empty() ? "" : ", ").append(tier_name(tier));
  }
  return Error{"no tier is called " + std::string(forced) + "; there are " + names, {}};
}

Tier active_tier() noexcept {
  static const Tier tier = choose_from_environment();
  return tier;
}

}  // namespace sluice::crypto
