// Cryptography over the caller's bytes: constant-time, without allocation. Each algorithm has a
// folder, and there one kernel per tier; this file chooses the tier, once. Objects belong to one
// thread at a time, functions to any thread. Start with sm3/sm3.h (one message), sm3/batch.h (many
// at once), sm4/sm4.h and sm4/batch.h.
#pragma once
#include <cstdint>
#include <string_view>

#include "base/cpu_features.h"
#include "base/types.h"

namespace sluice::crypto {

/// For each architecture from the least to the most that is asked of the processor: AVX2 comes with
/// AES-NI and PCLMULQDQ, AVX-512 with GFNI and VPCLMULQDQ, the instructions of Armv8 for AES with
/// PMULL, and those for SM4 with both and those for SM3.
enum class Tier : std::uint8_t { Portable, Avx2, Avx2Gfni, Avx512, Armv8Aes, Armv8Sm4 };
inline constexpr Tier kTiers[] = {Tier::Portable, Tier::Avx2,     Tier::Avx2Gfni,
                                  Tier::Avx512,   Tier::Armv8Aes, Tier::Armv8Sm4};

/// "portable", "avx2", "avx2-gfni", "avx512", "armv8-aes" or "armv8-sm4"; static storage.
const char* tier_name(Tier tier) noexcept;
/// Whether a processor with these features can run a tier's kernels. Pure.
bool tier_runs_on(Tier tier, const CpuFeatures& features) noexcept;

/// The best tier that runs, or the one of the given name. Pure.
/// @param forced  a tier's name; empty: none is forced.
/// Errors: no tier of that name, or one that this processor cannot run.
Result<Tier> choose_tier(std::string_view forced, const CpuFeatures& features);

/// The tier of this process, chosen at the first call: what SLUICE_CRYPTO_TIER forces, else the
/// best one. Ends the process with a sentence if the forced one is not to be had: that variable is
/// for tests and benches, which would otherwise tell of another tier than they were asked for.
/// Threads: any.
Tier active_tier() noexcept;

}  // namespace sluice::crypto
