// The self test of a start: each algorithm in each mode and tier that this processor runs, against
// answers that other implementations gave.
#pragma once
#include <vector>

#include "crypto/tier.h"

namespace sluice::crypto {

struct KnownAnswer {
  const char* algorithm;  ///< such as "SM3", static storage
  const char* mode;       ///< such as "stream", "GCM" or "lanes", static storage
  Tier tier;
  bool holds;
};

/// Works all known answers out, in every tier that runs here; some tens of microseconds each. One
/// that does not hold means that nothing may be protected by this process. Threads: any.
std::vector<KnownAnswer> known_answers();

}  // namespace sluice::crypto
